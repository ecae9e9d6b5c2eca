"""The signals of a server: those that stop it, at any time, and those that do not.

SIGTERM, SIGINT and SIGQUIT stop it with the exit code 0, whatever it is doing. They are handled
from the first moment: the kernel drops a signal that PID 1, as in a container, has no handler for.
Until the event loop runs the process ends on the spot; from then on the loop is told.

SIGHUP, which a terminal sends when it is closed and an operator who wants files read again, never
ends it. There is nothing to read again yet, which it says. Nor does any other signal that would end
a process which knows nothing of it, as SIGUSR1: requests would be cut off.
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

log = structlog.get_logger("guidkeep.server")

HELD = (HANGUP, *IGNORED)


class Stop:
    """Stops a server that starts, serves or ends: each in its own way.

    Args:
        stop: how it is stopped now.
    """

    def __init__(self, stop: Callable[[], object]) -> None:
        self._stop = stop
        self.is_asked = False

    def __call__(self) -> None:
        """Stops it."""
        self.is_asked = True
        self._stop()

    def lead_to(self, stop: Callable[[], object]) -> None:
        """From now on it is stopped like that; if it should have stopped already, at once."""
        self._stop = stop
        if self.is_asked:
            stop()


@contextlib.contextmanager
def before_the_loop() -> Iterator[None]:
    """Ends the process with 0 on the signals that stop it, as long as no loop handles them.

    In a thread that is not the main one it does nothing, as `on_signals`.
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
    """Calls `stop` on the signals that stop it, and `reload` on SIGHUP, in the loop that runs.

    In a thread that is not the main one it does nothing: that one has the signals.
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
    """A process that is started meanwhile gets no signal that ends no server until it has begun."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def nothing_to_reload() -> None:
    """Says so."""
    log.info("nothing to reload")


def ignored(number: int) -> None:
    """Says so."""
    log.warning("signal ignored", number=number, signal=signal.strsignal(number))


def _handlers() -> dict[int, Any]:
    """The handlers of all signals that mean something here, but for those that are not Python's."""
    handlers = {number: signal.getsignal(number) for number in (*STOPPING, HANGUP, *IGNORED)}
    return {number: handler for number, handler in handlers.items() if handler is not None}
