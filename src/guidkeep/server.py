"""Puts store, cache, registry and application together, serves them, and drains."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import resource
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import structlog
import uvicorn
import uvloop

from guidkeep import __version__
from guidkeep.addresses import redacted
from guidkeep.caches import open_cache
from guidkeep.drafts import Drafts
from guidkeep.errors import StartupError, StoreUnavailable
from guidkeep.http.app import make_app
from guidkeep.http.listening import let_nobody_in
from guidkeep.http.protocol import DRAIN_GRACE, GuidkeepProtocol, watch
from guidkeep.http.wire import Wire
from guidkeep.metrics import Metrics
from guidkeep.registry import Registry
from guidkeep.schema import MetadataSchema
from guidkeep.stores import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from guidkeep.settings import Settings

log = structlog.get_logger("guidkeep.server")

BACKLOG = 2048
SWITCH_INTERVAL = 0.0005
"""Seconds after which a thread that waits for the interpreter's lock gets it. The store's
threads need it a few times a group; Python's 5 ms would make each group of a busy server wait
as much each time."""
COLLECT_AFTER = (50_000, 20, 100)
"""When cyclic garbage is looked for, by generation. A request leaves none, but its many short-lived
objects set the collector off each few requests at Python's thresholds: 7 % of a create."""
LEASE_TIMEOUTS = 3
"""How many of the store's time-outs a lease lasts. A write may wait for one before it is begun,
and takes another at most."""
SWEEP_REST = 4
"""How long the sweep rests after each batch, in times of what the batch took: it takes a fifth
of the writer's time at most."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that accepts requests at `address`, until `stop` is called; that drains it."""

    address: str
    stop: Callable[[], None]


class Server(uvicorn.Server):
    """uvicorn's server, which says where it listens and exits with 0 when it is told to stop."""

    def __init__(
        self, config: uvicorn.Config, wire: Wire, started: Callable[[Running], None]
    ) -> None:
        super().__init__(config)
        self._wire = wire
        self._started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to accept connections, then says so."""
        [listener] = sockets or []
        try:
            listener.listen(BACKLOG)  # the loop does so too, but keeps it to itself if it fails
        except OSError as error:  # another bound the port at the same time, and was faster
            raise _cannot_listen(self._wire.settings, error) from error
        await super().startup(sockets)
        self._started(Running(_address(listener), self.stop))

    def stop(self) -> None:
        """Begins to drain."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answers what was asked, then closes."""
        self._wire.draining = True
        connections = self.server_state.connections
        log.info("stopping", connections=len(connections))
        for listener in sockets or []:
            let_nobody_in(listener)
        await asyncio.sleep(DRAIN_GRACE)  # accepts who got through
        patience = self._wire.settings.drain_timeout
        giving_up = asyncio.get_running_loop().call_later(patience, self._give_up)
        await super().shutdown(sockets)
        giving_up.cancel()

    def _give_up(self) -> None:
        log.warning("requests unfinished", connections=len(self.server_state.connections))
        for connection in list(self.server_state.connections):
            cast("GuidkeepProtocol", connection).give_up()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but the signal is not raised again: a drained server exits with 0."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)
        for number in signals:
            loop.add_signal_handler(number, self.stop)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)


def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT.

    Raises:
        StartupError: it can't start as it was told to.
    """
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    _allow_descriptors(settings.max_connections + 64)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings))


async def serve(
    settings: Settings,
    *,
    clock: Callable[[], float] = time.time,
    started: Callable[[Running], None] | None = None,
) -> None:
    """Serves until it is told to stop.

    Args:
        settings: see there.
        clock: returns Unix time in seconds.
        started: called when the server accepts requests; by default its address is printed.
    """
    started = started or functools.partial(_print_address, settings)
    metrics = Metrics()
    with contextlib.closing(_bind(settings)) as listener:
        async with _registry(settings, metrics, clock) as (registry, schema):
            wire = Wire(
                settings=settings,
                hit=None if settings.access_log else registry.hit,
                metrics=metrics,
            )
            app = make_app(
                registry,
                settings=settings,
                schema=schema,
                metrics=metrics,
                is_draining=lambda: wire.draining,
            )
            config = _uvicorn_config(app, wire, settings)
            server = Server(config, wire, started)
            metrics.watch_connections(lambda: len(server.server_state.connections))
            watcher = asyncio.create_task(watch(server.server_state.connections))
            try:
                await server.serve(sockets=[listener])
            finally:
                watcher.cancel()
    log.info("stopped")


@contextlib.asynccontextmanager
async def _registry(
    settings: Settings, metrics: Metrics, clock: Callable[[], float]
) -> AsyncIterator[tuple[Registry, MetadataSchema]]:
    """The registry over its store and cache, swept as long as it is open."""
    path = settings.metadata_schema
    schema = MetadataSchema.from_file(path) if path else MetadataSchema()
    cache = open_cache(
        settings.cache,
        max_age=settings.cache_max_age,
        timeout=settings.cache_timeout,
        lease_time=LEASE_TIMEOUTS * settings.store_timeout,
        metrics=metrics,
    )
    metrics.watch_cache(cache)
    store = await open_store(settings.store, timeout=settings.store_timeout, metrics=metrics)
    registry = Registry(
        store,
        cache,
        drafts=Drafts(schema, lifetime=settings.lifetime, max_record=settings.max_body),
        metrics=metrics,
        clock=clock,
    )
    sweeper = asyncio.create_task(sweep(registry, settings))
    try:
        yield registry, schema
    finally:
        sweeper.cancel()
        await asyncio.wait([sweeper])
        await registry.close()
        await cache.close()
        await store.close()


async def sweep(registry: Registry, settings: Settings) -> None:
    """Reclaims expired records for ever, in small steps with rests between them."""
    while True:
        await asyncio.sleep(settings.sweep_interval)
        swept = settings.sweep_batch
        try:
            while swept == settings.sweep_batch:
                began = time.perf_counter()
                swept = await registry.sweep(settings.sweep_batch)
                await asyncio.sleep(SWEEP_REST * (time.perf_counter() - began))
        except StoreUnavailable as error:
            log.warning("sweep failed", detail=error.detail)
        except Exception:
            log.exception("sweep failed")


def _uvicorn_config(app: Any, wire: Wire, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=functools.partial(GuidkeepProtocol, wire=wire),  # type: ignore[arg-type]  # a class or what makes one of its objects: uvicorn only calls it
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=int(settings.idle_timeout) + 1,
        timeout_graceful_shutdown=int(settings.drain_timeout) + 5,  # Guidkeep's own comes first
    )


def _bind(settings: Settings) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "that is no host"
        raise StartupError(f"Can't listen on {settings.host}: {reason}.") from error
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _cannot_listen(settings, error) from error
    return listener


def _cannot_listen(settings: Settings, error: OSError) -> StartupError:
    return StartupError(
        f"Can't listen on {settings.host}:{settings.port}: {error.strerror}. "
        "--port 0 takes a free port."
    )


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _print_address(settings: Settings, running: Running) -> None:
    line = f"Guidkeep {__version__} serves {redacted(settings.store)} on {running.address}"
    print(line, flush=True)  # noqa: T201 - who started it waits for this line


def _allow_descriptors(wanted: int) -> None:
    """Raises the process' limit of open files as far as it may, to what its connections need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
