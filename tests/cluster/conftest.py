"""Real clusters, each started once for the tests of a module."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from servers.nodes import Node
from servers.processes import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import TypeVar

    Started = TypeVar("Started")


@contextmanager
def here(starting: AbstractContextManager[Started]) -> Iterator[Started]:
    """Starts it; skips the test, or in CI fails it, where something is not installed."""
    with ExitStack() as stack:
        try:
            started = stack.enter_context(starting)
        except Missing as missing:
            reason = f"{missing} (make servers installs all)"
            (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
        yield started


@contextmanager
def nodes_on(folder: Path, stores: Sequence[str], *flags: str) -> Iterator[list[Node]]:
    """Nodes of Guidkeep that run, one for each of the stores' URLs, with the same flags."""
    with ExitStack() as stack:
        nodes = []
        for number, store in enumerate(stores):
            place = folder / f"node-{number}"
            place.mkdir()
            nodes.append(Node(place, ["--store", store, *flags]))
            nodes[-1].launch()
            stack.callback(nodes[-1].__exit__)
        for node in nodes:
            node.wait()
        yield nodes
