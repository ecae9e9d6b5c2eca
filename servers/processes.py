"""Processes: started on a core, watched, and ended by their own id."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Found = TypeVar("Found")

USUAL = ("/usr/sbin", "/usr/local/sbin")
"""Folders of servers, which are not on everybody's PATH."""
START_SECONDS = 120.0
"""A server that does not answer after so long is taken to be broken."""
STOP_SECONDS = 60.0
"""A process that has not ended so long after SIGTERM is killed."""


class Failed(Exception):
    """A server did not do as it should; the message says why."""


class Missing(Failed):
    """A program is not installed; the message says what installs it."""


class Running:
    """A process with its output in a file; ends with the `with` block.

    It is a process group of its own. What it leaves behind in that ends as soon as it is noticed
    that the process has ended, as the workers of an nginx that was killed: they keep its port.

    Args:
        command: what to run; its first word gives the log its name.
        folder: where its log goes.
        core: where it runs, with all its threads and children; None: anywhere.
        environment: its variables; None: those of this process.
        user: who runs it, where this process is root's; some servers refuse to be root's.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        core: int | None = None,
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> None:
        self.name = Path(command[0]).name
        self.log = folder / f"{self.name}-{time.monotonic_ns()}.log"
        whole = list(command) if core is None else pinned(core, command)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                whole,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                user=user if os.geteuid() == 0 else None,
                process_group=0,  # Ctrl-C is for who started it
            )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Asks it to end, by that signal, and waits until it has; kills it when it does not.

        It may hang (SIGSTOP): then it goes on first.
        """
        self.signal(number)
        self.signal_all(signal.SIGCONT)
        deadline = time.monotonic() + STOP_SECONDS
        while self.exit_code is None:
            if time.monotonic() > deadline:
                self.kill()
            time.sleep(0.005)

    def kill(self) -> None:
        """Ends it and all its children on the spot, as a power cut would (SIGKILL)."""
        # While it is stopped it takes leave of no child, so no child's id becomes another's.
        self.signal(signal.SIGSTOP)
        children = self.descendants()
        for child in children:
            _signal(child, signal.SIGKILL)
        self.signal(signal.SIGKILL)
        while self.exit_code is None or not all(map(is_gone, children)):
            time.sleep(0.001)

    def signal_all(self, number: signal.Signals) -> None:
        """Sends a signal to it, if it still runs, and to all its children; see `signal`."""
        self.signal(number)
        for child in self.descendants():
            _signal(child, number)

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal, if it still runs: SIGSTOP and SIGCONT let it hang for a while.

        A SIGSTOP takes its time: this returns when each of the threads has stopped (on Linux).
        """
        if self.exit_code is None:
            os.kill(self.pid, number)
            if number == signal.SIGSTOP and sys.platform == "linux":
                os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    @property
    def exit_code(self) -> int | None:
        """What it ended with, less than 0 for a signal; None: it runs."""
        # Until somebody has waited for the process, its id is nobody else's, nor is its group's.
        if sys.platform == "linux" and self._process.returncode is None:
            options = os.WEXITED | os.WNOHANG | os.WNOWAIT
            if os.waitid(os.P_PID, self.pid, options) is not None:
                os.killpg(self.pid, signal.SIGKILL)
        return self._process.poll()

    def descendants(self) -> list[int]:
        """Its children, and theirs; none when it has ended."""
        return descendants(self.pid) if self.exit_code is None else []

    def wait_for(self, ask: Callable[[], Found | None], what: str, *, pause: float = 0.01) -> Found:
        """What `ask` returns once that is not None; fails when the process ends before."""
        deadline = time.monotonic() + START_SECONDS
        while (answer := ask()) is None:
            if self.exit_code is not None:
                raise Failed(f"{self.name} ended: {self.last_words()}")
            if time.monotonic() > deadline:
                raise Failed(
                    f"{self.name}: no {what} within {START_SECONDS:g} s; "
                    f"the last it said: {self.last_words()}"
                )
            time.sleep(pause)
        return answer

    def last_words(self) -> str:
        """The last line of its output, for an error message."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def resident_bytes(self) -> int:
        """Memory that it and its children hold in RAM."""
        return sum(resident_bytes(pid) for pid in (self.pid, *self.descendants()))


def program(name: str, *, package: str, folders: Sequence[str] = ()) -> str:
    """Where a program is.

    Args:
        name: of the program.
        package: Debian's package that has it.
        folders: where to look besides the usual places.

    Raises:
        Missing: it is not installed.
    """
    path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *USUAL, *folders]))
    if path is None:
        raise Missing(f"{name} is missing: apt-get install {package}")
    return path


def resident_bytes(pid: int | None = None) -> int:
    """Memory that a process, by default this one, holds in RAM."""
    pages = Path(f"/proc/{pid or os.getpid()}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def cores() -> tuple[int, int]:
    """The servers' core and the generators'; one and the same where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[min(1, len(usable) - 1)]


def pinned(core: int, command: Sequence[str]) -> list[str]:
    """The command that runs `command` on that core, under the same process id."""
    return ["taskset", "--cpu-list", str(core), *command]


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool | None:
    """True if somebody accepts connections there, else None: for `Running.wait_for`."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return None
    return True


def children(pid: int) -> list[int]:
    """The processes that its threads started and have not waited for (Linux); none: it is gone."""
    found: list[int] = []
    with suppress(OSError):  # it has ended
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):  # this thread has
                found += map(int, (thread / "children").read_text().split())
    return found


def descendants(pid: int) -> list[int]:
    """Its children, and theirs."""
    return [found for child in children(pid) for found in (child, *descendants(child))]


def is_gone(pid: int) -> bool:
    """Whether that process has ended, though nobody may have waited for it yet (Linux)."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it has ended
        os.kill(pid, number)


class Owned:
    """A server that may be one's own, to end and to start again, or one that runs already.

    Args:
        launch: starts the process; None: it is not one's own.
    """

    def __init__(self, launch: Callable[[], Running] | None) -> None:
        self._launch = launch
        self._process: Running | None = None

    @property
    def process(self) -> Running:
        """The server's process. Raises Failed if there is none of one's own."""
        if self._process is None:
            raise Failed("This server was not started here: it is not ours to stop.")
        return self._process

    def start(self) -> None:
        """Starts it, for the first time or again, and returns when it answers."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Starts it; see `wait`."""
        if self._launch is None:
            raise Failed("This server runs already: it is not ours to start.")
        self._process = self._launch()

    def wait(self) -> None:
        """Returns when it answers. Raises Failed if it ends before."""
        self.process.wait_for(self.answers, "answer")

    def answers(self) -> bool | None:
        """True if it does, else None: for `Running.wait_for`."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ends it, if it was started."""
        if self._process is not None:
            self._process.stop()
