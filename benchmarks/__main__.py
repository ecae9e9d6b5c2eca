"""The command: `python -m benchmarks`; `make bench`."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.bench import FULL, PACKAGES, QUICK, Bench, keeping_folder, missing
from benchmarks.machine import describe
from benchmarks.profiling import LOADS, profile
from benchmarks.report import Report
from benchmarks.results import Outcome, Row
from benchmarks.scenarios import SCENARIOS
from servers.processes import Failed

if TYPE_CHECKING:
    from collections.abc import Sequence

MEASURED = Path(__file__).resolve().parents[1] / "docs" / "measured"


def main() -> int:
    """Runs the benchmarks; returns 1 if one failed for another reason than a missing program."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that running servers are ended
    options = _options().parse_args()
    if not options.guidkeep.exists():
        print(f"{options.guidkeep} is missing: make install", file=sys.stderr)
        return 1
    _say_what_is_missing()
    kept = keeping_folder()
    with tempfile.TemporaryDirectory(dir=kept, prefix="run-") as folder:
        bench = Bench(
            plan=QUICK if options.quick else FULL,
            folder=Path(folder),
            kept=kept,
            guidkeep=options.guidkeep,
        )
        if options.profile:
            return _profile(bench, options.profile)
        report = _measure(bench, options.only or list(SCENARIOS))
    print(report.table())
    whole = not options.quick and not options.only
    target = options.output or (MEASURED if whole else None)
    if target:
        for path in report.write(target):
            print(f"wrote {path}", file=sys.stderr)
    failed = any(row.figure is None for row in report.rows)
    return int(failed and not missing())


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures Guidkeep beside nginx, Webdis + Redis, and a Tornado service.",
        epilog="A whole run writes docs/measured/; a quick or partial one only prints.",
    )
    parser.add_argument("--quick", action="store_true", help="a run of seconds, to try it out")
    parser.add_argument(
        "--only",
        action="append",
        choices=SCENARIOS,
        help="run this scenario alone; may be repeated",
    )
    parser.add_argument("--output", type=Path, help="write the results into this folder")
    parser.add_argument(
        "--profile", choices=LOADS, help="only show where the server's time goes under this load"
    )
    parser.add_argument(
        "--guidkeep",
        type=Path,
        default=Path(sys.executable).with_name("guidkeep"),
        help="the program to measure; by default this environment's",
    )
    return parser


def _say_what_is_missing() -> None:
    if names := missing():
        packages = " ".join(PACKAGES[name] for name in names)
        print(
            f"Missing: {', '.join(names)}. Scenarios that need them are left out.", file=sys.stderr
        )
        print(f"To install them: apt-get install {packages}", file=sys.stderr)


def _profile(bench: Bench, load: str) -> int:
    try:
        print(profile(bench, load))
    except Failed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _measure(bench: Bench, names: Sequence[str]) -> Report:
    """Runs the scenarios; one that fails is reported with its reason, and the next runs."""
    outcomes = {}
    for name in names:
        scenario = SCENARIOS[name]
        print(scenario.title, file=sys.stderr, flush=True)
        try:
            outcomes[name] = scenario.run(bench)
        except (Failed, OSError) as error:
            print(f"  {error}", file=sys.stderr, flush=True)
            row = Row(what=scenario.title, figure=None, targets=scenario.targets, note=str(error))
            outcomes[name] = Outcome([row])
    return Report(
        outcomes=outcomes,
        machine=describe(bench),
        command=_command(),
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _command() -> str:
    """The command that makes the report again."""
    arguments = sys.argv[1:]
    return shlex.join(["python", "-m", "benchmarks", *arguments]) if arguments else "make bench"


if __name__ == "__main__":
    sys.exit(main())
