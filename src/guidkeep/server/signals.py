"""The signals of a server, by what it does with them. Imports nothing that takes long."""

import _signal  # type: ignore[import-not-found]  # the part of `signal` in C: there at once

STOPPING: tuple[int, ...] = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGQUIT)
"""They stop it in order: Ctrl-C, Ctrl-\\, and those that supervisors send."""
HANGUP: int = _signal.SIGHUP
"""It has files read again."""

_OTHERS = {
    *("SIGKILL", "SIGSTOP"),  # nobody can do anything about them
    *("SIGABRT", "SIGBUS", "SIGEMT", "SIGFPE", "SIGILL", "SIGSEGV", "SIGSYS", "SIGTRAP"),  # faults
    *("SIGCHLD", "SIGCONT", "SIGINFO", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGWINCH"),
    *("SIGPIPE", "SIGXFSZ"),  # Python ignores them, and raises an error in their place
}
"""Those that mean what they mean in any process. The third line are those that end none."""
_others = {getattr(_signal, name, None) for name in _OTHERS}
IGNORED: tuple[int, ...] = tuple(sorted(_signal.valid_signals() - {*STOPPING, HANGUP, *_others}))
"""They would end a process: SIGUSR1, timers, the real-time signals. They end no server."""
