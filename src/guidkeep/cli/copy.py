"""`guidkeep copy`: copies one store to another, then compares them."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from guidkeep import logs
from guidkeep.cli import exits, progress_bar
from guidkeep.cli.output import Output
from guidkeep.cli.runner import GOES_ON, guarded
from guidkeep.errors import StartupError
from guidkeep.metrics import Metrics
from guidkeep.stores import copy, open_store, require_file
from guidkeep.urls import redacted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from guidkeep.stores import Store
    from guidkeep.stores.copy import Difference, Tally

    Options = dict[str, Any]

TIMEOUT = 30.0
"""Seconds that an operation of a store may take; long, since no client waits."""


def run(options: Options) -> int:
    """Copies and compares; returns the exit code: 0 if the stores are the same at the end."""
    logs.configure(form="auto", level="warning")
    again = "" if options["verify_only"] else GOES_ON
    return guarded(lambda: _run(options), again=again)


def _run(options: Options) -> int:
    if options["source"] == options["target"]:
        raise StartupError("--from and --to are the same store.")
    with _naming("--from"):
        require_file(options["source"])
    return asyncio.run(_copy(options, Output("table")))


async def _copy(options: Options, output: Output) -> int:
    async with (
        _opened("--from", options["source"]) as source,
        _opened("--to", options["target"]) as target,
    ):
        if not options["verify_only"]:
            with progress_bar.shown("copying", sys.stderr) as watch:
                tally = await copy.copy(
                    source, target, clock=time.time, watch=watch, delete=options["delete"]
                )
            output.line(_told(options, tally))
        return await _compare(source, target, output)


async def _compare(source: Store, target: Store, output: Output) -> int:
    different = 0

    def differs(guid: str, difference: Difference) -> None:
        nonlocal different
        different += 1
        output.line(f"{guid} {difference.value}")

    with progress_bar.shown("comparing", sys.stderr) as watch:
        equal = await copy.compare(source, target, clock=time.time, watch=watch, differs=differs)
    output.line(f"Compared: {equal:,} equal, {different:,} different.")
    return exits.FAILED if different else 0


def _told(options: Options, tally: Tally) -> str:
    deleted = f"{tally.deleted:,} deleted, " if options["delete"] else ""
    left = f", {tally.left:,} left unchanged in the target" if tally.left else ""
    return (
        f"Copied {redacted(options['source'])} to {redacted(options['target'])}: "
        f"{tally.created:,} created, {tally.updated:,} updated, {deleted}"
        f"{tally.equal:,} there already{left}."
    )


@asynccontextmanager
async def _opened(flag: str, url: str) -> AsyncIterator[Store]:
    with _naming(flag):
        store = await open_store(url, timeout=TIMEOUT, metrics=Metrics())
    try:
        yield store
    finally:
        await store.close()


@contextmanager
def _naming(flag: str) -> Iterator[None]:
    """Names the flag whose URL a StartupError is about."""
    try:
        yield
    except StartupError as error:
        raise StartupError(f"{flag}: {error}") from error
