"""Processes: started on a core, watched, and ended by their id."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Found = TypeVar("Found")

USUAL = ("/usr/sbin", "/usr/local/sbin")
"""Folders of server programs, which are not on every user's PATH."""
START_SECONDS = 120.0
"""A server that does not respond within this time counts as broken."""
STOP_SECONDS = 60.0
"""A process that has not ended this long after SIGTERM is killed."""
LINES = 40
"""So many lines of its output say why a server failed: the reason is seldom in the last one."""
PORTS = range(20_000, 32_000)
"""The ports of `free_port`. The system gives none of these to outgoing connections, which come and
go by thousands: it has those from 32,768 on (Linux) or 49,152 on (RFC 6335)."""


class Failed(Exception):
    """A server failed; the message says how."""


class Missing(Failed):
    """A program is not installed; the message says how to install it."""


class Running:
    """A process with its output in a file; ends with the `with` block.

    It has its own process group. Processes that it leaves behind in that group are ended once it is
    known to have ended: the workers of a killed nginx, for example, would keep its port.

    Args:
        command: the command; its first word names the log.
        folder: for its log.
        core: the core for all its threads and children; None: any.
        environment: its variables; None: those of this process.
        user: runs it if this process runs as root; some servers refuse root.
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
                process_group=0,  # Ctrl-C is for the starting process alone
            )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Sends the signal and waits for the end; kills the process if it does not end.

        A stopped process (SIGSTOP) is continued first.
        """
        self.signal(number)
        self.signal_all(signal.SIGCONT)
        deadline = time.monotonic() + STOP_SECONDS
        while self.exit_code is None:
            if time.monotonic() > deadline:
                self.kill()
            time.sleep(0.005)

    def kill(self) -> None:
        """Ends it and all its children at once, as a power cut would (SIGKILL)."""
        # While it is stopped it reaps no child, so no child's id is reused.
        self.signal(signal.SIGSTOP)
        children = self.descendants()
        for child in children:
            _signal(child, signal.SIGKILL)
        self.signal(signal.SIGKILL)
        while self.exit_code is None or not all(map(is_gone, children)):
            time.sleep(0.001)

    def signal_all(self, number: signal.Signals) -> None:
        """Sends a signal to it, if it is running, and to all its children; see `signal`."""
        self.signal(number)
        for child in self.descendants():
            _signal(child, number)

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal, if it is running: SIGSTOP and SIGCONT make it hang for a while.

        A SIGSTOP is not immediate: this returns when all its threads have stopped (on Linux).
        """
        if self.exit_code is None:
            os.kill(self.pid, number)
            if number == signal.SIGSTOP and sys.platform == "linux":
                os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None: it is running."""
        # Until the process has been waited for, neither its id nor its group's is reused.
        if sys.platform == "linux" and self._process.returncode is None:
            options = os.WEXITED | os.WNOHANG | os.WNOWAIT
            if os.waitid(os.P_PID, self.pid, options) is not None:
                os.killpg(self.pid, signal.SIGKILL)
        return self._process.poll()

    def descendants(self) -> list[int]:
        """Its children and their children; none when it has ended."""
        return descendants(self.pid) if self.exit_code is None else []

    def wait_for(self, ask: Callable[[], Found | None], what: str, *, pause: float = 0.01) -> Found:
        """Returns the first result of `ask` but None; fails when the process ends before."""
        deadline = time.monotonic() + START_SECONDS
        while (answer := ask()) is None:
            if self.exit_code is not None:
                raise Failed(f"{self.name} ended: {self.last_words(LINES)}")
            if time.monotonic() > deadline:
                raise Failed(
                    f"{self.name}: no {what} within {START_SECONDS:g} s; "
                    f"its last output: {self.last_words(LINES)}"
                )
            time.sleep(pause)
        return answer

    def last_words(self, count: int = 1) -> str:
        """The last lines of its output, for an error message."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return "\n".join(lines[-count:]) or "no output"

    def resident_bytes(self) -> int:
        """Bytes of memory that it and its children hold in RAM."""
        return sum(resident_bytes(pid) for pid in (self.pid, *self.descendants()))


def program(name: str, *, package: str, folders: Sequence[str] = ()) -> str:
    """The path of a program.

    Args:
        name: of the program.
        package: Debian's package that has it.
        folders: searched besides the usual places.

    Raises:
        Missing: it is not installed.
    """
    path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *USUAL, *folders]))
    if path is None:
        raise Missing(f"{name} is missing: apt-get install {package}")
    return path


def resident_bytes(pid: int | None = None) -> int:
    """Bytes of memory that a process, by default this one, holds in RAM."""
    pages = Path(f"/proc/{pid or os.getpid()}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def cores() -> tuple[int, int]:
    """The cores for servers and for load generators; the same if there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[min(1, len(usable) - 1)]


def pinned(core: int, command: Sequence[str]) -> list[str]:
    """The command that runs `command` on that core, under the same process id."""
    return ["taskset", "--cpu-list", str(core), *command]


def free_port() -> int:
    """A free TCP port of 127.0.0.1 for a server that starts later; this process's until it ends.

    The UDP port of that number is held meanwhile, so no other process that asks here gets it.

    Raises:
        Failed: all are taken.
    """
    first = secrets.randbelow(len(PORTS))
    for port in chain(PORTS[first:], PORTS[:first]):
        claim = socket.socket(type=socket.SOCK_DGRAM)
        try:
            claim.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
        else:
            claim.detach()  # it stays bound until this process ends
            return port
    raise Failed(f"no free port between {PORTS.start} and {PORTS.stop}")


def listens(port: int) -> bool | None:
    """True if a process accepts connections there, else None: for `Running.wait_for`."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return None
    return True


def children(pid: int) -> list[int]:
    """The processes that its threads started and have not waited for (Linux); none if gone."""
    found: list[int] = []
    with suppress(OSError):  # it has ended
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):  # this thread has
                found += map(int, (thread / "children").read_text().split())
    return found


def descendants(pid: int) -> list[int]:
    """Its children and their children."""
    return [found for child in children(pid) for found in (child, *descendants(child))]


def is_gone(pid: int) -> bool:
    """Whether the process has ended, waited for or not (Linux)."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it has ended
        os.kill(pid, number)


class Owned:
    """A server that was started here and may be restarted, or one that was running already.

    Args:
        launch: starts the process; None: it was running already.
    """

    def __init__(self, launch: Callable[[], Running] | None) -> None:
        self._launch = launch
        self._process: Running | None = None

    @property
    def process(self) -> Running:
        """The server's process. Raises Failed if it was not started here."""
        if self._process is None:
            raise Failed("This server was not started here, so it can't be stopped here.")
        return self._process

    def start(self) -> None:
        """Starts or restarts it, and returns when it responds."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Starts it; see `wait`."""
        if self._launch is None:
            raise Failed("This server was running already, so it can't be started here.")
        self._process = self._launch()

    def wait(self) -> None:
        """Returns when it responds. Raises Failed if it ends before."""
        self.process.wait_for(self.answers, "answer")

    def answers(self) -> bool | None:
        """True if it responds, else None: for `Running.wait_for`."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ends it, if it was started."""
        if self._process is not None:
            self._process.stop()
