"""Clients that write and read through several nodes, and what must hold of all they are told.

Each does one thing after the other, each time through any node: it counts up a record of its own
and reads it back, counts up one that all share if it is still as it was read (`If-Match`), creates
records and deletes some of them. Then:

- a read returns what was answered last, or a later write whose outcome was said to be unknown;
- what was said not to have been written is never seen;
- the shared count is the number of answered steps, and of unknown ones at most as many more;
- what was created is there, and what was deleted is not.
"""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, NamedTuple, Self

import httpx2

from tests.support import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

SHARED = f"/guid/{0:032X}"
EXPIRE = 4102444800


class Written(NamedTuple):
    """An answered write: through which node, from when to when."""

    node: int
    began: float
    ended: float


class Load:
    """All clients.

    Args:
        addresses: the nodes'.
        clients: how many.
        age: how many seconds ago a read may be of at a time; 0: it may not be old.
        seed: of all choices.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        *,
        clients: int = 6,
        age: Callable[[], float] = lambda: 0.0,
        seed: int = 1,
    ) -> None:
        self.random = Random(seed)  # noqa: S311 - no secret
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
        self._http = httpx2.AsyncClient(trust_env=False, timeout=30)

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        await self.shared.create()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.__aexit__()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The clients work as long as the block lasts; what one of them finds wrong is raised."""
        self._over = False
        async with asyncio.TaskGroup() as group:
            for client in self._clients:
                group.create_task(self._repeat(client))
            try:
                yield
            finally:
                self._over = True

    async def more(self, writes: int) -> None:
        """Returns when each node has answered so many writes more, begun from now on."""
        since = time.monotonic()
        async with asyncio.timeout(PATIENCE):
            while min(self._counts(since)) < writes:
                self._answer.clear()
                await self._answer.wait()

    def gap(self, since: float) -> float:
        """Seconds from then until each node had answered a write that was begun after it."""
        return max(
            min(w.ended for w in self.written if w.node == node and w.began >= since) - since
            for node in range(len(self.addresses))
        )

    async def hits(self) -> float:
        """How many reads all nodes answered from the cache."""
        texts = [(await self._http.get(f"{address}/metrics")).text for address in self.addresses]
        found = (
            re.search(r"^guidkeep_cache_hits_total (\S+)$", text, re.MULTILINE) for text in texts
        )
        return sum(float(each[1]) for each in found if each)

    def told(self, since: float) -> str:
        """For whoever looks: what was answered, and how long it took from then on."""
        return (
            f"\n{len(self.written)} writes answered, {self.unknown} unknown, {self.unwritten} "
            f"refused, {self.old_reads} old reads; resumed after {self.gap(since):.1f} s"
        )

    async def check(self) -> None:
        """Asserts, through each node, that all is as it was answered."""
        for node in range(len(self.addresses)):
            await self.shared.check(node)
            for client in self._clients:
                await client.check(node)

    async def ask(
        self, node: int, method: str, path: str, body: str | None = None, match: str | None = None
    ) -> httpx2.Response | None:
        """The answer; None: it was said that nothing was done, or (`unknown`) may have been."""
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
    """The record that all count up."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._answered = 0
        self._most = 0
        """Steps that were answered, are on their way, or have an unknown outcome."""

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
    """See the module's text."""

    def __init__(self, load: Load, number: int) -> None:
        self._load = load
        self._path = f"/guid/{number:032X}"
        self._last = 0
        self._possible = {0}
        """What the own record may count: 0, it is not there."""
        self._former: list[tuple[float, int]] = []
        """What it counted before, and until when."""
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
