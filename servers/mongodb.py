"""FerretDB, which speaks MongoDB's protocol and keeps its data in SQLite; for tests and trials.

MongoDB's own server is in none of the usual package registries; `servers/ferretdb` is built from
the Go module proxy instead, by `make servers`.
"""

from __future__ import annotations

import itertools
import os
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from servers.processes import Missing, Owned, Running, free_port, listens, program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAME = "ferretdb"
BUILT = Path(__file__).parents[1] / "build" / "servers"
"""Where `make servers` puts it."""


class MongoDB(Owned):
    """A server; see `Owned`.

    Attributes:
        url: the URL of the server, without a database.
    """

    def __init__(self, url: str, launch: Callable[[], Running] | None = None) -> None:
        super().__init__(launch)
        self.url = url
        self.port = urlsplit(url).port or 27017
        self._numbers = itertools.count(1)

    def fresh(self) -> str:
        """The URL of a new, empty database: the first write creates it."""
        return self.named(f"guidkeep_{os.getpid()}_{next(self._numbers)}")

    def named(self, database: str) -> str:
        """The URL of a database of that name."""
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{database}"))

    def answers(self) -> bool | None:
        """See `Owned`: whether it accepts connections."""
        return listens(self.port)


def at(url: str) -> MongoDB:
    """A server that is running already, MongoDB's own for instance."""
    return MongoDB(url)


@contextmanager
def started(folder: Path, *, core: int | None = None) -> Iterator[MongoDB]:
    """A server of its own.

    Args:
        folder: for its data; exists and is empty.
        core: the core it runs on; None: any.

    Raises:
        Missing: it is not built.
    """
    port = free_port()
    command = [_program(), "-listen", f"127.0.0.1:{port}", "-data", str(folder)]
    environment = os.environ | {"GOGC": "400"}  # a fifth less CPU time for memory that is there
    launch = partial(Running, command, folder=folder, core=core, environment=environment)
    engine = MongoDB(f"mongodb://127.0.0.1:{port}", launch)
    try:
        engine.start()
        yield engine
    finally:
        engine.stop()


def _program() -> str:
    try:
        return program(NAME, package="", folders=[str(BUILT)])
    except Missing:
        raise Missing(f"{NAME} is missing: make servers builds it") from None
