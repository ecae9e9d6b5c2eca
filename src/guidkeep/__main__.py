"""The command `guidkeep`, and `python -m guidkeep`: sets up Ctrl-C before all other imports.

The imports are slow, and a KeyboardInterrupt in the middle of them prints a traceback. So Ctrl-C
ends the process at once and silently, as it ends a C program, except while a command has work to
end in order: see `guidkeep.cli.interrupts`. The first hundredths of a second, in which Python
itself starts, are not covered.
"""

import _signal  # type: ignore[import-not-found]  # the C part of `signal`: quick to import
import os
import sys

from guidkeep.cli import SERVE
from guidkeep.server.signals import HANGUP, IGNORED, STOPPING


def main() -> int:
    """Runs the command; returns its exit code."""
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:  # else it is ignored
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    if sys.argv[1:2] == [SERVE]:
        # A server that has not begun to serve ends with 0, not with the status of a signal.
        for number in STOPPING:
            if _signal.getsignal(number) != _signal.SIG_IGN:
                _signal.signal(number, _end)
        for number in (HANGUP, *IGNORED):
            _signal.signal(number, _go_on)

    from guidkeep.cli.main import main as run  # noqa: PLC0415 - slow imports come last

    return run()


def _end(*_: object) -> None:
    os._exit(0)


def _go_on(*_: object) -> None:
    """Ignores the signal: see `guidkeep.server.stopping`."""


if __name__ == "__main__":  # pragma: no cover - a process of its own
    sys.exit(main())
