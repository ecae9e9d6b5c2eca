"""The progress of a long task: a bar on a terminal, otherwise a line at intervals."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Watch = Callable[[float | None, int], None]

BETWEEN_LINES = 10.0
"""The shortest time between two lines, in seconds."""


@contextmanager
def shown(
    title: str, stream: IO[str], *, clock: Callable[[], float] = time.monotonic
) -> Iterator[Watch]:
    """Yields a function to call with the progress, from 0 to 1, and the number of records so far.

    The progress may be None, if it is not known.

    Args:
        title: the task's name.
        stream: the stream to write to.
        clock: returns seconds.
    """
    with _bar(title, stream, clock) if stream.isatty() else _lines(title, stream, clock) as watch:
        yield watch


@contextmanager
def _lines(title: str, stream: IO[str], clock: Callable[[], float]) -> Iterator[Watch]:
    due = clock() + BETWEEN_LINES

    def watch(share: float | None, records: int) -> None:
        nonlocal due
        if clock() >= due:
            due = clock() + BETWEEN_LINES
            far = "" if share is None else f"{share:.0%}, "
            print(f"{title}: {far}{records:,} records", file=stream, flush=True)

    yield watch


@contextmanager
def _bar(title: str, stream: IO[str], clock: Callable[[], float]) -> Iterator[Watch]:
    from rich.console import Console  # noqa: PLC0415 - a server needs no bar
    from rich.progress import (  # noqa: PLC0415 - as above
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[records]:,} records"),
        TextColumn("{task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
    )
    # Other output on a terminal appears above the bar.
    above = sys.stdout.isatty()
    with Progress(*columns, console=Console(file=stream), redirect_stdout=above) as bar:
        task = bar.add_task(title, total=None, records=0, rate=0.0)
        began = clock()
        first: int | None = None

        def watch(share: float | None, records: int) -> None:
            nonlocal first
            first = records if first is None else first  # not 0 if it resumes
            rate = (records - first) / max(clock() - began, 0.001)
            total = None if share is None else 1.0
            bar.update(task, total=total, completed=share or 0.0, records=records, rate=rate)

        yield watch
