"""The verdict on a run: every GUID's history checked, and what fails written down."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.consistency.explain import explain
from tests.consistency.operations import by_guid
from tests.consistency.promises import loosest
from tests.consistency.search import Undecided, check
from tests.consistency.specification import Contradiction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tests.consistency.operations import Operation
    from tests.consistency.promises import Promise

    PromisesOf = Callable[[Sequence[Operation]], Iterable[Promise]]

FOLDER = Path(os.environ.get("GUIDKEEP_TEST_HISTORIES", "build/histories"))
"""Where failing histories go."""


@dataclass
class Verdict:
    """What the checks of a run found.

    Attributes:
        checked: operations that had to fit.
        failures: an explanation each.
        undecided: checks that were given up.
    """

    checked: int = 0
    failures: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """The failures, or the bound that follows when there are none."""
        if self.failures or self.undecided:
            return "\n\n".join(self.failures + self.undecided)
        bound = 3 / self.checked if self.checked else 1.0
        return (
            f"{self.checked} operations checked, no violation: 95 % confidence that fewer than "
            f"{bound:.2g} of all are (3/n)"
        )


def judge(history: Sequence[Operation], promises_of: PromisesOf = lambda _: ()) -> Verdict:
    """Checks each GUID's history against what is promised of it.

    Args:
        history: of all GUIDs.
        promises_of: from one GUID's history to the promises that apply beside the strict one.
    """
    verdict = Verdict()
    for guid, operations in by_guid(history).items():
        verdict.checked += sum(operation.tells for operation in operations)
        begins = loosest(promises_of(operations))
        try:
            failure = check(operations, begins=begins)
        except Contradiction as contradiction:
            shown = "\n".join(f"  {operation}" for operation in contradiction.operations)
            verdict.failures.append(f"{guid}: {contradiction}:\n{shown}")
        except Undecided as undecided:
            verdict.undecided.append(f"{guid}: {undecided}")
        else:
            if failure is not None:
                verdict.failures.append(explain(failure, begins))
    return verdict


def require(verdict: Verdict, history: Sequence[Operation], name: str, replay: str) -> None:
    """Fails, with the explanation and where the whole history is, unless all is well."""
    if not verdict.failures and not verdict.undecided:
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.txt"
    lines = [f"Replay: {replay}", "", str(verdict), "", "The whole history, a GUID after another:"]
    for guid, operations in by_guid(history).items():
        lines += ["", guid, *(f"  {one}" for one in sorted(operations, key=lambda o: o.invoked))]
    path.write_text("\n".join(lines) + "\n")
    path.with_suffix(".jsonl").write_text("".join(f"{one.as_json()}\n" for one in history))
    raise AssertionError(f"{verdict}\n\nThe whole history: {path}\nReplay: {replay}")
