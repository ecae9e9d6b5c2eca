"""`guidkeep serve` as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from servers.nodes import ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GUIDKEEP = (sys.executable, "-m", "guidkeep")


class Server:
    """A server process at `address`."""

    def __init__(self, process: subprocess.Popen[str], line: str) -> None:
        self.process = process
        self.line = line
        found = re.search(r"http://\S+$", line)
        assert found, f"no address: {line!r}"
        self.address = found[0]

    @property
    def memory(self) -> int:
        """Bytes of its resident memory (Linux)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=30)

    def stop(self) -> int:
        """SIGTERM; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@contextmanager
def serving(
    store: Path | str,
    *flags: str,
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
    descriptors: int = 0,
) -> Iterator[Server]:
    """Starts a server on a free port; ends it when the context ends, with or without an error.

    Args:
        store: the SQLite file, or the store's URL.
        flags: the flags of `guidkeep serve`.
        environment: variables to add.
        log: the file for its standard error; None: discard it.
        descriptors: the limit of open files; 0: that of this process.
    """
    limit = ("sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh") if descriptors else ()
    url = store if isinstance(store, str) else f"sqlite:///{store}"
    with (
        Path(log or os.devnull).open("w") as stderr,
        subprocess.Popen(
            [*limit, *GUIDKEEP, "serve", "--port", "0", "--store", url, *flags],
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**ENVIRONMENT, **(environment or {})},
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            yield Server(process, process.stdout.readline().strip())
        finally:
            if process.poll() is None:
                process.kill()
