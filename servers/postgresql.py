"""PostgreSQL, and PgBouncer in front of it: real ones, for tests and benchmarks."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from servers import PACKAGE_OF
from servers.processes import Failed, Running, free_port, program

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PACKAGE = PACKAGE_OF["postgres"]
FOLDERS = tuple(
    str(folder) for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
)
"""Debian's folders for the programs of each version, the newest first."""
OWNER = "postgres"
"""The user that runs the server if this process runs as root: the server refuses root."""
USER = "guidkeep"
PASSWORD = "only-for-tests"  # noqa: S105 - of servers that listen on the loopback address only


class Server:
    """A running server.

    Attributes:
        url: names a database of the server, and a user that may create databases.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._numbers = itertools.count(1)

    def fresh(self) -> str:
        """The URL of a new, empty database."""
        name = f"guidkeep_{os.getpid()}_{time.monotonic_ns()}_{next(self._numbers)}"
        self.run(f'CREATE DATABASE "{name}"')
        return self.named(name)

    def named(self, database: str) -> str:
        """The URL of a database of that name."""
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{database}"))

    def run(self, *statements: str, url: str | None = None) -> str:
        """Runs statements one by one with psql, each its own transaction, and returns the output.

        Raises:
            Failed: one of them failed; the message is the server's.
        """
        command = [_program("psql"), "--no-psqlrc", "--tuples-only", "--no-align", "--quiet"]
        command += ["--set", "ON_ERROR_STOP=1", "--dbname", url or self.url]
        for statement in statements:
            command += ["--command", statement]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            raise Failed(f"psql: {done.stderr.strip()}")
        return done.stdout.strip()

    def answers(self, url: str | None = None) -> bool | None:
        """True if it responds, else None: for `Running.wait_for`."""
        try:
            self.run("SELECT 1", url=url)
        except Failed:
            return None
        return True


class PostgreSQL(Server):
    """A new server with its default durability.

    Args:
        folder: for its data and logs; `started` creates `data` in it.
        flags: further flags of the server, such as `-c`, `shared_buffers=1GB`.
        core: where it runs; None: anywhere.
    """

    process: Running
    """The postmaster; a child process serves each connection."""

    def __init__(self, folder: Path, *, flags: Sequence[str] = (), core: int | None = None) -> None:
        port = free_port()
        super().__init__(f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{port}/postgres")
        self._command = [
            *(_program("postgres"), "-D", str(folder / "data"), "-p", str(port)),
            *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
            *flags,
        ]
        self._folder = folder
        self._core = core

    def start(self) -> None:
        """Starts or restarts it, and returns when it responds."""
        self.process = Running(self._command, folder=self._folder, core=self._core, user=OWNER)
        self.process.wait_for(self.answers, "answer")

    def stop(self) -> None:
        """Ends it without waiting for clients and without cleaning up: the data is not needed."""
        self.process.stop(signal.SIGQUIT)

    def use_certificate(self, key: Path, certificate: Path) -> None:
        """Makes it use TLS from now on, with a self-signed certificate."""
        for file, name in ((key, "server.key"), (certificate, "server.crt")):
            copy = self._folder / "data" / name
            shutil.copy(file, copy)
            copy.chmod(0o600)
            if os.geteuid() == 0:
                shutil.chown(copy, OWNER)
        self.run("ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()")
        url = f"{self.url}?sslmode=verify-full&sslrootcert={certificate}"
        self.process.wait_for(lambda: self.answers(url), "TLS")


class Bouncer:
    """PgBouncer in transaction pooling mode, with the databases of the server behind it."""

    def __init__(self, engine: Server, port: int, process: Running) -> None:
        self.engine = engine
        self.process = process
        self._port = port

    def fresh(self) -> str:
        """The URL of a new, empty database, through PgBouncer."""
        return self.by_way_of(self.engine.fresh())

    def by_way_of(self, url: str) -> str:
        """The URL of a database of the server, through PgBouncer."""
        parts = urlsplit(url)
        login = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{self._port}"))


def at(url: str) -> Server:
    """A server that is running already; the URL's user may create databases."""
    return Server(url)


@contextmanager
def started(
    folder: Path, *, flags: Sequence[str] = (), core: int | None = None
) -> Iterator[PostgreSQL]:
    """A new server; see `PostgreSQL`. The folder exists and is empty.

    Raises:
        Missing: it is not installed.
    """
    with home(folder) as place:
        _new_cluster(place)
        engine = PostgreSQL(place, flags=flags, core=core)
        engine.start()
        try:
            yield engine
        finally:
            engine.stop()


@contextmanager
def home(folder: Path) -> Iterator[Path]:
    """A folder for the data of a server: `folder`, unless this process runs as root.

    Then it is a folder of `OWNER`'s, which is removed at the end: `OWNER` may not be able to enter
    the given one, and pytest takes the right to enter its folders away at each start.
    """
    if os.geteuid() != 0:
        yield folder
        return
    with TemporaryDirectory(prefix="postgresql-") as other:
        shutil.chown(other, OWNER)
        yield Path(other)


@contextmanager
def pgbouncer(
    folder: Path, engine: Server, *, pool_size: int = 10, core: int | None = None
) -> Iterator[Bouncer]:
    """PgBouncer in transaction pooling mode, in front of that server.

    Args:
        folder: for its settings and log; exists and is empty.
        engine: the server.
        pool_size: the largest number of connections to each database.
        core: where it runs; None: anywhere.

    Raises:
        Missing: it is not installed.
    """
    path = program("pgbouncer", package="pgbouncer")
    port = free_port()
    with home(folder) as place:
        settings = _settings_of_pgbouncer(place, engine, port, pool_size)
        with Running([path, str(settings)], folder=place, core=core, user=OWNER) as process:
            bouncer = Bouncer(engine, port, process)
            url = bouncer.by_way_of(engine.url)
            process.wait_for(lambda: engine.answers(url), "answer")
            yield bouncer


def _settings_of_pgbouncer(folder: Path, engine: Server, port: int, pool_size: int) -> Path:
    parts = urlsplit(engine.url)
    users = folder / "users.txt"
    users.write_text(f'"{parts.username}" "{parts.password}"\n')
    settings = folder / "pgbouncer.ini"
    settings.touch()
    if os.geteuid() == 0:  # whatever the umask is, `OWNER` can read them
        for path in (users, settings):
            shutil.chown(path, OWNER)
    settings.write_text(
        "[databases]\n"
        f"* = host={parts.hostname} port={parts.port}\n"
        "[pgbouncer]\n"
        "listen_addr = 127.0.0.1\n"
        f"listen_port = {port}\n"
        "unix_socket_dir =\n"
        "auth_type = scram-sha-256\n"
        f"auth_file = {users}\n"
        "pool_mode = transaction\n"
        "max_client_conn = 200\n"
        f"default_pool_size = {pool_size}\n"
        "server_idle_timeout = 1\n"  # seconds; tests use many databases, each briefly
    )
    return settings


def _new_cluster(folder: Path) -> None:
    """Creates a data folder, owned by the user that runs the server."""
    data = folder / "data"
    password = folder / "password"
    password.write_text(PASSWORD)
    if os.geteuid() == 0:
        shutil.chown(password, OWNER)
    command = [_program("initdb"), "--no-sync", "--pgdata", str(data), "--username", USER]
    command += ["--pwfile", str(password), "--auth", "scram-sha-256"]
    command += ["--encoding", "UTF8", "--no-locale"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        user=OWNER if os.geteuid() == 0 else None,
    )
    if done.returncode:
        raise Failed(f"initdb: {done.stderr.strip()}")


def _program(name: str) -> str:
    return program(name, package=PACKAGE, folders=FOLDERS)
