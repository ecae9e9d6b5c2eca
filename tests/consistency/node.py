"""`guidkeep serve` with delays, a wrong clock, or a planted fault.

python -m tests.consistency.node --skew 1.5 --jitter 0.01 --seed 7 serve --store ...
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from guidkeep import logs, settings
from guidkeep.caches import open_cache
from guidkeep.caches.redis import cache as redis
from guidkeep.cli.parser import parsed
from guidkeep.server import server
from guidkeep.stores import open_store
from tests.consistency.faults import FAULTS, OUTAGES
from tests.consistency.jitter import Jitter, JitteredCache, JitteredStore

if TYPE_CHECKING:
    from guidkeep.caches import Cache
    from guidkeep.stores import Store
    from tests.consistency.faults import Fault


def main() -> None:
    """Serves until a signal stops the process."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--skew", type=float, default=0.0)
    parser.add_argument("--jitter", type=float, default=0.0)
    parser.add_argument("--seed", default="")
    parser.add_argument("--fault", default="")
    own, words = parser.parse_known_args()
    _, flags = parsed(words)
    if own.fault:
        _plant({**FAULTS, **OUTAGES}[own.fault])
    if own.jitter:
        _delay(own.seed, own.jitter)
    chosen = settings.load(flags)
    logs.configure(form=chosen.log_format, level=chosen.log_level, guids="full")
    server.run(chosen, lambda: server.serve(chosen, clock=lambda: time.time() + own.skew))


def _plant(fault: Fault) -> None:
    vars(server)["Registry"] = fault.registry
    vars(redis)["RedisCache"] = fault.redis
    fault.plant(dict.__setitem__)


def _delay(seed: str, most: float) -> None:
    def open_cache_with_delays(*arguments: Any, **options: Any) -> Cache:
        cache = open_cache(*arguments, **options)
        return JitteredCache(cache, Jitter(f"cache {seed}", most))

    async def open_store_with_delays(*arguments: Any, **options: Any) -> Store:
        store = await open_store(*arguments, **options)
        return JitteredStore(store, Jitter(f"store {seed}", most))

    vars(server).update(open_cache=open_cache_with_delays, open_store=open_store_with_delays)


if __name__ == "__main__":
    main()
