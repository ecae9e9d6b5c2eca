"""Processes: started on a core, watched, and ended by their own id."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Found = TypeVar("Found")

USUAL = ("/usr/sbin", "/usr/local/sbin")
"""Folders of servers, which are not on everybody's PATH."""
START_SECONDS = 30.0
"""A server that does not answer after so long is taken to be broken."""
STOP_SECONDS = 60.0
"""A process that has not ended so long after SIGTERM is killed."""


class Failed(Exception):
    """A server did not do as it should; the message says why."""


class Missing(Failed):
    """A program is not installed; the message says what installs it."""


class Running:
    """A process with its output in a file; ends with the `with` block.

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
        """Asks it to end, by that signal, and waits until it has; kills it when it does not."""
        self.signal(number)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Ends it on the spot, as a power cut would (SIGKILL)."""
        self._process.kill()
        self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal, if it still runs: SIGSTOP and SIGCONT let it hang for a while."""
        if self._process.poll() is None:
            self._process.send_signal(number)

    @property
    def exit_code(self) -> int | None:
        """What it ended with, less than 0 for a signal; None: it runs."""
        return self._process.poll()

    def wait_for(self, ask: Callable[[], Found | None], what: str, *, pause: float = 0.01) -> Found:
        """What `ask` returns once that is not None; fails when the process ends before."""
        deadline = time.monotonic() + START_SECONDS
        while (answer := ask()) is None:
            if self._process.poll() is not None:
                raise Failed(f"{self.name} ended: {self.last_words()}")
            if time.monotonic() > deadline:
                raise Failed(f"{self.name}: no {what} within {START_SECONDS:g} s")
            time.sleep(pause)
        return answer

    def last_words(self) -> str:
        """The last line of its output, for an error message."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def resident_bytes(self) -> int:
        """Memory that it and its children hold in RAM."""
        return sum(resident_bytes(pid) for pid in (self.pid, *_children(self.pid)))


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


def _children(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [descendant for child in children for descendant in (int(child), *_children(int(child)))]


class Owned:
    """A server whose process may be this one's to stop; another is one that runs already."""

    def __init__(self, process: Running | None) -> None:
        self._process = process

    @property
    def process(self) -> Running:
        """The server's process. Raises Failed if somebody else started it."""
        if self._process is None:
            raise Failed("This server runs already: it is not ours to stop.")
        return self._process

    @process.setter
    def process(self, process: Running) -> None:
        self._process = process
