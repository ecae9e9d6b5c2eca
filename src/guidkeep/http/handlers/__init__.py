"""The handlers of the routes: a module for each kind of request. No handler knows another.

`guidkeep.http.app` makes one object of each class that a row of the table of routes names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from guidkeep.http.limits import Limits
    from guidkeep.metrics import Gathered
    from guidkeep.registry.registry import Registry
    from guidkeep.settings import Settings


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a server that handlers use. The class of each handler takes them.

    Attributes:
        registry: performs the operations.
        settings: the operator's.
        limits: the limits of all requests.
        gather: gathers the numbers of all workers.
        is_draining: whether the server is about to stop.
        document: the content of `/openapi.json`.
        methods: the methods of all routes.
    """

    registry: Registry
    settings: Settings
    limits: Limits
    gather: Callable[[], Awaitable[Gathered]]
    is_draining: Callable[[], bool]
    document: dict[str, object]
    methods: Iterable[str]
