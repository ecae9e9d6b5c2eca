"""Guidkeep keeps GUIDs and their metadata until they expire."""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers read it; `typing` itself takes long to import
if TYPE_CHECKING:
    from typing import Any

    from guidkeep.client import AsyncClient, Client, Day, Line, Page, Record, Stats, Written
    from guidkeep.errors import (
        BodyTooLarge,
        Fault,
        GuidkeepError,
        InvalidRequest,
        NotFound,
        OutcomeUnknown,
        PreconditionFailed,
        StoreUnavailable,
        TooManyRequests,
        UnknownAnswer,
        Unreachable,
    )

    __version__: str

__all__ = [
    "AsyncClient",
    "BodyTooLarge",
    "Client",
    "Day",
    "Fault",
    "GuidkeepError",
    "InvalidRequest",
    "Line",
    "NotFound",
    "OutcomeUnknown",
    "Page",
    "PreconditionFailed",
    "Record",
    "Stats",
    "StoreUnavailable",
    "TooManyRequests",
    "UnknownAnswer",
    "Unreachable",
    "Written",
]


def __getattr__(name: str) -> Any:
    """Imports a public name on first use.

    The server does not need the client, and the command handles Ctrl-C before it imports anything
    else.
    """
    from importlib import import_module  # noqa: PLC0415 - see above

    if name == "__version__":
        return import_module("guidkeep.system.version").VERSION
    if name not in (*__all__, "errors"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    errors = import_module("guidkeep.errors")
    if name == "errors":
        return errors
    return getattr(errors if hasattr(errors, name) else import_module("guidkeep.client"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
