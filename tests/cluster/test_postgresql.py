"""PostgreSQL with a synchronous standby: the primary is killed, the standby takes its place."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from servers import postgresql
from servers.processes import program
from servers.proxy import Proxy
from tests.cluster.conftest import nodes_on
from tests.cluster.load import Load
from tests.engines import here

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servers.postgresql import PostgreSQL
    from tests.engines import Engines

pytestmark = pytest.mark.thorough

RESUMED = 30.0
"""The longest time, in seconds, until all nodes acknowledge writes again."""
NAME = "standby"
STATE = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'quorum'"


@contextmanager
def standby_of(primary: PostgreSQL, folder: Path) -> Iterator[PostgreSQL]:
    """A synchronous standby, without which the primary acknowledges no write."""
    owner = postgresql.OWNER if os.geteuid() == 0 else None
    copied = subprocess.run(
        [
            program("pg_basebackup", package=postgresql.PACKAGE, folders=postgresql.FOLDERS),
            *("--dbname", f"{primary.url}?application_name={NAME}", "--pgdata", folder / "data"),
            *("--write-recovery-conf", "--checkpoint", "fast", "--no-sync"),
        ],
        capture_output=True,
        text=True,
        check=False,
        user=owner,
    )
    assert copied.returncode == 0, copied.stderr
    standby = postgresql.PostgreSQL(folder)
    standby.start()
    try:
        primary.run(
            f"ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 ({NAME})'",
            "SELECT pg_reload_conf()",
        )
        primary.process.wait_for(lambda: primary.run(STATE) or None, "standby")
        yield standby
    finally:
        standby.stop()


@pytest.mark.timeout(120)
async def test_the_primary_is_killed_under_load_and_its_synchronous_standby_is_promoted(
    engines: Engines, tmp_path: Path
) -> None:
    """Acknowledged writes survive. The address moves to the standby, as with a failover tool."""
    cache = engines.get("redis").fresh()
    places = [tmp_path / "primary", tmp_path / "standby"]
    for place in places:
        place.mkdir()
    with (
        here(postgresql.started(places[0])) as primary,
        postgresql.home(places[1]) as place,
        standby_of(primary, place) as standby,
        Proxy.before(primary.url) as address,
    ):
        store = address.url(primary.fresh())
        with nodes_on(tmp_path, [store] * 3, "--cache", cache) as nodes:
            async with Load([node.address for node in nodes]) as load:
                async with load.running():
                    await load.more(100)
                    killed = time.monotonic()
                    await asyncio.to_thread(primary.process.kill)
                    await asyncio.to_thread(standby.run, "SELECT pg_promote()")
                    address._target = int(standby.url.rpartition(":")[2].partition("/")[0])
                    await load.more(100)
                await load.check()
                sys.stdout.write(load.told(killed))
                assert load.gap(killed) < RESUMED
