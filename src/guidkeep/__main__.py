"""The command `guidkeep`, and `python -m guidkeep`: what Ctrl-C does comes before all imports.

The imports take longer than anybody's patience, and a KeyboardInterrupt in the midst of them shows
the innards of Python. So Ctrl-C ends the process at once, silently, as it ends a program in C,
except where something has begun that is to be ended in order: see `guidkeep.cli.interrupts`. What
is not in our hands are the first hundredths of a second, in which Python itself starts.
"""

import _signal  # type: ignore[import-not-found]  # the part of `signal` in C: there at once
import os
import sys

from guidkeep.server.signals import HANGUP, IGNORED, STOPPING


def main() -> int:
    """Runs the command; returns its exit code."""
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:  # else it is ignored
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    if sys.argv[1:2] == ["serve"]:
        # A server that has begun nothing is drained; the shell's default says another thing.
        for number in STOPPING:
            if _signal.getsignal(number) != _signal.SIG_IGN:
                _signal.signal(number, _end)
        for number in (HANGUP, *IGNORED):
            _signal.signal(number, _go_on)

    from guidkeep.cli.main import main as run  # noqa: PLC0415 - what takes long comes last

    return run()


def _end(*_: object) -> None:
    os._exit(0)


def _go_on(*_: object) -> None:
    """A server outlives its terminal: see `guidkeep.server.stopping`."""


if __name__ == "__main__":  # pragma: no cover - a process of its own
    sys.exit(main())
