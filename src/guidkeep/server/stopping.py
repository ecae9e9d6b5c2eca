"""What a server does when a signal arrives: some stop it at any time, the others do not.

SIGTERM, SIGINT and SIGQUIT stop the server with exit code 0 in every state. They are handled from
the first moment, because the kernel drops signals to PID 1 (a container's process) without a
handler. Until the event loop runs, they end the process at once. After that, the event loop handles
them.

SIGHUP never ends the server. A terminal sends it when it closes, and an operator to have files read
again. There is no file to read again yet, so the server only logs it. Other signals that would end
a process by default, such as SIGUSR1, do not end the server either: that would cut off requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import structlog

from guidkeep.server.signals import HANGUP, IGNORED, STOPPING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = structlog.get_logger(__name__)

HELD = (HANGUP, *IGNORED)


class Stop:
    """Stops a server. The way to stop changes as it starts, serves and ends.

    Args:
        stop: stops the server in its present state.
    """

    def __init__(self, stop: Callable[[], object]) -> None:
        self._stop = stop
        self.is_asked = False

    def __call__(self) -> None:
        """Stops the server."""
        self.is_asked = True
        self._stop()

    def lead_to(self, stop: Callable[[], object]) -> None:
        """Changes the way to stop; if a stop was asked for already, calls `stop` at once."""
        self._stop = stop
        if self.is_asked:
            stop()


@contextlib.contextmanager
def before_the_loop() -> Iterator[None]:
    """Ends the process with 0 on the signals that stop it, until an event loop handles them.

    Like `on_signals`, it does nothing on a thread other than the main one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(*_: object) -> NoReturn:
        raise SystemExit(0)

    def go_on(*_: object) -> None:
        pass

    before = _handlers()
    for number in before:
        signal.signal(number, leave if number in STOPPING else go_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)  # see `held`
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def on_signals(
    stop: Callable[[], object], *, reload: Callable[[], object] | None = None
) -> Iterator[None]:
    """Calls `stop` on the signals that stop a server, and `reload` on SIGHUP, in the running loop.

    It does nothing on a thread other than the main one: only the main one gets signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    does = {**dict.fromkeys(STOPPING, stop), HANGUP: reload or nothing_to_reload}
    before = _handlers()
    for number in before:
        loop.add_signal_handler(number, does.get(number) or partial(ignored, number))
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Blocks the signals that must not end a server, in this process and in those it starts.

    A started process unblocks them once it handles them (`before_the_loop`).
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def nothing_to_reload() -> None:
    """Logs a SIGHUP that has no effect."""
    log.info("nothing to reload")


def ignored(number: int) -> None:
    """Logs a signal that has no effect."""
    log.warning("signal ignored", number=number, signal=signal.strsignal(number))


def _handlers() -> dict[int, Any]:
    """The present handlers of the signals above, without handlers that Python did not install."""
    handlers = {number: signal.getsignal(number) for number in (*STOPPING, HANGUP, *IGNORED)}
    return {number: handler for number, handler in handlers.items() if handler is not None}
