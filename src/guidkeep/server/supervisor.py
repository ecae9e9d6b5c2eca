"""The supervisor of several workers on one port: it starts, watches, replaces and ends them.

The supervisor binds the port and starts the workers. Each worker is a process that accepts on its
own socket (see `guidkeep.server.sockets` for the reason). The supervisor serves no requests. It has
a pipe to each worker; a worker drains when its pipe is closed, so no worker outlives the
supervisor.

*When a worker dies*, the requests that it was serving are lost. Connections that it had not
accepted wait for its replacement. If the replacement can't start, they are reset, and the kernel
assigns no connections to that socket until one starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import pickle
import secrets
import signal
import socket
import sys
from dataclasses import dataclass
from subprocess import PIPE
from typing import TYPE_CHECKING, Any, NoReturn

import structlog

from guidkeep import caches, stores
from guidkeep.backends import backend_of, listed, opener_of
from guidkeep.errors import StartupError
from guidkeep.server.listening import let_nobody_in
from guidkeep.server.sockets import address_of, announce, bound_together
from guidkeep.server.stopping import held, on_signals
from guidkeep.system.backoff import Backoff
from guidkeep.system.tasks import all_done
from guidkeep.urls import scheme_of

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Callable, Coroutine, Iterable, Sequence
    from types import ModuleType

    from guidkeep.backends import Backend
    from guidkeep.settings import Settings

log = structlog.get_logger(__name__)

BACKOFF = Backoff(first=0.1, longest=5.0)
"""The waits before a dead worker is replaced."""
LIVED = 10.0
"""Seconds after which a worker counts as healthy, so that the back-off starts anew."""
GRACE = 10.0
"""Seconds that a worker may take to end beyond `--drain-timeout`; after that it is killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The instructions for one worker.

    Attributes:
        settings: the settings of the server as a whole.
        number: the worker's number, from 0. Worker 0 sweeps.
        descriptor: the descriptor of the bound socket on which only this worker accepts.
        names: the names of the sockets on which the workers share their metrics.
    """

    settings: Settings
    number: int
    descriptor: int
    names: tuple[str, ...]


def run(settings: Settings) -> None:
    """Serves with several workers until a signal stops the process.

    Raises:
        StartupError: the workers can't start with these settings.
    """
    check(settings)
    asyncio.run(supervise(settings))


def check(settings: Settings) -> None:
    """Raises StartupError if the store or the cache can serve only one process."""
    asked = f"--workers {settings.workers}"
    if not _is_shared(settings.store, stores):
        raise StartupError(
            f"{asked} needs a --store that several processes can open: {_shared(stores.BACKENDS)}. "
            f"{scheme_of(settings.store)}:// is served by one process."
        )
    if not _is_shared(settings.cache, caches):
        raise StartupError(
            f"{asked} needs a --cache that the workers share: {_shared(caches.BACKENDS)}. "
            f"{scheme_of(settings.cache)}:// is private to one process, so the other workers would "
            "read stale records."
        )


def _is_shared(url: str, kind: ModuleType) -> bool:
    """Whether workers can share it: the table says so, or another package's class, by `is_shared`.

    True for an unknown URL, which is refused on opening.
    """
    if backend := backend_of(url, kind.BACKENDS):
        return backend.is_shared
    made = opener_of(url, kind.BACKENDS, kind.__name__)
    return made is None or getattr(made, "is_shared", False)


def _shared(backends: Sequence[Backend]) -> str:
    return listed((backend for backend in backends if backend.is_shared), "or")


async def supervise(settings: Settings, *, started: Callable[[str], None] | None = None) -> None:
    """Serves with several workers until a signal stops it.

    Args:
        settings: the settings.
        started: called with the address when all workers accept requests; by default the address
            is printed.

    Raises:
        StartupError: the workers can't start with these settings.
    """
    stopping = asyncio.Event()
    workers: list[Worker] = []

    def reload() -> None:
        if stopping.is_set():  # to signal a worker that has just ended would take its exit status
            return
        for worker in workers:
            worker.reload()

    with bound_together(settings) as listeners, on_signals(stopping.set, reload=reload):
        address = address_of(listeners[0])
        # Random names, so that no two servers of a machine share one.
        names = tuple(f"\0guidkeep-{secrets.token_hex(8)}-{at}" for at, _ in enumerate(listeners))
        workers += [
            Worker(Job(settings=settings, number=at, descriptor=sock.fileno(), names=names), sock)
            for at, sock in enumerate(listeners)
        ]
        try:
            if await _unless(stopping, [worker.start() for worker in workers]):
                (started or functools.partial(announce, settings))(address)
                await _unless(stopping, [worker.keep() for worker in workers])
            log.info("stopping", workers=len(workers))
        finally:
            for listener in listeners:
                let_nobody_in(listener)
            await asyncio.gather(*(worker.stop() for worker in workers))
    log.info("stopped")


class Worker:
    """One of the workers. Its process is replaced when it dies.

    Args:
        job: the instructions for the process.
        listener: the socket on which the process accepts.
    """

    def __init__(self, job: Job, listener: socket.socket) -> None:
        self._number = job.number
        self._job = pickle.dumps(job)
        self._listener = listener
        self._patience = job.settings.drain_timeout + GRACE
        self._process: Process | None = None

    async def start(self) -> Process:
        """Starts a process; returns it when it accepts requests.

        Raises:
            StartupError: the process ended before that. The message is the worker's, if it sent
                one.
        """
        with held():
            self._process = process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # imports nothing from the current folder
                "-m",
                "guidkeep.server.worker",
                stdin=PIPE,
                stdout=PIPE,
                pass_fds=[self._listener.fileno()],
                start_new_session=True,  # only the supervisor gets Ctrl-C
            )
        assert process.stdin is not None  # noqa: S101 - for mypy: it is a pipe
        assert process.stdout is not None  # noqa: S101 - the same
        process.stdin.write(self._job)
        try:
            said = await process.stdout.readline()
            answer = json.loads(said) if said else {}
        except ValueError:
            await _kill(process)
            raise
        if "address" not in answer:
            status = await process.wait()
            untold = f"A worker ended with {status} before it accepted requests; the log says why."
            raise StartupError(answer.get("error", untold))
        return process

    async def keep(self) -> NoReturn:
        """Replaces the process each time it ends, until cancelled."""
        loop = asyncio.get_running_loop()
        retry, since = 0, loop.time()
        while True:
            assert self._process is not None  # noqa: S101 - for mypy: it was started
            status = await self._process.wait()
            log.error("worker ended", worker=self._number, status=status)
            if loop.time() - since > LIVED:
                retry = 0
            process = None
            while process is None:
                await asyncio.sleep(BACKOFF.seconds(retry))
                retry += 1
                process = await self._start_again()
            since = loop.time()
            log.info("worker replaced", worker=self._number, pid=process.pid)

    async def _start_again(self) -> Process | None:
        try:
            return await self.start()
        except (
            StartupError,
            OSError,
            ValueError,
        ) as error:  # e.g. no memory, or invalid JSON from the worker
            log.error("worker can't start", worker=self._number, detail=str(error))  # noqa: TRY400 - the detail says it all
            # Stop listening, so that the kernel gives new clients to the other workers. Once only:
            # a second shutdown would make the socket unusable.
            if self._listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                self._listener.shutdown(socket.SHUT_RDWR)
            return None

    def reload(self) -> None:
        """Sends SIGHUP to the process."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGHUP)

    async def stop(self) -> None:
        """Drains the process, and waits until it has ended."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), self._patience)
        except TimeoutError:
            log.error("worker killed", worker=self._number)  # noqa: TRY400 - the traceback says nothing
            await _kill(process)


async def _kill(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


async def _unless(stopping: asyncio.Event, works: Iterable[Coroutine[Any, Any, object]]) -> bool:
    """Runs all works; returns False if `stopping` is set before they are done.

    When it returns, or raises the first error of a work, none of them runs on.
    """
    waiting = asyncio.create_task(stopping.wait())
    working = asyncio.create_task(all_done(works))
    try:
        await asyncio.wait([waiting, working], return_when=asyncio.FIRST_COMPLETED)
        is_done = working.done()
    finally:
        for task in (waiting, working):
            task.cancel()
        await asyncio.gather(waiting, working, return_exceptions=True)
    if is_done:
        working.result()
    return is_done
