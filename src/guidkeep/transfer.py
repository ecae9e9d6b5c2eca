"""The command `guidkeep copy`: from one store to another, and whether they are the same then."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from guidkeep import copying, progress
from guidkeep.addresses import redacted
from guidkeep.errors import StartupError, StoreUnavailable
from guidkeep.metrics import Metrics
from guidkeep.stores import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from guidkeep.copying import Difference, Tally
    from guidkeep.stores import Store

TIMEOUT = 30.0
"""Seconds that an operation of a store may take: nobody waits for an answer."""
EXIT_DIFFERENT = 1
EXIT_INTERRUPTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What is to be copied.

    Attributes:
        source: the URL of the store that is read.
        target: the URL of the one that is written.
        delete: whether the target loses what the source has not.
        verify_only: whether the two are only compared.
    """

    source: str
    target: str
    delete: bool = False
    verify_only: bool = False


def run(transfer: Transfer) -> int:
    """Copies and compares; returns the exit code: 0 if the stores are the same at the end, else 1.

    Raises:
        StartupError: a store can't be opened.
    """
    if transfer.source == transfer.target:
        raise StartupError("--from and --to are the same store.")
    _require_file(transfer.source)
    try:
        return asyncio.run(_run(transfer))
    except StoreUnavailable as error:
        _complain(f"It stopped on the way: {error.detail} Run it again: it goes on from there.")
        return EXIT_DIFFERENT
    except KeyboardInterrupt:
        _complain("Interrupted. Run it again: it goes on from there.")
        return EXIT_INTERRUPTED


async def _run(transfer: Transfer) -> int:
    async with (
        _opened("--from", transfer.source) as source,
        _opened("--to", transfer.target) as target,
    ):
        if not transfer.verify_only:
            with progress.shown("copying", sys.stderr) as watch:
                tally = await copying.copy(
                    source, target, clock=time.time, watch=watch, delete=transfer.delete
                )
            _say(_told(transfer, tally))
        return await _compare(source, target)


async def _compare(source: Store, target: Store) -> int:
    different = 0

    def differs(guid: str, difference: Difference) -> None:
        nonlocal different
        different += 1
        _say(f"{guid} {difference.value}")

    with progress.shown("comparing", sys.stderr) as watch:
        equal = await copying.compare(source, target, clock=time.time, watch=watch, differs=differs)
    _say(f"Compared: {equal:,} equal, {different:,} different.")
    return EXIT_DIFFERENT if different else 0


def _told(transfer: Transfer, tally: Tally) -> str:
    deleted = f"{tally.deleted:,} deleted, " if transfer.delete else ""
    left = f", {tally.left:,} left as they are in the target" if tally.left else ""
    return (
        f"Copied {redacted(transfer.source)} to {redacted(transfer.target)}: "
        f"{tally.created:,} created, {tally.updated:,} updated, {deleted}"
        f"{tally.equal:,} there already{left}."
    )


@asynccontextmanager
async def _opened(flag: str, url: str) -> AsyncIterator[Store]:
    try:
        store = await open_store(url, timeout=TIMEOUT, metrics=Metrics())
    except StartupError as error:
        raise StartupError(f"{flag}: {error}") from error
    try:
        yield store
    finally:
        await store.close()


def _require_file(url: str) -> None:
    """Raises StartupError if `url` names an SQLite file that is not there: it would be made."""
    parts = urlsplit(url)
    path = Path(unquote(parts.path[1:]))
    if parts.scheme == "sqlite" and not path.exists():
        raise StartupError(f"--from: There is no file {path}.")


def _say(line: str) -> None:
    print(line)  # noqa: T201 - it is a command


def _complain(line: str) -> None:
    print(f"guidkeep: {line}", file=sys.stderr)  # noqa: T201 - it is a command
