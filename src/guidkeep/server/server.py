"""Assembles store, cache, registry and application, serves requests, and drains."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import resource
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import structlog
import uvicorn
import uvloop

from guidkeep.caches import CacheOptions, open_cache, watch_cache
from guidkeep.caches.first_look import look_at
from guidkeep.errors import StartupError
from guidkeep.http import representation
from guidkeep.http.app import make_app
from guidkeep.http.connection.context import (
    OTHER_DESCRIPTORS,
    ConnectionContext,
    connections_within,
)
from guidkeep.http.connection.protocol import DRAIN_GRACE, GuidkeepProtocol, watch
from guidkeep.http.cross_site import CrossSitePolicy
from guidkeep.http.hosts import Hosts
from guidkeep.http.memory import keep_in_one_piece
from guidkeep.http.routes import HEALTH
from guidkeep.metrics import Metrics
from guidkeep.registry.clock import ClockWatch, steady_time
from guidkeep.registry.drafts import Drafts
from guidkeep.registry.registry import Registry
from guidkeep.registry.sweep import Sweep
from guidkeep.schema import MetadataSchema
from guidkeep.server.listening import let_everybody_in, let_nobody_in
from guidkeep.server.shared_metrics import shared_metrics
from guidkeep.server.sockets import BACKLOG, address_of, announce, bind, listen
from guidkeep.server.stopping import Stop, on_signals
from guidkeep.stores import open_store

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence

    from guidkeep.metrics import Gathered
    from guidkeep.settings import Settings

log = structlog.get_logger(__name__)

SWITCH_INTERVAL = 0.0005
"""Seconds after which a thread that waits for the interpreter's lock gets it. The store's threads
need the lock a few times per batch. With Python's default of 5 ms, each batch of a busy server
would wait that long each time."""
COLLECT_AFTER = (50_000, 20, 100)
"""The garbage collector's thresholds, by generation. A request leaves no cyclic garbage, but with
Python's thresholds its short-lived objects start the collector every few requests: 7 % of the time
of a create."""
LEASE_TIMEOUTS = 3
"""The time that a lease lasts once its writer has it, in multiples of the store's timeout. A write
may wait for one timeout before it begins, and takes another at most."""
CANCEL_AGAIN = 0.5
"""Seconds after which a cancelled start that has not ended is cancelled again. A driver may lose a
cancellation, as `asyncio.wait_for` does in Python 3.11 if it comes at the last moment."""
CLOCK_LOOKS = 1.0
"""Seconds between checks of the clock. After the clock was set, the cache may believe a wrong age
of an entry for this time."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that accepts requests at `address`. Calling `stop` drains it."""

    address: str
    stop: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A worker's share of a server that has several workers.

    Attributes:
        listener: the bound socket on which only this worker accepts.
        number: the worker's number, from 0. Worker 0 sweeps.
        names: the names of the sockets on which the workers share their metrics.
    """

    listener: socket.socket
    number: int
    names: Sequence[str]


class Server(uvicorn.Server):
    """uvicorn's server; it reports its address, and exits with 0 after a signal that stops it."""

    def __init__(
        self, config: uvicorn.Config, context: ConnectionContext, started: Callable[[Running], None]
    ) -> None:
        super().__init__(config)
        self._context = context
        self._started = started

    async def serve_until(self, stop: Stop, listener: socket.socket) -> None:
        """Serves until `stop` is asked for; watches the connections meanwhile."""
        stop.lead_to(self.stop)
        connections = self.server_state.connections
        self._context.metrics.watch("guidkeep_connections", lambda: len(connections))
        watcher = asyncio.create_task(watch(connections, self._context.memory))
        try:
            await self.serve(sockets=[listener])
        finally:
            stop.lead_to(lambda: None)  # nothing is left to stop
            watcher.cancel()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to accept connections, then calls `started`."""
        [listener] = sockets or []
        listen(self._context.settings, listener)  # the event loop would hide the error
        let_everybody_in(listener)  # a worker that died may have had this socket
        await super().startup(sockets)
        self._started(Running(address_of(listener), self.stop))

    def stop(self) -> None:
        """Begins to drain."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Responds to the requests that have arrived, then closes."""
        self._context.draining = True
        connections = self.server_state.connections
        log.info("stopping", connections=len(connections))
        for listener in sockets or []:
            let_nobody_in(listener)
        await asyncio.sleep(DRAIN_GRACE)  # accepts the connections that are in the queue
        patience = self._context.settings.drain_timeout
        giving_up = asyncio.get_running_loop().call_later(patience, self._give_up)
        await super().shutdown(sockets)
        giving_up.cancel()

    def _give_up(self) -> None:
        log.warning("requests unfinished", connections=len(self.server_state.connections))
        for connection in list(self.server_state.connections):
            cast("GuidkeepProtocol", connection).give_up()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Does nothing: `guidkeep.server.stopping` handles signals, and does so earlier."""
        yield


def run(
    settings: Settings, work: Callable[[], Coroutine[object, object, None]] | None = None
) -> None:
    """Serves until a signal stops the process.

    Args:
        settings: the settings.
        work: returns the coroutine that serves; by default `serve(settings)`.

    Raises:
        StartupError: the server can't start with these settings.
    """
    sys.setswitchinterval(SWITCH_INTERVAL)
    keep_in_one_piece()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    _allow_descriptors(settings.max_connections + OTHER_DESCRIPTORS)
    _warn_of_few_descriptors(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work() if work else serve(settings))


async def serve(
    settings: Settings,
    *,
    clock: Callable[[], float] = time.time,
    steady: Callable[[], float] = steady_time,
    started: Callable[[Running], None] | None = None,
    share: Share | None = None,
) -> None:
    """Serves until a signal or `Running.stop` stops it.

    Args:
        settings: the settings.
        clock: returns Unix time in seconds.
        steady: returns the seconds of a clock that cannot be set; jumps of `clock` are found by it.
        started: called when the server accepts requests; by default the address is printed.
        share: the share of one worker; None: this process serves alone.
    """
    path = settings.metadata_schema
    schema = MetadataSchema.from_file(path) if path else MetadataSchema()
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - for mypy: a coroutine runs in one
    loop = asyncio.get_running_loop()

    def abandon() -> None:
        if task.cancel():
            loop.call_later(CANCEL_AGAIN, stop)

    stop = Stop(abandon)
    with on_signals(stop):
        try:
            await _serve(
                settings, schema, stop, clock=clock, steady=steady, started=started, share=share
            )
        except (asyncio.CancelledError, StartupError):
            if not stop.is_asked:
                raise
    log.info("stopped")


async def _serve(
    settings: Settings,
    schema: MetadataSchema,
    stop: Stop,
    *,
    clock: Callable[[], float],
    steady: Callable[[], float],
    started: Callable[[Running], None] | None,
    share: Share | None,
) -> None:
    started = started or (lambda running: announce(settings, running.address))
    metrics = Metrics()
    with contextlib.closing(share.listener if share else bind(settings)) as listener:
        async with (
            _gathering(metrics, share) as gather,
            _registry(settings, schema, metrics, clock, steady) as registry,
            _swept(registry, settings, share),
        ):
            hosts = Hosts(settings.allow_host, bound=listener.getsockname()[0])
            context = _connection_context(registry, settings, metrics, hosts)
            app = make_app(
                registry,
                settings=settings,
                schema=schema,
                metrics=metrics,
                hosts=hosts,
                gather=gather,
                is_draining=lambda: context.draining,
                memory=context.memory,
            )
            server = Server(_uvicorn_config(app, context, settings), context, started)
            await server.serve_until(stop, listener)


@contextlib.asynccontextmanager
async def _gathering(
    metrics: Metrics, share: Share | None
) -> AsyncIterator[Callable[[], Awaitable[Gathered]]]:
    """Yields the function that gathers the numbers of all workers."""
    if share is None:
        yield metrics.gather
        return
    async with shared_metrics(metrics, share.number, share.names) as gather:
        yield gather


@contextlib.asynccontextmanager
async def _registry(
    settings: Settings,
    schema: MetadataSchema,
    metrics: Metrics,
    clock: Callable[[], float],
    steady: Callable[[], float],
) -> AsyncIterator[Registry]:
    """Opens store, cache and registry; yields the registry."""
    async with contextlib.AsyncExitStack() as stack:
        cache = open_cache(
            settings.cache,
            CacheOptions(
                max_age=settings.cache_max_age,
                timeout=settings.cache_timeout,
                patience=settings.cache_write_timeout,
                lease_time=settings.cache_write_timeout + LEASE_TIMEOUTS * settings.store_timeout,
                metrics=metrics,
                form=representation,
            ),
        )
        stack.push_async_callback(cache.close)
        watch_cache(cache, metrics)
        store = await open_store(settings.store, timeout=settings.store_timeout, metrics=metrics)
        stack.push_async_callback(store.close)
        await look_at(cache, settings.cache)
        registry = Registry(
            store,
            cache,
            drafts=Drafts(schema, lifetime=settings.lifetime, max_record=settings.max_body),
            metrics=metrics,
            clock=clock,
            watch=ClockWatch(
                margin=settings.sweep_margin, wall=clock, steady=steady, on_jump=cache.doubt
            ),
        )
        metrics.watch("guidkeep_clock_jumps", lambda: registry.watch.jumps)
        metrics.watch("guidkeep_clock_doubted", lambda: int(registry.watch.is_doubted))
        stack.push_async_callback(registry.close)
        yield registry


@contextlib.asynccontextmanager
async def _swept(
    registry: Registry, settings: Settings, share: Share | None
) -> AsyncIterator[None]:
    """Watches the clock and sweeps until the context ends. Of several workers the first sweeps."""
    watch = registry.watch
    work = [_look_at(watch)]
    if share is None or share.number == 0:
        sweep = Sweep(
            registry,
            watch,
            margin=settings.sweep_margin,
            interval=settings.sweep_interval,
            batch=settings.sweep_batch,
        )
        work.append(sweep.run())
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _look_at(watch: ClockWatch) -> None:
    while True:
        await asyncio.sleep(CLOCK_LOOKS)
        watch.believed()


def _connection_context(
    registry: Registry, settings: Settings, metrics: Metrics, hosts: Hosts
) -> ConnectionContext:
    """Returns what all connections share; with an access log they serve no hit in place."""
    context = ConnectionContext(
        settings=settings,
        hit=None if settings.access_log else registry.hit,
        peek=None if settings.access_log else registry.peek,
        metrics=metrics,
        hosts=hosts,
        cross_site=CrossSitePolicy(settings.allow_origin),
        health=HEALTH,
    )
    metrics.watch("guidkeep_request_bytes", lambda: context.memory.used)
    metrics.watch("guidkeep_request_evictions", lambda: context.memory.evictions)
    return context


def _uvicorn_config(app: Any, context: ConnectionContext, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=functools.partial(GuidkeepProtocol, context=context),  # type: ignore[arg-type]  # declared as a class, but uvicorn only calls it
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=int(settings.drain_timeout) + 5,  # Guidkeep's ends earlier
    )


def _allow_descriptors(wanted: int) -> None:
    """Raises the process's limit of open files to `wanted`, or as near as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _warn_of_few_descriptors(settings: Settings) -> None:
    """Logs a warning if the limit of open files allows fewer connections than the settings."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < settings.max_connections:
        log.warning(
            "fewer connections than asked for",
            asked=settings.max_connections,
            most=connections_within(most),
            detail=f"This process may not open more than {most} files (ulimit -Hn, LimitNOFILE).",
        )
