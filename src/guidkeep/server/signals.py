"""The signals of a server, by their effect. Imports nothing that takes long."""

import _signal  # type: ignore[import-not-found]  # the part of `signal` in C: there at once

STOPPING: tuple[int, ...] = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGQUIT)
"""They stop the server in order: Ctrl-C, Ctrl-\\, and the signal that supervisors send."""
HANGUP: int = _signal.SIGHUP
"""It asks the server to read its files again."""

_OTHERS = {
    *("SIGKILL", "SIGSTOP"),  # they can't be handled
    *("SIGABRT", "SIGBUS", "SIGEMT", "SIGFPE", "SIGILL", "SIGSEGV", "SIGSYS", "SIGTRAP"),  # faults
    *("SIGCHLD", "SIGCONT", "SIGINFO", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGWINCH"),
    *("SIGPIPE", "SIGXFSZ"),  # Python ignores them and raises an error instead
}
"""Signals that keep their usual effect. Those of the third line end no process."""
_others = {getattr(_signal, name, None) for name in _OTHERS}
IGNORED: tuple[int, ...] = tuple(sorted(_signal.valid_signals() - {*STOPPING, HANGUP, *_others}))
"""Signals that would end a process by default, and that a server ignores: SIGUSR1, timers, the
real-time signals."""
