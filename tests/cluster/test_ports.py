"""Ports for servers that start later: nobody else gets them meanwhile."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from servers.processes import PORTS

OF_CONNECTIONS = Path("/proc/sys/net/ipv4/ip_local_port_range")
FIRST, SECOND, THIRD = (
    range(PORTS.start - 20 * number, PORTS.start - 20 * (number - 1)) for number in (1, 2, 3)
)
"""A range for each test here: no other test, which may run beside it, asks for its ports."""
ASK = """
from servers import processes
processes.PORTS = {}
while True:
    print(processes.free_port())
"""


def test_the_system_gives_none_of_them_to_a_connection() -> None:
    first = int(OF_CONNECTIONS.read_text().split()[0]) if OF_CONNECTIONS.exists() else 49_152

    assert PORTS.stop <= first


def test_each_is_given_once_and_again_after_the_end_of_its_process() -> None:
    assert given_of(FIRST) == given_of(FIRST) == set(FIRST)


def test_one_that_another_process_was_given_is_passed_over() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as claim:
        claim.bind(("127.0.0.1", SECOND[7]))

        assert set(SECOND) - given_of(SECOND) == {SECOND[7]}


def test_one_where_a_server_listens_is_passed_over() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", THIRD[7]))
        server.listen()

        assert set(THIRD) - given_of(THIRD) == {THIRD[7]}


def given_of(ports: range) -> set[int]:
    """All of them that a new process is given until there are no more."""
    asked = subprocess.run(
        [sys.executable, "-c", ASK.format(ports)], capture_output=True, text=True, check=False
    )
    assert "no free port" in asked.stderr
    given = asked.stdout.split()
    assert len(given) == len(set(given))
    return set(map(int, given))
