"""Real clusters, each started once for the tests of a module."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from servers.nodes import Node

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@contextmanager
def nodes_on(folder: Path, stores: Sequence[str], *flags: str) -> Iterator[list[Node]]:
    """Running Guidkeep nodes with the same flags, one for each store URL."""
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
