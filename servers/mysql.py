"""A MariaDB server, created in an empty folder, on 127.0.0.1, with its default durability."""

from __future__ import annotations

import os
import secrets
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from servers import PACKAGE_OF
from servers.processes import Failed, Running, free_port, listens, program

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

USER = "guidkeep"
PASSWORD = "pa:ss/w@rd"  # noqa: S105 - for tests; has characters that are special in URLs
"""The password of the user with all rights."""
PACKAGE = PACKAGE_OF["mariadbd"]
SETTINGS = (
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--innodb-buffer-pool-dump-at-shutdown=0",  # stops faster
    "--innodb-buffer-pool-load-at-startup=0",
)
"""Options of every server here. None affects durability."""

BINARY_LOG = ("--log-bin=binlog", "--sync-binlog=1")
"""With these no read shows a commit that a crash undoes: MySQL's default, not MariaDB's."""


class Server:
    """A running MySQL server, with a user that has all rights.

    Args:
        url: `mysql://user:password@host:port/`.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = program("mariadb", package="mariadb-client")

    def fresh(self) -> str:
        """The URL of a new, empty database."""
        name = f"guidkeep_{secrets.token_hex(6)}"
        self.run(f"CREATE DATABASE {name}")
        return f"{self.url.rstrip('/')}/{name}"

    def run(self, statements: str) -> str:
        """Runs SQL and returns the output: one row per line, tabs between the columns.

        Raises:
            Failed: the server refused it.
        """
        parts = urlsplit(self.url)
        asked = subprocess.run(
            [
                self._client,
                "--no-defaults",
                f"--host={parts.hostname}",
                f"--port={parts.port or 3306}",
                "--protocol=tcp",
                f"--user={unquote(parts.username or '')}",
                "--default-character-set=utf8mb4",
                "--batch",
                "--skip-column-names",
            ],
            env={**os.environ, "MYSQL_PWD": unquote(parts.password or "")},
            input=statements,
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.returncode:
            raise Failed(f"mariadb: {asked.stderr.strip()}")
        return asked.stdout


class MariaDB(Server):
    """A server that may be ended and restarted, on the same data and port.

    Args:
        folder: for its data.
        options: further options of mariadbd.
        core: the core it runs on; None: any.
    """

    process: Running

    def __init__(
        self, folder: Path, *, options: Sequence[str] = (), core: int | None = None
    ) -> None:
        self.port = free_port()
        super().__init__(f"mysql://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/")
        self._program = program("mariadbd", package=PACKAGE)
        self._folder = folder
        self._options = tuple(options)
        self._core = core
        self._install()

    def start(self) -> None:
        """Starts or restarts it, and returns when it responds."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Starts it; see `wait`."""
        self.process = Running(self._command(), folder=self._folder, core=self._core)

    def wait(self) -> None:
        """Returns when it responds. Raises Failed if it ends before."""
        self.process.wait_for(lambda: listens(self.port), "answer")

    def _command(self) -> list[str]:
        """The command that starts it."""
        return [
            self._program,
            "--no-defaults",
            *self._place(),
            f"--port={self.port}",
            f"--socket={self._folder / 'socket'}",
            f"--pid-file={self._folder / 'pid'}",
            *SETTINGS,
            *self._options,
        ]

    def _install(self) -> None:
        """Creates the system's tables in the empty folder, and the user."""
        users = self._folder / "users.sql"
        users.write_text(
            f"FLUSH PRIVILEGES;\nGRANT ALL ON *.* TO '{USER}'@'%' "
            f"IDENTIFIED BY '{PASSWORD}' WITH GRANT OPTION;\n"
        )
        made = subprocess.run(
            [
                program("mariadb-install-db", package=PACKAGE),
                "--no-defaults",
                *self._place(),
                "--auth-root-authentication-method=normal",
                "--skip-name-resolve",
                "--skip-test-db",
                f"--extra-file={users}",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise Failed(f"mariadb-install-db: {made.stdout} {made.stderr}")

    def _place(self) -> list[str]:
        # It refuses to run as root without this; another user could not enter root's folder.
        whose = ["--user=root"] if os.geteuid() == 0 else []
        return [f"--datadir={self._folder / 'data'}", f"--tmpdir={self._folder}", *whose]


@contextmanager
def started(
    folder: Path, *, options: Sequence[str] = (), core: int | None = None
) -> Iterator[MariaDB]:
    """A new server with its data in `folder`; see `MariaDB`. Raises Missing."""
    server = MariaDB(folder, options=options, core=core)
    server.start()
    try:
        yield server
    finally:
        server.process.stop()


def at(url: str) -> Server:
    """A server that is running already; the URL's user may create databases."""
    return Server(url)
