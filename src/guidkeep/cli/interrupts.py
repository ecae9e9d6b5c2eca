"""Ctrl-C: where it raises KeyboardInterrupt, and where it ends the process at once.

`guidkeep.__main__` makes the second the rule. It holds while modules are imported, while the
command line is read, and when Python ends: nothing is lost then, and a traceback would be all that
comes of an exception. A command that has something to say or to keep has the first, as long as it
works.
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
    """As long as it lasts, Ctrl-C raises KeyboardInterrupt, if it would end the process."""
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
    """A KeyboardInterrupt in what can't raise, as in a `__del__`: nobody would hear of it."""
    if issubclass(what.exc_type, KeyboardInterrupt):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    sys.__unraisablehook__(what)
