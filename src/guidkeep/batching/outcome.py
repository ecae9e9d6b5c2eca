"""Outcomes: what becomes of an operation that is out of one's hands once it has begun."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from guidkeep.errors import OutcomeUnknown

if TYPE_CHECKING:
    from collections.abc import Generator

Result = TypeVar("Result")


class Outcome(asyncio.Future[Result]):
    """What becomes of an operation. It can't be cancelled, for the operation can't be stopped.

    A task that is cancelled while it waits for one learns of that when the outcome is certain,
    so that it may act on it: give a lease back, above all.
    """

    def __await__(self) -> Generator[Any, None, Result]:
        """The result; to a task that was cancelled, first of all that the outcome is unknown."""
        try:
            return (yield from super().__await__())
        except asyncio.CancelledError:
            error = self.exception()
            if isinstance(error, OutcomeUnknown):
                raise error from None
            raise

    def cancel(self, msg: Any = None) -> bool:  # noqa: ARG002 - asyncio's signature
        """Refuses."""
        return False

    def resolve(self, result: Result | BaseException) -> None:
        """Makes the outcome known: a result, or an exception to raise."""
        if isinstance(result, BaseException):
            self.set_exception(result)
        else:
            self.set_result(result)
