"""The signals of a server: those that stop it, at any time, and the one that does not.

SIGTERM and SIGINT stop it with the exit code 0, whatever it is doing. They are handled from the
first moment: the kernel drops a signal that PID 1, as in a container, has no handler for. Until the
event loop runs the process ends on the spot; from then on the loop is told.

SIGHUP, which a terminal sends when it is closed and an operator who wants files read again, never
ends it. There is nothing to read again yet, which it says.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from typing import TYPE_CHECKING, NoReturn

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = structlog.get_logger("guidkeep.server")

STOPPING = (signal.SIGINT, signal.SIGTERM)


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
    """Ends the process with 0 on SIGTERM and SIGINT, as long as no loop handles them.

    In a thread that is not the main one it does nothing, as `on_signals`.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(*_: object) -> NoReturn:
        raise SystemExit(0)

    handlers = {**dict.fromkeys(STOPPING, leave), signal.SIGHUP: lambda *_: None}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP,))  # see `hangup_held`
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def on_signals(
    stop: Callable[[], object], *, reload: Callable[[], object] | None = None
) -> Iterator[None]:
    """Calls `stop` on SIGTERM and SIGINT, and `reload` on SIGHUP, in the loop that runs.

    In a thread that is not the main one it does nothing: that one has the signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    handlers = {**dict.fromkeys(STOPPING, stop), signal.SIGHUP: reload or nothing_to_reload}
    before = {number: signal.getsignal(number) for number in handlers}
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])


@contextlib.contextmanager
def hangup_held() -> Iterator[None]:
    """A process that is started meanwhile gets no SIGHUP until it handles that."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def nothing_to_reload() -> None:
    """Says so."""
    log.info("nothing to reload")
