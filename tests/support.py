"""Tools for many tests: a clock that tests move, a registry, a server in this process.

There are also ways to wait for a change in another process, which sends no event.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import uvloop

from guidkeep.caches import CacheOptions, open_cache
from guidkeep.errors import StoreUnavailable
from guidkeep.http.app import make_app
from guidkeep.http.hosts import Hosts
from guidkeep.metrics import Metrics
from guidkeep.record import Change, parse_change
from guidkeep.registry.drafts import Drafts
from guidkeep.registry.registry import Registry
from guidkeep.schema import MetadataSchema
from guidkeep.server.server import Running, serve
from guidkeep.settings import Settings
from guidkeep.stores import open_store
from servers.nodes import trusts_its_cache

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
    from pathlib import Path

    from guidkeep.caches import Cache
    from guidkeep.http.memory import Memory
    from guidkeep.http.requests import Application, Scope
    from guidkeep.metrics import Gathered
    from guidkeep.stores import Store

Result = TypeVar("Result")

STORE_TIMEOUT = 120.0
"""Seconds that a store may take. It is long for busy machines, for clusters of three nodes, and for
FerretDB, which reads every document for each write."""
PATIENCE = 60.0
"""Seconds after which a test that waits has failed."""

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients that speak plain HTTP: to read all certificates takes longer than a test does."""

MARCH_2015 = 1_425_144_345
"""2015-02-28T17:25:45Z: thirty days before the `expire` of the specification's examples."""

GUID = "9094E4C980C74043A4B586B420E69DDF"


class Clock:
    """A clock that a test sets; returns Unix time in seconds."""

    def __init__(self, now: float = MARCH_2015) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Moves the clock forwards or backwards."""
        self.now += seconds


def change(guid: str | None = GUID, body: str = '{"user": "Ann"}', *, now: int) -> Change:
    """The change that a request with that body asks for."""
    return parse_change(body.encode(), now=now, guid=guid)


@asynccontextmanager
async def opened_store(path: Path, timeout: float = 5.0) -> AsyncIterator[Store]:
    """Opens the SQLite store on that file."""
    store = await open_store(f"sqlite:///{path}", timeout=timeout, metrics=Metrics())
    try:
        yield store
    finally:
        await store.close()


def make_registry(
    store: Store,
    cache: Cache | None = None,
    clock: Clock | None = None,
    metrics: Metrics | None = None,
    **options: Any,
) -> Registry:
    """Makes a registry with the default schema, by default with a memory cache."""
    schema = options.pop("schema", None) or MetadataSchema()
    return Registry(
        store,
        cache or open_cache("memory://", CacheOptions(max_age=60)),
        drafts=Drafts(schema, **options),
        metrics=metrics or Metrics(),
        clock=clock or Clock(),
    )


def app_of(
    registry: Registry,
    *,
    metrics: Metrics | None = None,
    gather: Callable[[], Awaitable[Gathered]] | None = None,
    is_draining: Callable[[], bool] = lambda: False,
    memory: Memory | None = None,
    **settings: Any,
) -> Application:
    """Makes the application over that registry; `settings` are those that differ from defaults."""
    chosen = Settings(**settings)
    return make_app(
        registry,
        settings=chosen,
        schema=MetadataSchema(),
        metrics=metrics or Metrics(),
        hosts=Hosts(chosen.allow_host, bound=chosen.host),
        gather=gather,
        is_draining=is_draining,
        memory=memory,
    )


def metric(metrics: Metrics, name: str, *labels: str) -> list[float]:
    """The numbers of one series; 0 if it has not begun. See `guidkeep.metrics.Numbers`."""
    for values, numbers in metrics.numbers()[name]:
        if values == list(labels):
            return numbers
    return [0.0]


def scope_of(method: str, path: str, query: bytes = b"") -> Scope:
    """Makes a request as an application gets it from a server."""
    headers = [(b"host", b"localhost")]
    return {
        "type": "http", "method": method, "path": path, "query_string": query, "headers": headers,
    }  # fmt: skip


@contextmanager
def served(
    clock: Clock | None = None, steady: Clock | None = None, **settings: Any
) -> Iterator[Running]:
    """Runs a whole server in a thread of this process, on a free port of the loopback address.

    Args:
        clock: its wall clock.
        steady: its steady clock; by default `clock` too, so that no jump is seen.
        settings: those that differ from the defaults; `store` is required.
    """
    chosen = Settings(**{"port": 0, "drain_timeout": 5.0, **settings})
    clock = clock or Clock()
    started = threading.Event()
    running: list[Running] = []
    failures: list[BaseException] = []

    def up(server: Running) -> None:
        running.append(server)
        started.set()

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(serve(chosen, clock=clock, steady=steady or clock, started=up))
        except BaseException as error:  # noqa: BLE001 - raised again by the test's thread
            failures.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=run, name="guidkeep-under-test")
    thread.start()
    started.wait(timeout=30)
    try:
        if failures:
            raise failures[0]
        yield running[0]
    finally:
        if running:
            running[0].stop()
        thread.join(timeout=30)
    assert not thread.is_alive()
    if failures:
        raise failures[0]


async def iterations(count: int = 20) -> None:
    """Runs a number of event-loop iterations, so that all tasks go on as far as they can."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(holds: Callable[[], object]) -> None:
    """Returns when the condition is true."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


def wait_until(holds: Callable[[], object]) -> None:
    """Does the same without an event loop."""
    asyncio.run(until(holds))


async def once_it_answers(ask: Callable[[], Awaitable[Result]]) -> Result:
    """Calls a store again and again; returns its first result that is not a failure."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await ask()
            except StoreUnavailable:
                await asyncio.sleep(0.01)


async def all_trust_the_cache(addresses: Iterable[str], patience: float = PATIENCE) -> None:
    """Returns when each node reaches the cache and has dropped there all it wrote meanwhile."""
    async with asyncio.timeout(patience):
        for address in addresses:
            while not await asyncio.to_thread(trusts_its_cache, address):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)


async def outcomes(*work: Awaitable[Any]) -> list[Any]:
    """Awaits all; returns the result or the error of each."""
    return await asyncio.gather(*work, return_exceptions=True)
