"""`kill -9` under load: every acknowledged write is there, and nothing is half-written."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.server.processes import serving
from tests.server.wire import Connection, Lost, record

if TYPE_CHECKING:
    from pathlib import Path

CLIENTS = 8
GUIDS = 12
MOST_WRITES = 400


class Client:
    """A client that writes to its own GUIDs, and remembers the responses.

    Attributes:
        answered: each GUID's user as of the last response; None: there is no record.
        asked: the one write that was not answered, if there is one: its GUID, and the user that
            it would leave.
    """

    def __init__(self, number: int, seed: int) -> None:
        self._random = random.Random(f"{seed} {number}")  # noqa: S311 - load, no secret
        self._writes = 0
        self.guids = [f"{number:016X}{at:016X}" for at in range(GUIDS)]
        self.answered: dict[str, str | None] = dict.fromkeys(self.guids)
        self.asked: tuple[str, str | None] | None = None

    async def write(self, connection: Connection) -> None:
        """Sends one write: create, update, replace or delete."""
        guid = self._random.choice(self.guids)
        self._writes += 1
        method = self._random.choice(["POST", "POST", "PUT", "PATCH", "DELETE"])
        there = self.answered[guid] is not None
        user = f"{guid} {self._writes} " + "x" * self._random.randrange(200)
        leaves = user if method in ("POST", "PUT") or (method == "PATCH" and there) else None
        self.asked = (guid, leaves)
        body = None if method == "DELETE" else record(user)
        answer = await connection.ask(method, f"/guid/{guid}", body)
        expected = {"DELETE": 204 if there else 404, "PATCH": 200 if there else 404}
        assert answer.status == expected.get(method, 200 if there else 201), answer
        self.answered[guid] = leaves
        self.asked = None

    def give_up_what_is_open(self) -> None:
        """Stops using the GUID of a write in doubt: a database may still do that write."""
        if self.asked is not None:
            self.guids.remove(self.asked[0])
            self.asked = None

    async def check(self, connection: Connection) -> None:
        """Checks each GUID: as after its last acknowledged write, or after the one in doubt."""
        for guid in self.guids:
            answer = await connection.ask("GET", f"/guid/{guid}")
            assert answer.status in (200, 404)
            found = answer.json["user"] if answer.status == 200 else None
            possible = {self.answered[guid]}
            if self.asked is not None and self.asked[0] == guid:
                possible.add(self.asked[1])
            assert found in possible, f"{guid} is {found!r}, not one of {possible}"
            self.answered[guid] = found
        self.asked = None


async def write_until_killed(
    clients: list[Client], address: str, enough: asyncio.Event, writes: int
) -> None:
    done = 0

    async def run(client: Client) -> None:
        nonlocal done
        connection = await Connection.to(address)
        try:
            while True:
                await client.write(connection)
                done += 1
                if done >= writes:
                    enough.set()
        except Lost:
            pass
        finally:
            connection.close()

    await asyncio.gather(*map(run, clients))


def check_file(path: Path) -> None:
    """Checks with SQLite's own check and by the rows' content that nothing is half-written."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        for guid, user, metadata in connection.execute("SELECT guid, user, metadata FROM record"):
            members = json.loads(metadata)
            assert members["user"].startswith(guid.hex().upper())
            assert members["user"].encode() == user


async def kill_and_check(path: Path, rounds: int, seed: int) -> None:
    clients = [Client(number, seed) for number in range(CLIENTS)]
    chance = random.Random(seed)  # noqa: S311 - the same
    for _ in range(rounds):
        with serving(path, "--store-timeout", "30s") as server:
            connection = await Connection.to(server.address)
            for client in clients:
                await client.check(connection)
            connection.close()
            check_file(path)
            enough = asyncio.Event()
            writes = chance.randrange(1, MOST_WRITES)
            load = asyncio.ensure_future(
                write_until_killed(clients, server.address, enough, writes)
            )
            killing = asyncio.ensure_future(enough.wait())
            await asyncio.wait([load, killing], return_when=asyncio.FIRST_COMPLETED)
            server.kill()
            await load
            assert enough.is_set()
    with serving(path) as server:
        connection = await Connection.to(server.address)
        for client in clients:
            await client.check(connection)
        connection.close()
        check_file(path)
        assert server.stop() == 0


async def test_every_answered_write_survives_ten_kills_under_load(tmp_path: Path) -> None:
    await kill_and_check(tmp_path / "guidkeep.db", rounds=10, seed=1)


@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_every_answered_write_survives_a_hundred_kills_under_load(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - to repeat a failure
    await kill_and_check(tmp_path / "guidkeep.db", rounds=100, seed=seed)
