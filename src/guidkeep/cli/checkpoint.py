"""How far an import or export came: a small file beside the other, gone when all is done.

It is written beside and renamed, so it is whole whenever the process dies. It is private, and one
that another user has put there is not believed: an import's has the secret from which GUIDs follow.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from guidkeep.errors import StartupError
from guidkeep.system.files import open_private, replace_private

if TYPE_CHECKING:
    from pathlib import Path


class Checkpoint:
    """What is kept of a piece of work, in a file of its own.

    Args:
        path: the file; None: nothing is kept, as for standard input.
        task: what must be the same for it to go on: the addresses, the options.
        begin: what is kept at the beginning; what is kept later has the same members.
    """

    def __init__(self, path: Path | None, task: dict[str, Any], begin: dict[str, Any]) -> None:
        self.path = path
        self._task = task
        self._begin = begin

    def load(self) -> dict[str, Any] | None:
        """What was kept; None: nothing.

        Raises:
            StartupError: it is another task's.
        """
        if self.path is None or not self.path.exists():
            return None
        try:
            with open_private(self.path, "r+b") as file:
                task, state = self._parsed(file.read())
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise StartupError(
                f"{self.path} can't be read, which says how far it came: --restart begins anew."
            ) from error
        different = [name for name, value in self._task.items() if task.get(name, value) != value]
        if different:
            raise StartupError(
                f"It was interrupted with another {different[0]}, says {self.path}: "
                "--restart begins anew."
            )
        return state

    def _parsed(self, text: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
        """The task and the state; raises KeyError, TypeError or ValueError if they are none."""
        kept = json.loads(text)
        task, state = dict(kept["task"]), dict(kept["state"])
        for name, begin in self._begin.items():
            is_less = isinstance(begin, int) and state[name] < begin
            if type(state[name]) is not type(begin) or is_less:
                raise ValueError(name)
        return task, {name: state[name] for name in self._begin}

    def is_of_this_task(self) -> bool:
        """Whether something was kept, and of the same task."""
        try:
            return self.load() is not None
        except StartupError:
            return False

    def save(self, state: dict[str, Any]) -> None:
        """Keeps how far it came."""
        if self.path is None:
            return
        text = json.dumps({"task": self._task, "state": state}) + "\n"
        replace_private(self.path, text.encode())

    def allow(self, *names: str) -> None:
        """It may go on though these are others then."""
        for name in names:
            del self._task[name]

    def drop(self) -> None:
        """Forgets it: all is done, or begins anew."""
        if self.path is not None:
            with suppress(FileNotFoundError):
                self.path.unlink()
