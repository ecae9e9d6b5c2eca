"""Clients that write and read through several nodes, and the promises for their responses.

Each client does one operation after the other, each through any node: it increments a counter in a
record of its own and reads it back, increments a shared one conditionally (`If-Match`), creates
records and deletes some of them. Then:

- a read returns the last acknowledged write, or a later one whose outcome is in doubt;
- a write that was reported as not done is never seen;
- the shared count is the number of acknowledged steps, plus at most the number of those in doubt;
- created records exist, and deleted ones do not.
"""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, NamedTuple, Self

import httpx2

from tests.support import NO_TLS, PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

SHARED = f"/guid/{0:032X}"
EXPIRE = 4102444800


class Written(NamedTuple):
    """An acknowledged write: its node, its start and its end."""

    node: int
    began: float
    ended: float


class Load:
    """All clients.

    Args:
        addresses: the nodes' addresses.
        clients: the number of clients.
        age: how old a read may be, in seconds; 0 if it may not be old.
        seed: the seed of all random choices.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        *,
        clients: int = 6,
        age: Callable[[], float] = lambda: 0.0,
        seed: int = 1,
    ) -> None:
        self.random = Random(seed)  # noqa: S311 - not a secret
        self.addresses = addresses
        self.age = age
        self.written: list[Written] = []
        self.unwritten = 0
        self.unknown = 0
        self.old_reads = 0
        self.shared = Shared(self)
        self._clients = [Client(self, number) for number in range(1, clients + 1)]
        self._over = False
        self._answer = asyncio.Event()
        self._http = httpx2.AsyncClient(trust_env=False, timeout=30, verify=NO_TLS)

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        await self.shared.create()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.__aexit__()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Runs the clients during the block; raises the first fault that one of them finds."""
        self._over = False
        async with asyncio.TaskGroup() as group:
            for client in self._clients:
                group.create_task(self._repeat(client))
            try:
                yield
            finally:
                self._over = True

    async def more(self, writes: int) -> None:
        """Returns when each node has acknowledged that many writes that began after the call."""
        since = time.monotonic()
        async with asyncio.timeout(PATIENCE):
            while min(self._counts(since)) < writes:
                self._answer.clear()
                await self._answer.wait()

    def gap(self, since: float) -> float:
        """Returns the seconds until each node had acknowledged a write that began after `then`."""
        return max(
            min(w.ended for w in self.written if w.node == node and w.began >= since) - since
            for node in range(len(self.addresses))
        )

    async def hits(self) -> float:
        """Returns the number of cache hits of all nodes."""
        texts = [(await self._http.get(f"{address}/metrics")).text for address in self.addresses]
        found = (
            re.search(r"^guidkeep_cache_hits_total (\S+)$", text, re.MULTILINE) for text in texts
        )
        return sum(float(each[1]) for each in found if each)

    def told(self, since: float) -> str:
        """Prints the numbers of acknowledged operations, and the times to recover."""
        return (
            f"\n{len(self.written)} writes answered, {self.unknown} unknown, {self.unwritten} "
            f"refused, {self.old_reads} old reads; resumed after {self.gap(since):.1f} s"
        )

    async def check(self) -> None:
        """Asserts, through each node, that all acknowledged writes are there."""
        for node in range(len(self.addresses)):
            await self.shared.check(node)
            for client in self._clients:
                await client.check(node)

    async def ask(
        self, node: int, method: str, path: str, body: str | None = None, match: str | None = None
    ) -> httpx2.Response | None:
        """Returns the response; None if nothing was done, or (`unknown`) may have been."""
        headers = {} if match is None else {"If-Match": match}
        began = time.monotonic()
        answer = await self._http.request(
            method, self.addresses[node] + path, content=body, headers=headers
        )
        if answer.status_code in (200, 201, 204) and method != "GET":
            self.written.append(Written(node, began, time.monotonic()))
            self._answer.set()
        if answer.status_code != 503:
            return answer
        kind = answer.json()["type"].rpartition(":")[2]
        assert kind in ("store-unavailable", "outcome-unknown"), answer.text
        if kind == "outcome-unknown":
            self.unknown += 1
            return answer
        self.unwritten += 1
        await asyncio.sleep(0.02)
        return None

    def any_node(self) -> int:
        return self.random.randrange(len(self.addresses))

    async def _repeat(self, client: Client) -> None:
        while not self._over:
            await client.turn()

    def _counts(self, since: float) -> list[int]:
        counts = [0] * len(self.addresses)
        for written in self.written:
            counts[written.node] += written.began >= since
        return counts


class Shared:
    """The shared counter record."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._answered = 0
        self._most = 0
        """The numbers of steps that were acknowledged, are in progress, or are in doubt."""

    async def create(self) -> None:
        answer = await self._load.ask(0, "PUT", SHARED, _body(0))
        assert answer is not None
        assert answer.status_code in (200, 201), answer.text

    async def turn(self) -> None:
        load = self._load
        at_least = self._answered
        found = await load.ask(load.any_node(), "GET", SHARED)
        if found is None:
            return
        count = found.json()["count"]
        assert count <= self._most
        assert count >= at_least or load.age(), "an answered step is not there"
        tag = found.headers["etag"]
        self._most += 1
        answer = await load.ask(load.any_node(), "PUT", SHARED, _body(count + 1), tag)
        if answer is not None and answer.status_code == 200:
            self._answered += 1
        elif answer is None or answer.status_code == 412:
            self._most -= 1
        else:
            assert answer.status_code == 503, answer.text

    async def check(self, node: int) -> None:
        answer = await self._load.ask(node, "GET", SHARED)
        assert answer is not None
        count = answer.json()["count"]
        assert self._answered <= count <= self._most


class Client:
    """One client. See the module's text."""

    def __init__(self, load: Load, number: int) -> None:
        self._load = load
        self._path = f"/guid/{number:032X}"
        self._last = 0
        self._possible = {0}
        """The possible counts of the client's record; 0 if it does not exist."""
        self._former: list[tuple[float, int]] = []
        """The former counts, and the time until which each was right."""
        self._there: dict[str, int] = {}
        self._gone: set[str] = set()

    async def turn(self) -> None:
        await self._count_up()
        await self._read(self._load.any_node())
        await self._load.shared.turn()
        await self._create()
        if len(self._there) > 20:
            await self._delete()

    async def check(self, node: int) -> None:
        await self._read(node)
        for path, count in self._there.items():
            answer = await self._load.ask(node, "GET", path)
            assert answer is not None
            assert (answer.status_code, answer.json().get("count")) == (200, count), path
        for path in self._gone:
            answer = await self._load.ask(node, "GET", path)
            assert answer is not None
            assert answer.status_code == 404, path

    async def _count_up(self) -> None:
        self._last += 1
        count = self._last
        answer = await self._load.ask(self._load.any_node(), "PUT", self._path, _body(count))
        if answer is not None and answer.status_code == 503:
            self._possible.add(count)
        elif answer is not None:
            assert answer.status_code in (200, 201), answer.text
            self._is(count)

    async def _read(self, node: int) -> None:
        began = time.monotonic()
        answer = await self._load.ask(node, "GET", self._path)
        if answer is None:
            return
        count = answer.json()["count"] if answer.status_code == 200 else 0
        if count in self._possible:
            self._is(count)
            return
        oldest = began - self._load.age()
        recent = {former for until, former in self._former if until >= oldest}
        assert count in recent, f"{self._path}: {count}, not one of {self._possible}"
        self._load.old_reads += 1

    def _is(self, count: int) -> None:
        now = time.monotonic()
        self._former += [(now, former) for former in self._possible if former != count]
        self._possible = {other for other in self._possible if other > count} | {count}

    async def _create(self) -> None:
        self._last += 1
        answer = await self._load.ask(self._load.any_node(), "POST", "/guid", _body(self._last))
        if answer is not None and answer.status_code == 201:
            self._there[f"/guid/{answer.json()['guid']}"] = self._last

    async def _delete(self) -> None:
        path, count = next(iter(self._there.items()))
        del self._there[path]
        answer = await self._load.ask(self._load.any_node(), "DELETE", path)
        if answer is None:
            self._there[path] = count
        elif answer.status_code != 503:
            assert answer.status_code == 204, answer.text
            self._gone.add(path)


def _body(count: int) -> str:
    return f'{{"user": "Ann", "expire": {EXPIRE}, "count": {count}}}'
