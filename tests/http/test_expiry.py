"""A record is valid if and only if now < expire: to the second, on every path, in every cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guidkeep.record import new_guid
from tests.http.helpers import EACH_PAIR, SOON

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.http.helpers import Api
    from tests.support import Clock

    Asks = Callable[[Api, str, str], Awaitable[bool]]
    """Sends a request about a GUID with its former ETag; returns whether the record exists."""

pytestmark = EACH_PAIR

BEFORE = [SOON - 1, SOON - 0.001]
AFTER = [SOON, SOON + 1]


async def _get(api: Api, guid: str, _: str) -> bool:
    answer = await api.get(f"/guid/{guid}")
    assert answer.status_code in (200, 404)
    return answer.is_success


async def _head(api: Api, guid: str, _: str) -> bool:
    answer = await api.head(f"/guid/{guid}")
    assert answer.status_code in (200, 404)
    return answer.is_success


async def _revalidate(api: Api, guid: str, etag: str) -> bool:
    answer = await api.get(f"/guid/{guid}", headers={"If-None-Match": etag})
    assert answer.status_code in (304, 404)
    return answer.status_code == 304


async def _get_if_match(api: Api, guid: str, etag: str) -> bool:
    answer = await api.get(f"/guid/{guid}", headers={"If-Match": etag})
    assert answer.status_code in (200, 404)
    return answer.is_success


async def _list(api: Api, guid: str, _: str) -> bool:
    return guid in await api.all_guids(user=f"user of {guid}")


async def _patch(api: Api, guid: str, _: str) -> bool:
    answer = await api.patch(f"/guid/{guid}", json={"note": 1})
    assert answer.status_code in (200, 404)
    return answer.is_success


async def _patch_if_match(api: Api, guid: str, etag: str) -> bool:
    answer = await api.patch(f"/guid/{guid}", json={"note": 1}, headers={"If-Match": etag})
    assert answer.status_code in (200, 404)
    return answer.is_success


async def _delete(api: Api, guid: str, _: str) -> bool:
    answer = await api.delete(f"/guid/{guid}")
    assert answer.status_code in (204, 404)
    return answer.is_success


async def _delete_if_match(api: Api, guid: str, etag: str) -> bool:
    answer = await api.delete(f"/guid/{guid}", headers={"If-Match": etag})
    assert answer.status_code in (204, 404)
    return answer.is_success


async def _post(api: Api, guid: str, _: str) -> bool:
    answer = await api.post(f"/guid/{guid}", json={"user": "Bea"})
    assert answer.status_code in (200, 201)
    return answer.status_code == 200


async def _put(api: Api, guid: str, _: str) -> bool:
    answer = await api.put(f"/guid/{guid}", json={"user": "Bea"})
    assert answer.status_code in (200, 201)
    return answer.status_code == 200


async def _put_if_match(api: Api, guid: str, etag: str) -> bool:
    answer = await api.put(f"/guid/{guid}", json={"user": "Bea"}, headers={"If-Match": etag})
    assert answer.status_code in (200, 412)
    return answer.is_success


async def _post_if_match_any(api: Api, guid: str, _: str) -> bool:
    answer = await api.post(f"/guid/{guid}", json={"user": "Bea"}, headers={"If-Match": "*"})
    assert answer.status_code in (200, 412)
    return answer.is_success


async def _post_create_only(api: Api, guid: str, _: str) -> bool:
    answer = await api.post(f"/guid/{guid}", json={"user": "Bea"}, headers={"If-None-Match": "*"})
    assert answer.status_code in (201, 412)
    return answer.status_code == 412


async def _post_named_in_body(api: Api, guid: str, _: str) -> bool:
    answer = await api.post("/guid", json={"guid": guid, "user": "Bea"})
    assert answer.status_code in (200, 201)
    return answer.status_code == 200


PATHS = [
    _get, _head, _revalidate, _get_if_match, _list, _patch, _patch_if_match, _delete,
    _delete_if_match, _post, _put, _put_if_match, _post_if_match_any, _post_create_only,
    _post_named_in_body,
]  # fmt: skip


@pytest.mark.parametrize("exists", PATHS, ids=lambda path: path.__name__.strip("_"))
async def test_a_record_exists_until_the_second_of_its_expire_and_not_in_it(
    api: Api, clock: Clock, exists: Asks
) -> None:
    start = clock.now
    for instant in BEFORE + AFTER:
        for is_warm in (False, True):  # whether the last request was a read of it
            clock.now = start
            guid = new_guid()
            made = await api.made(guid, user=f"user of {guid}", expire=SOON)
            if is_warm:
                clock.now = SOON - 1
                await api.get(f"/guid/{guid}")
            clock.now = instant
            assert await exists(api, guid, made.headers["etag"]) is (instant < SOON)


async def test_an_entry_that_is_read_all_the_time_expires_like_any_other(
    api: Api, clock: Clock, guid: str
) -> None:
    await api.made(guid, expire=SOON)
    for second in range(90, -1, -1):
        clock.now = SOON - second
        assert (await api.get(f"/guid/{guid}")).status_code == (404 if second == 0 else 200)


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_record_created_where_one_expired_revives_nothing_of_it(
    api: Api, clock: Clock, guid: str, method: str
) -> None:
    old = await api.made(guid, expire=SOON, note="old", user="Old")
    clock.now = SOON
    answer = await api.request(method, f"/guid/{guid}", json={"user": "New"})
    expire = str(SOON + 30 * 86_400)
    assert answer.status_code == 201
    assert answer.json() == {"guid": guid, "expire": expire, "user": "New"}
    assert answer.headers["etag"] != old.headers["etag"]
    assert (await api.get(f"/guid/{guid}")).text == answer.text
    assert guid not in await api.all_guids(user="Old")
    stale = await api.get(f"/guid/{guid}", headers={"If-None-Match": old.headers["etag"]})
    assert stale.status_code == 200


async def test_a_creation_where_one_expired_must_be_a_whole_record(
    api: Api, clock: Clock, guid: str
) -> None:
    await api.made(guid, expire=SOON)
    clock.now = SOON
    assert (await api.post(f"/guid/{guid}", json={"note": 1})).status_code == 400
    assert (await api.get(f"/guid/{guid}")).status_code == 404


async def test_an_update_can_bring_the_expire_nearer_and_put_it_off(
    api: Api, clock: Clock, guid: str
) -> None:
    await api.made(guid, expire=SOON)
    await api.get(f"/guid/{guid}")
    await api.patch(f"/guid/{guid}", json={"expire": SOON - 60})
    clock.now = SOON - 60.001
    assert (await api.get(f"/guid/{guid}")).status_code == 200
    await api.patch(f"/guid/{guid}", json={"expire": SOON + 60})
    clock.now = SOON + 59.999
    assert (await api.get(f"/guid/{guid}")).status_code == 200
    clock.now = SOON + 60
    assert (await api.get(f"/guid/{guid}")).status_code == 404


async def test_now_is_no_future_though_a_part_of_its_second_is_over(
    api: Api, clock: Clock, guid: str
) -> None:
    clock.now = SOON + 0.5
    answer = await api.post(f"/guid/{guid}", json={"user": "Ann", "expire": SOON})
    assert answer.status_code == 400
    assert (await api.made(guid, expire=SOON + 1)).status_code == 201


async def test_an_expired_record_is_in_no_page_of_a_list(api: Api, clock: Clock) -> None:
    user = new_guid()
    guids = [new_guid() for _ in range(9)]
    for number, guid in enumerate(guids):
        await api.made(guid, user=user, expire=SOON + number % 3)
    for passed in range(3):
        clock.now = SOON + passed - 0.001
        live = sorted(guid for number, guid in enumerate(guids) if number % 3 >= passed)
        assert await api.all_guids(user=user, limit=2) == live
    clock.now = SOON + 2
    assert await api.all_guids(user=user) == []
