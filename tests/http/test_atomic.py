"""Concurrent writes to one GUID are atomic."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.http.helpers import EACH_PAIR

if TYPE_CHECKING:
    from tests.http.helpers import Api

pytestmark = EACH_PAIR

CROWD = 30


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_of_concurrent_creates_one_answers_201_and_the_rest_update(
    api: Api, guid: str, method: str
) -> None:
    answers = await asyncio.gather(
        *(api.request(method, f"/guid/{guid}", json={"user": f"{n}"}) for n in range(CROWD))
    )
    assert sorted(answer.status_code for answer in answers) == [200] * (CROWD - 1) + [201]
    assert len({answer.headers["etag"] for answer in answers}) == CROWD
    final = await api.get(f"/guid/{guid}")
    [last] = [answer for answer in answers if answer.headers["etag"] == final.headers["etag"]]
    assert last.text == final.text
    assert all(int(a.headers["etag"][1:-1]) <= int(final.headers["etag"][1:-1]) for a in answers)


@pytest.mark.parametrize("exists", [False, True])
async def test_no_update_is_lost(api: Api, guid: str, exists: bool) -> None:
    if exists:
        await api.made(guid)
    answers = await asyncio.gather(
        *(
            api.post(f"/guid/{guid}", json={"user": "Ann", f"member {n}": n})
            for n in range(CROWD)
        )
    )  # fmt: skip
    assert {answer.status_code for answer in answers} <= {200, 201}
    record = (await api.get(f"/guid/{guid}")).json()
    assert {f"member {n}": n for n in range(CROWD)}.items() <= record.items()


async def test_of_concurrent_deletes_one_answers_204(api: Api, guid: str) -> None:
    await api.made(guid)
    answers = await asyncio.gather(*(api.delete(f"/guid/{guid}") for _ in range(CROWD)))
    assert sorted(answer.status_code for answer in answers) == [204] + [404] * (CROWD - 1)


async def test_a_read_never_returns_less_than_the_last_answered_write(api: Api, guid: str) -> None:
    await api.made(guid, count=0)
    answered = 0

    async def write() -> None:
        nonlocal answered
        for count in range(1, CROWD):
            await api.patch(f"/guid/{guid}", json={"count": count})
            answered = count

    async def read() -> None:
        while answered < CROWD - 1:
            least = answered
            assert (await api.get(f"/guid/{guid}")).json()["count"] >= least
            await asyncio.sleep(0)  # in one process a hit does not yield to other tasks

    async with asyncio.timeout(30):
        await asyncio.gather(write(), *(read() for _ in range(4)))
