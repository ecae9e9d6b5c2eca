"""Ctrl-C: whether it raises KeyboardInterrupt or ends the process at once.

`guidkeep.__main__` makes it end the process: while modules are imported, while the command line is
read, and when Python exits. Nothing is lost then, and an exception would only print a traceback.
While a command has something to report or to save, Ctrl-C raises KeyboardInterrupt.
"""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def raised() -> Iterator[None]:
    """In the `with` block Ctrl-C raises KeyboardInterrupt, if it would end the process."""
    if signal.getsignal(signal.SIGINT) != signal.SIG_DFL:
        yield
        return
    former = sys.unraisablehook
    sys.unraisablehook = _unraisable
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        sys.unraisablehook = former


def _unraisable(what: sys.UnraisableHookArgs) -> None:
    """Ends the process on a KeyboardInterrupt that Python cannot raise, as in a `__del__`."""
    if issubclass(what.exc_type, KeyboardInterrupt):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    sys.__unraisablehook__(what)
