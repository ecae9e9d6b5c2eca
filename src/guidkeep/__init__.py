"""Guidkeep keeps GUIDs and their metadata until they expire."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from guidkeep.client import AsyncClient, Client, Day, Line, Page, Record, Stats, Written

__version__ = version("guidkeep")

_CLIENTS = ("AsyncClient", "Client", "Day", "Line", "Page", "Record", "Stats", "Written")

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
    """The client's names, imported when first asked for: the server has no use for them."""
    if name not in _CLIENTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("guidkeep.client"), name)
