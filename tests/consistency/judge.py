"""The verdict on a run: checks the history of every GUID, and saves those that fail.

GUIDKEEP_TEST_HISTORIES is the folder for failing histories (build/histories).
"""

from __future__ import annotations

import os
from collections import Counter
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
"""The folder for failing histories."""
CHECKED: Counter[str] = Counter()
"""The number of operations that `require` has found right so far, by store."""


@dataclass
class Verdict:
    """The results of the checks of a run.

    Attributes:
        checked: the number of checked operations.
        failures: the explanations of failures.
        undecided: the checks that were given up.
    """

    checked: int = 0
    failures: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """The failures, or if there are none, the bound that follows."""
        if self.failures or self.undecided:
            return "\n\n".join(self.failures + self.undecided)
        return bound(self.checked)


def bound(checked: int) -> str:
    """The bound that follows from a number of operations without a violation: the rule of three."""
    return (
        f"{checked} operations checked, no violation: with 95 % confidence "
        f"fewer than {3 / max(checked, 3):.2g} of all are one (3/n)"
    )


def judge(history: Sequence[Operation], promises_of: PromisesOf = lambda _: ()) -> Verdict:
    """Checks each GUID's history against the promises.

    Args:
        history: the history of all GUIDs.
        promises_of: returns the promises that apply to one GUID's history beside the strict one.
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
    """Counts the checked operations. Fails unless the verdict is good.

    Args:
        verdict: the verdict; if it is bad, it is saved with the whole history.
        history: the history of all GUIDs.
        name: the name of the run; its first word is a store, or "virtual".
        replay: the command that repeats the run.
    """
    if not verdict.failures and not verdict.undecided:
        CHECKED[name.split(maxsplit=1)[0]] += verdict.checked
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name.replace(' ', '-')}.txt"
    lines = [f"Replay: {replay}", "", str(verdict), "", "The whole history, a GUID after another:"]
    for guid, operations in by_guid(history).items():
        lines += ["", guid, *(f"  {one}" for one in sorted(operations, key=lambda o: o.invoked))]
    path.write_text("\n".join(lines) + "\n")
    path.with_suffix(".jsonl").write_text("".join(f"{one.as_json()}\n" for one in history))
    raise AssertionError(f"{verdict}\n\nThe whole history: {path}\nReplay: {replay}")
