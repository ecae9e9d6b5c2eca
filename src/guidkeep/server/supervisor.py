"""Several workers that serve one port: started, watched, replaced when they die, and ended.

The supervisor binds the port and starts the workers, each a process of its own that accepts on a
socket of its own (`guidkeep.server.sockets` says why). It serves nothing itself. Its pipe to a
worker lives as long as it does; a worker whose pipe ends drains by itself, so none is left behind.

*A worker that dies* loses the requests that it was working on; connections that it had not accepted
wait for the one that takes its place. When that can't start, they are reset, and its socket stays
out of the kernel's choice until one does.
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
from guidkeep.errors import StartupError
from guidkeep.server.listening import let_nobody_in
from guidkeep.server.sockets import address_of, announce, bound_together
from guidkeep.server.stopping import held, on_signals
from guidkeep.system.backoff import Backoff
from guidkeep.system.tasks import all_done
from guidkeep.urls import backend_of, listed

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Callable, Coroutine, Iterable, Sequence

    from guidkeep.settings import Settings
    from guidkeep.urls import Backend

log = structlog.get_logger("guidkeep.supervisor")

BACKOFF = Backoff(first=0.1, longest=5.0)
"""Before a worker that died is replaced."""
LIVED = 10.0
"""Seconds after which a worker counts as started: the next wait is the first again."""
GRACE = 10.0
"""Seconds that a worker may take to end, beside `--drain-timeout`; after that it is killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a worker is to do.

    Attributes:
        settings: of the server as a whole.
        number: which of the workers it is, from 0. The first one sweeps.
        descriptor: of the socket, bound, on which it alone accepts.
        names: of the sockets on which the workers tell their metrics.
    """

    settings: Settings
    number: int
    descriptor: int
    names: tuple[str, ...]


def run(settings: Settings) -> None:
    """Serves with several workers until a signal stops it.

    Raises:
        StartupError: that can't be done as it was asked for.
    """
    check(settings)
    asyncio.run(supervise(settings))


def check(settings: Settings) -> None:
    """Raises StartupError if store or cache belong to one process alone."""
    asked = f"--workers {settings.workers}"
    if not _is_shared(settings.store, stores.BACKENDS):
        raise StartupError(
            f"{asked} needs a --store that several processes may open: {_shared(stores.BACKENDS)}. "
            "An SQLite file is served by one process."
        )
    if not _is_shared(settings.cache, caches.BACKENDS):
        raise StartupError(
            f"{asked} needs a --cache that the workers share: {_shared(caches.BACKENDS)}. "
            "memory:// is the memory of one process: another would read what is old."
        )


def _is_shared(url: str, backends: Sequence[Backend]) -> bool:
    """Also of a URL that names no backend: what opens it says so."""
    backend = backend_of(url, backends)
    return backend is None or backend.is_shared


def _shared(backends: Sequence[Backend]) -> str:
    return listed((backend for backend in backends if backend.is_shared), "or")


async def supervise(settings: Settings, *, started: Callable[[str], None] | None = None) -> None:
    """Serves with several workers until it is told to stop.

    Args:
        settings: see there.
        started: called when all workers accept requests, with their address; by default it
            is printed.

    Raises:
        StartupError: that can't be done as it was asked for.
    """
    stopping = asyncio.Event()
    workers: list[Worker] = []

    def reload() -> None:
        for worker in workers:
            worker.reload()

    with bound_together(settings) as listeners, on_signals(stopping.set, reload=reload):
        address = address_of(listeners[0])
        # Their names are unknown to others: no two servers of a machine share any.
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
    """A worker's place: the process in it changes when it dies.

    Args:
        job: what the process is to do.
        listener: the socket on which it accepts.
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
            StartupError: it ended before that; the message is its own, if it left one.
        """
        with held():
            self._process = process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # nothing is imported from the folder in which the server was started
                "-m",
                "guidkeep.server.worker",
                stdin=PIPE,
                stdout=PIPE,
                pass_fds=[self._listener.fileno()],
                start_new_session=True,  # Ctrl-C is the supervisor's
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
        """Replaces the process whenever it ends, for ever."""
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
        except (StartupError, OSError, ValueError) as error:  # no memory, no sense in what it says
            log.error("worker can't start", worker=self._number, detail=str(error))  # noqa: TRY400 - the detail says it all
            # It does not listen any more, so clients are given to the others.
            # Once only: shut down when it is closed already, it could not be used again.
            if self._listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                self._listener.shutdown(socket.SHUT_RDWR)
            return None

    def reload(self) -> None:
        """Passes SIGHUP on."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGHUP)

    async def stop(self) -> None:
        """Lets it drain, and waits until it has ended."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), self._patience)
        except TimeoutError:
            log.error("worker killed", worker=self._number)  # noqa: TRY400 - it is no fault here
            await _kill(process)


async def _kill(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


async def _unless(stopping: asyncio.Event, works: Iterable[Coroutine[Any, Any, object]]) -> bool:
    """Does all of that; False: it is told to stop before it is done.

    When it returns, or raises the first error of any, none of it goes on.
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
