"""Compares the memory cache's count of its bytes with the growth of the process.

`python -m benchmarks.scenarios.memory COUNT` fills a cache and prints both figures. It is a
separate process, so that only the cache grows.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from benchmarks.results import Figure, Outcome, Row, Target
from servers.processes import Failed, resident_bytes

if TYPE_CHECKING:
    from benchmarks.bench import Bench

TARGETS = (Target("≥", 0.9), Target("≤", 1.1))


def run(bench: Bench) -> Outcome:
    """Fills a cache in another process."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scenarios.memory", str(bench.plan.cached)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Failed(f"filling the memory cache: {done.stderr.strip().rpartition(chr(10))[2]}")
    found = json.loads(done.stdout)
    counted, grown = found["counted"], found["grown"]
    return Outcome(
        [
            Row(
                what=f"Memory cache of {found['entries']:,}, its count / the process's growth",
                figure=Figure([counted / grown], digits=3),
                targets=TARGETS,
                note=f"{counted / 1e6:,.0f} MB counted, growth of {grown / 1e6:,.0f} MB",
            )
        ]
    )


async def _fill(count: int) -> dict[str, int]:
    from guidkeep.caches.memory import MemoryCache  # noqa: PLC0415 - only this process needs it
    from guidkeep.http import representation  # noqa: PLC0415 - the same
    from guidkeep.record import Record  # noqa: PLC0415 - the same

    cache = MemoryCache(max_size=1 << 40, max_age=86_400, form=representation)
    now = time.time()
    before = resident_bytes()
    for number in range(count):
        guid = os.urandom(16).hex().upper()
        lease = await cache.lease(guid)
        metadata = f'{{"user":"Customer {number % 5000:04}, Inc."}}'
        record = Record(guid, int(now) + 86_400, int(now * 1e6) + number, metadata)
        await cache.settle(lease, record, now)
    gc.collect()
    grown = resident_bytes() - before
    figures = cache.counts
    return {"entries": figures.entries, "counted": figures.bytes, "grown": grown}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_fill(int(sys.argv[1])))))
