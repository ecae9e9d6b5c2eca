"""How much one client can harm the others: the server's CPU time and memory for the bytes received.

Each attack has a fresh server with its defaults, on SQLite and the memory cache. A bystander with
another address reads one record at a fixed rate and requests `/livez`. CPU time and memory are the
kernel's counts for the server's process, so other load on the machine does not change them; the
bystander's results do change with it.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from benchmarks.databases import filled
from benchmarks.load import create_one
from benchmarks.results import Figure, Outcome, Row
from benchmarks.scenarios.hostile.attacks import ATTACKS, Attack, Target
from benchmarks.scenarios.hostile.bystander import Bystander
from benchmarks.scenarios.hostile.victim import Victim
from benchmarks.servers import guidkeep
from servers.processes import Failed

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.bench import Bench
    from benchmarks.scenarios.hostile.bystander import Felt
    from benchmarks.scenarios.hostile.traffic import Traffic
    from benchmarks.scenarios.hostile.victim import Cost
    from benchmarks.servers import Server


def run(bench: Bench) -> Outcome:
    """Runs one attack after another."""
    return Outcome([_row(bench, attack) for attack in ATTACKS])


def _row(bench: Bench, attack: Attack) -> Row:
    bench.say(attack.what)
    database = _database(bench, attack)
    flags = list(attack.flags)
    if attack.schema is not None:
        schema = database.with_suffix(".json")
        schema.write_text(json.dumps(attack.schema))
        flags += ["--metadata-schema", str(schema)]
    try:
        with guidkeep(bench, database, *flags) as server:
            return _suffer(bench, attack, server)
    except Failed as error:
        return Row(what=attack.what, figure=None, note=str(error))
    finally:
        for left in database.parent.glob(f"{database.name}*"):
            left.unlink()


def _database(bench: Bench, attack: Attack) -> Path:
    count, size = attack.records.count, attack.records.size
    if count == 0:
        return bench.subfolder("hostile") / "guidkeep.db"
    many = bench.plan.more_records if count is None else count
    return filled(bench, many, size=size).copy(bench.folder).file


def _suffer(bench: Bench, attack: Attack, server: Server) -> Row:
    bystander = Bystander(bench, server, create_one(server))
    victim = Victim(server)
    try:
        traffic = attack.strike(Target(server.port, bench.plan.share, victim.settles))
        cost = victim.cost()
        if not cost.settled:  # it would not react to SIGTERM
            server.process.kill()
    finally:
        felt = bystander.stop()
    return Row(
        what=attack.what,
        figure=Figure([cost.cpu], " s CPU", 2),
        note=_note(traffic, cost, felt),
        details={"attack": attack.name, **asdict(traffic), **asdict(cost), **asdict(felt)},
    )


def _note(traffic: Traffic, cost: Cost, felt: Felt) -> str:
    answers = ", ".join(f"{status} ({count:,})" for status, count in traffic.answers.items())
    parts = [f"{traffic.sent:,} bytes sent, {traffic.received:,} read", f"answers {answers}"]
    if not traffic.answers:
        parts = []
    return "; ".join([*parts, str(cost), f"others: {felt}"])
