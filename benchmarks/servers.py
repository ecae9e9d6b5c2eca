"""The contestants: Guidkeep, nginx, Webdis + Redis, the reference.

Each function that starts a server is a context manager and ends that server. All servers run on the
server's core: for every contestant, the databases and the Redis behind a service are part of the
cost of its responses.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import hiredis

from servers import mysql, postgresql
from servers import redis as redis_server
from servers.nodes import ENVIRONMENT
from servers.processes import Failed, Running, free_port, listens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.bench import Bench
    from servers.redis import Redis

_address = re.compile(r"http://127\.0\.0\.1:(\d+)").search

FILL_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Server:
    """A running server on 127.0.0.1.

    Attributes:
        port: its TCP port.
        process: its process.
        path: the path for reading a key, without the key.
    """

    port: int
    process: Running
    path: str = "/guid/"

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of one GET on a new connection."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def metric(self, name: str) -> float:
        """The value of a metric without labels in Guidkeep's /metrics."""
        found = self._figures(name)
        if not found:
            raise Failed(f"/metrics has no {name}")
        return found[0]

    def counted(self, name: str, label: str, value: str) -> float:
        """The sum of a counter's series with this label; 0 if there is none."""
        return sum(self._figures(rf'{name}\{{(?:[^}}]*,)?{label}="{value}"[^}}]*\}}'))

    def _figures(self, pattern: str) -> list[float]:
        status, text = self.get("/metrics")
        if status != HTTPStatus.OK:
            raise Failed(f"/metrics got {status}")
        found = re.findall(rf"^{pattern} (\S+)$", text.decode(), re.MULTILINE)
        return [float(figure) for figure in found]


@contextmanager
def guidkeep(bench: Bench, database: Path, *flags: str) -> Iterator[Server]:
    """Guidkeep on an SQLite file, accepting requests, with its defaults and `flags`."""
    with node(bench, f"sqlite:///{database}", *flags) as server:
        yield server


@contextmanager
def node(bench: Bench, store: str, *flags: str) -> Iterator[Server]:
    """Guidkeep on the store of a URL, accepting requests, with its defaults and `flags`."""
    command = [str(bench.guidkeep), "serve", "--host", "127.0.0.1", "--port", "0"]
    with _announcing(bench, [*command, "--store", store, *flags]) as server:
        yield server


@contextmanager
def reference(bench: Bench, store: str, cache: str) -> Iterator[Server]:
    """The service that the specification suggests (`benchmarks/reference`)."""
    command = [sys.executable, "-m", "benchmarks.reference", "--port", str(free_port())]
    with _announcing(bench, [*command, "--store", store, "--cache", cache]) as server:
        yield server


@contextmanager
def mariadb(bench: Bench) -> Iterator[mysql.MariaDB]:
    """MariaDB with an empty data folder and its defaults: durable commits."""
    with mysql.started(bench.subfolder("mariadb"), core=bench.server_core) as engine:
        yield engine


@contextmanager
def postgres(bench: Bench) -> Iterator[postgresql.PostgreSQL]:
    """PostgreSQL with an empty data folder and its defaults: durable commits."""
    with postgresql.started(bench.subfolder("postgresql"), core=bench.server_core) as engine:
        yield engine


@contextmanager
def redis(bench: Bench, *, durable: bool = False) -> Iterator[Redis]:
    """A Redis that keeps nothing on disk unless `durable`.

    Args:
        bench: the run.
        durable: whether each write is on disk before its reply.
    """
    keep = ["--appendonly", "yes", "--appendfsync", "always"] if durable else []
    folder = bench.subfolder("redis")
    with redis_server.started(folder, flags=keep, core=bench.server_core) as server:
        yield server


@contextmanager
def nginx(bench: Bench, answer: bytes) -> Iterator[Server]:
    """One nginx worker that gives every request the same response, from memory."""
    port = free_port()
    folder = bench.subfolder("nginx")
    configuration = folder / "nginx.conf"
    configuration.write_text(_nginx_configuration(port, answer.decode()))
    command = ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(configuration)]
    with _run(bench, command) as process:
        process.wait_for(lambda: listens(port), "answer")
        yield Server(port, process)


@contextmanager
def webdis(bench: Bench, *, durable: bool) -> Iterator[tuple[Server, Redis]]:
    """Webdis in front of its own Redis, both on the server's core; and that Redis.

    Args:
        bench: the run.
        durable: whether each write is on disk before its reply.
    """
    with redis(bench, durable=durable) as behind:
        port = free_port()
        configuration = bench.subfolder("webdis") / "webdis.json"
        configuration.write_text(_webdis_configuration(port, behind.port))
        with _run(bench, ["webdis", str(configuration)]) as process:
            process.wait_for(lambda: listens(port), "answer")
            yield Server(port, process, path="/GET/"), behind


def fill_redis(server: Redis, records: Sequence[tuple[str, bytes]]) -> None:
    """Sets every key to its value."""
    with socket.create_connection((server.host, server.port), timeout=30) as connection:
        replies = connection.makefile("rb")
        for begin in range(0, len(records), FILL_BATCH):
            batch = records[begin : begin + FILL_BATCH]
            commands: list[tuple[Any, ...]] = [("SET", *pair) for pair in batch]
            connection.sendall(b"".join(map(hiredis.pack_command, commands)))
            for _ in batch:
                if (reply := replies.readline()) != b"+OK\r\n":
                    raise Failed(f"Redis refused a SET: {reply.decode().strip()}")


@contextmanager
def _run(bench: Bench, command: Sequence[str]) -> Iterator[Running]:
    """A process on the server's core."""
    program = bench.program(command[0])
    with Running([program, *command[1:]], core=bench.server_core, folder=bench.folder) as process:
        yield process


@contextmanager
def _announcing(bench: Bench, command: Sequence[str]) -> Iterator[Server]:
    """A service on the server's core that prints its address once it accepts requests."""
    with Running(
        command, core=bench.server_core, folder=bench.folder, environment=_environment(bench)
    ) as process:
        port = process.wait_for(lambda: _announced_port(process), "address", pause=0.001)
        yield Server(port, process)


def _environment(bench: Bench) -> dict[str, str]:
    """This process's environment without Guidkeep's settings; byte code is cached, as for users."""
    environment = {**ENVIRONMENT, "PYTHONPYCACHEPREFIX": str(bench.folder / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


def _announced_port(process: Running) -> int | None:
    """The port in the line with the server's address, if it is there."""
    found = _address(process.log.read_text(errors="replace"))
    return int(found[1]) if found else None


def _nginx_configuration(port: int, answer: str) -> str:
    quoted = answer.replace("\\", "\\\\").replace("'", "\\'")
    paths = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    user = "user root;" if os.geteuid() == 0 else ""  # so that it may enter the folder
    return f"""
        {user}
        worker_processes 1; daemon off; pid nginx.pid;
        events {{ worker_connections 2048; }}
        http {{
            access_log off;
            keepalive_requests 1000000000;
            {" ".join(f"{path}_temp_path {path};" for path in paths)}
            server {{
                listen 127.0.0.1:{port};
                location / {{ default_type application/json; return 200 '{quoted}'; }}
            }}
        }}
    """


def _webdis_configuration(port: int, redis_port: int) -> str:
    """Debian's default, without its log."""
    return json.dumps(
        {
            "redis_host": "127.0.0.1",
            "redis_port": redis_port,
            "http_host": "127.0.0.1",
            "http_port": port,
            "threads": 2,
            "daemonize": False,
            "database": 0,
            "acl": [],
            "verbosity": 0,
            "logfile": os.devnull,
        }
    )
