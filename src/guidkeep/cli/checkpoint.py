"""The progress of an import or export: a small file beside the data file, removed at the end.

It is written under another name and renamed, so it is complete even if the process dies. It is
private, and a file that another user planted is refused: an import's checkpoint has the secret from
which GUIDs are derived.
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
    """The saved progress of a task.

    Args:
        path: the file; None to save nothing, as for standard input.
        task: the addresses and options that must be equal when the task resumes.
        begin: the first state; later states have the same members.
    """

    def __init__(self, path: Path | None, task: dict[str, Any], begin: dict[str, Any]) -> None:
        self.path = path
        self._task = task
        self._begin = begin

    def load(self) -> dict[str, Any] | None:
        """Returns the saved state; None if there is none.

        Raises:
            StartupError: the file belongs to another task, or cannot be read.
        """
        if self.path is None or not self.path.exists():
            return None
        try:
            with open_private(self.path, "r+b") as file:
                task, state = self._parsed(file.read())
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise StartupError(
                f"{self.path} can't be read, so the progress is unknown: --restart starts over."
            ) from error
        different = [name for name, value in self._task.items() if task.get(name, value) != value]
        if different:
            raise StartupError(
                f"According to {self.path} it was interrupted with another {different[0]}: "
                "--restart starts over."
            )
        return state

    def _parsed(self, text: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
        """Returns task and state. Raises KeyError, TypeError or ValueError for other content."""
        kept = json.loads(text)
        task, state = dict(kept["task"]), dict(kept["state"])
        for name, begin in self._begin.items():
            is_less = isinstance(begin, int) and state[name] < begin
            if type(state[name]) is not type(begin) or is_less:
                raise ValueError(name)
        return task, {name: state[name] for name in self._begin}

    def is_of_this_task(self) -> bool:
        """Returns whether there is a saved state of the same task."""
        try:
            return self.load() is not None
        except StartupError:
            return False

    def save(self, state: dict[str, Any]) -> None:
        """Saves the state."""
        if self.path is None:
            return
        text = json.dumps({"task": self._task, "state": state}) + "\n"
        replace_private(self.path, text.encode())

    def allow(self, *names: str) -> None:
        """Lets the task resume even if these members of the task differ then."""
        for name in names:
            del self._task[name]

    def drop(self) -> None:
        """Removes the file, because the task is done or starts over."""
        if self.path is not None:
            with suppress(FileNotFoundError):
                self.path.unlink()
