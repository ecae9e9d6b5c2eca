"""Runs the examples of the docs.

A ```console block is a session in a shell: each line that begins with `$ ` is a command (it goes
on in the next line after a backslash), and its output follows; `...` stands for any text.
The address in the text is replaced by that of a real server. A block's commands run in one shell,
so that a variable set in one can be used in the next.
"""

from __future__ import annotations

import doctest
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import httpx2

from tests.support import NO_TLS

if TYPE_CHECKING:
    from types import TracebackType

    from sybil import Example

ADDRESS = "127.0.0.1:8080"
"""The server's address as the docs write it: the default."""

BIN = Path(sys.executable).parent
STAND_IN = Path(__file__).with_name("curl.py")
END = "-- end of the output --"

_command = re.compile(r"^\$ ((?:.*\\\n)*.*)\n?", re.MULTILINE)


class Step(NamedTuple):
    """A command and its expected output."""

    command: str
    output: str


class DocumentedServer:
    """A server with its own file, started with the command in the docs."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the folder of `guidkeep.db`, in which commands are run."""
        self.folder = folder
        self.address = ""
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [BIN / "guidkeep", "serve", "--port", "0"],
            cwd=self.folder,
            env=_environment(self.folder),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        line = self._process.stdout.readline()
        found = re.search(r"http://(\S+)", line)
        assert found, f"the server did not start: {line!r}"
        self.address = found[1]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process
        self._process.terminate()
        self._process.communicate(timeout=60)
        assert self._process.returncode == 0

    def forget(self) -> None:
        """Deletes all records, so that each page begins with none."""
        with httpx2.Client(
            base_url=f"http://{self.address}", trust_env=False, verify=NO_TLS
        ) as client:
            url: str | None = "/guid"
            while url:
                page = client.get(url).json()
                for record in page["guids"]:
                    client.delete(f"/guid/{record['guid']}")
                url = page["next"]

    def run(self, commands: list[str]) -> list[str]:
        """Runs the commands in one shell; returns the output of each."""
        lines = [f"{command}\nprintf '\\n{END}\\n'" for command in commands]
        done = subprocess.run(
            ["/bin/sh", "-c", "\n".join(lines).replace(ADDRESS, self.address)],
            cwd=self.folder,
            env=_environment(self.folder) | self._for_commands(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        *outputs, rest = done.stdout.replace("\r", "").split(f"\n{END}\n")
        assert len(outputs) == len(commands), f"the shell gave up:\n{rest}"
        return [output.replace(self.address, ADDRESS) for output in outputs]

    def _for_commands(self) -> dict[str, str]:
        """Variables that make `guidkeep` print to a pipe as to a terminal."""
        return {"GUIDKEEP_URL": f"http://{self.address}", "GUIDKEEP_FORMAT": "table"}


def parse_console(text: str) -> list[Step]:
    """Returns the steps of a ```console block."""
    before, *pieces = _command.split(text)
    assert not before.strip(), f"output before the first command: {before!r}"
    return [
        Step(command, output) for command, output in zip(pieces[::2], pieces[1::2], strict=True)
    ]


def run_console(example: Example) -> str | None:
    """Runs a ```console block; returns its fault, if any."""
    server: DocumentedServer = example.namespace["server"]
    if "begun" not in example.namespace:
        example.namespace["begun"] = True
        server.forget()
    steps = parse_console(str(example.parsed))
    outputs = server.run([step.command for step in steps])
    for step, printed in zip(steps, outputs, strict=True):
        if not agrees(step.output, printed):
            return f"$ {step.command}\n\nshall print\n\n{step.output}\nbut printed\n\n{printed}"
    return None


def agrees(wanted: str, printed: str) -> bool:
    """Returns whether the output is as in the docs, where `...` stands for any text."""
    checker = doctest.OutputChecker()
    return checker.check_output(f"{wanted.strip()}\n", f"{printed.strip()}\n", doctest.ELLIPSIS)


def check_json(example: Example) -> None:
    """Raises unless a ```json block is JSON."""
    json.loads(str(example.parsed))


def _environment(folder: Path) -> dict[str, str]:
    """The environment for commands: without settings, this project's programs and curl first."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    if shutil.which("curl") is None:
        path = f"{stand_in_for_curl(folder)}{os.pathsep}{path}"
    kept = {name: text for name, text in os.environ.items() if not name.startswith("GUIDKEEP_")}
    # On a terminal curl shows no progress; here an option turns it off.
    (folder / ".curlrc").write_text("silent\nshow-error\n")
    return {**kept, "PATH": path, "no_proxy": "127.0.0.1", "CURL_HOME": str(folder)}


def stand_in_for_curl(folder: Path) -> Path:
    """Creates a command `curl` that runs `curl.py`; returns its folder."""
    bin_folder = folder / "bin"
    bin_folder.mkdir(exist_ok=True)
    command = bin_folder / "curl"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STAND_IN}" "$@"\n')
    command.chmod(0o755)
    return bin_folder
