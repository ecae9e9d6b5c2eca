"""The part of a store that makes connections through a driver, and its connections.

The pool uses them; a store's module `adapter` implements them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from guidkeep.stores.remote.failures import Codes, Report

Statement_contra = TypeVar("Statement_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)


class Connection(ABC, Generic[Statement_contra, Result_co]):
    """A connection to the server.

    Attributes:
        since: the time of its last use, by the event loop's clock.
        sent: the number of statements so far that may have reached the server.
    """

    since = 0.0

    @property
    @abstractmethod
    def sent(self) -> int:
        """See the class."""

    @property
    @abstractmethod
    def is_closed(self) -> bool:
        """Whether it is known to be closed."""

    @abstractmethod
    async def run(self, statement: Statement_contra) -> Result_co:
        """Runs a statement; raises an error of the driver, or a Failure."""

    @abstractmethod
    async def ping(self) -> None:
        """Returns when the server has responded."""

    @abstractmethod
    async def leave(self) -> None:
        """Closes the connection properly; no statement is under way."""

    @abstractmethod
    def abort(self) -> None:
        """Closes the socket at once, so that a statement under way fails; raises nothing."""

    async def cut(self) -> None:
        """Has the server give up the statement under way, if it can, and closes the connection.

        It raises nothing.
        """
        self.abort()


class Adapter(Protocol[Statement_contra, Result_co]):
    """Makes connections, and reports the facts about their errors."""

    codes: Codes
    """The meaning of the engine's error codes."""
    full: frozenset[str]
    """The codes for a server that accepts no more connections."""
    unfit: frozenset[str]
    """The codes for a server that can't serve any connection at the moment."""

    def keeps(self, code: str) -> bool:
        """Whether a connection stays usable after a refusal with this code.

        After other codes a new connection may lead to another server: a replica that became the
        primary.
        """
        ...

    async def connect(self, deadline: float) -> Connection[Statement_contra, Result_co]:
        """Makes a connection that is ready for statements.

        Args:
            deadline: the event loop's time at which the attempt is given up.

        Raises:
            Exception: an error that `report` understands, TimeoutError included.
        """
        ...

    def report(self, error: Exception) -> Report:
        """Returns the facts about the error."""
        ...
