"""With ten thousand idle connections other clients are served, and memory stays bounded."""

from __future__ import annotations

import resource
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.server.processes import serving
from tests.server.wire import Wire, record, wired

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IDLE = 10_000
BYTES_EACH = 16 * 1024


@contextmanager
def descriptors(wanted: int) -> Iterator[None]:
    """Raises the limit of open files of this process, if it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"this process may not have more than {hard} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")
def test_ten_thousand_idle_connections_cost_little_and_hinder_nobody(tmp_path: Path) -> None:
    with (
        descriptors(IDLE + 500),
        serving(
            tmp_path / "guidkeep.db",
            *("--max-connections", str(IDLE + 100), "--max-connections-per-client", "0"),
        ) as server,
        wired(server.address) as wire,
        ExitStack() as stack,
    ):
        guid = wire.ask("POST", "/guid", record()).json["guid"]
        before = server.memory
        for number in range(IDLE):
            idle = Wire(server.address)
            stack.callback(idle.reset)
            if number % 2:
                idle.send(b"GET /guid/")  # half of them have begun a request
        assert wire.ask("GET", f"/guid/{guid}").status == 200
        opened = f"\nguidkeep_connections {IDLE + 1}.0\n".encode()
        assert any(opened in wire.ask("GET", "/metrics").body for _ in range(20_000))
        each = (server.memory - before) / IDLE
        assert each < BYTES_EACH, f"an idle connection takes {each / 1024:.1f} KiB"
        for _ in range(50):
            assert wire.ask("GET", f"/guid/{guid}").status == 200
            assert wire.ask("POST", f"/guid/{guid}", record()).status == 200
            with wired(server.address) as new:
                assert new.ask("GET", "/guid?limit=1").status == 200
