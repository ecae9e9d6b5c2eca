"""The registry's promises, through both clients."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep.errors import (
    BodyTooLarge,
    HeadersTooLarge,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
)
from guidkeep.record import is_guid, new_guid
from guidkeep.schema import DEFAULT
from tests.support import MARCH_2015

if TYPE_CHECKING:
    from tests.client.awaited import Awaited
    from tests.support import Clock

SOON = MARCH_2015 + 3600
LIFETIME = 30 * 86_400
CROWD = 12


async def test_a_record_is_created_read_updated_replaced_and_deleted(
    client: Awaited, guid: str
) -> None:
    made = await client.create({"user": "Ann", "n": 1}, guid=guid, expire=SOON)
    assert (made.guid, made.expire, made.user) == (guid, SOON, "Ann")
    assert made.metadata == {"user": "Ann", "n": 1}
    assert made.expires == datetime.fromtimestamp(SOON, UTC)
    assert await client.read(guid) == made
    updated = await client.update(guid, {"n": None, "m": [1]})
    assert updated.metadata == {"user": "Ann", "m": [1]}
    assert updated.expire == SOON
    replaced, was_created = await client.replace(guid, {"user": "Bob"})
    assert (replaced.metadata, was_created) == ({"user": "Bob"}, False)
    assert replaced.expire == MARCH_2015 + LIFETIME
    assert await client.delete(guid) is None
    assert await client.get(guid) is None
    with pytest.raises(NotFound, match=guid):
        await client.read(guid)


async def test_without_a_guid_there_is_a_random_one(client: Awaited) -> None:
    made = [await client.create({"user": "Ann"}) for _ in range(3)]
    assert len({record.guid for record in made}) == 3
    assert all(is_guid(record.guid) for record in made)
    written = await client.create_or_update({"user": "Ann"})
    assert written.created
    assert await client.read(written.record.guid) == written.record


async def test_a_creation_never_changes_what_is_there(client: Awaited, guid: str) -> None:
    before = await client.create({"user": "Ann"}, guid=guid)
    with pytest.raises(PreconditionFailed):
        await client.create({"user": "Bob"}, guid=guid)
    assert await client.read(guid) == before


async def test_create_or_update_says_which_it_was(client: Awaited, guid: str) -> None:
    first = await client.create_or_update({"user": "Ann"}, guid=guid)
    second = await client.create_or_update({"n": 1}, guid=guid)
    third = await client.create_or_update({"guid": guid, "n": 2})
    assert [first.created, second.created, third.created] == [True, False, False]
    assert third.record.metadata == {"user": "Ann", "n": 2}


async def test_metadata_comes_back_as_it_came(client: Awaited, guid: str) -> None:
    text = '{"user":"Zo\\u00eb","n":1.10,"big":123456789012345678901234567890,"deep":[{}, null]}'
    made = await client.create(text, guid=guid, expire=SOON)
    assert made.text == f'{{"guid":"{guid}","expire":"{SOON}",{text[1:]}'
    assert (await client.read(guid)).text == made.text
    [listed] = [record for record in await client.records(user="Zoë") if record.guid == guid]
    assert listed.text == made.text
    assert (await client.create({"user": "é ✓ 😀"})).user == "é ✓ 😀"


@pytest.mark.parametrize(
    ("given", "expire"),
    [
        (SOON, SOON),
        (None, MARCH_2015 + LIFETIME),
        (datetime.fromtimestamp(SOON, UTC), SOON),
        (datetime.fromtimestamp(SOON, tz=None).astimezone(), SOON),
    ],
)
async def test_an_expire_is_a_number_an_instant_or_nothing(
    client: Awaited, given: Any, expire: int
) -> None:
    assert (await client.create({"user": "Ann"}, expire=given)).expire == expire


async def test_a_time_from_now_is_one_from_the_clients_now(
    client: Awaited, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guidkeep.client.arguments.time.time", lambda: MARCH_2015 + 0.5)
    made = await client.create({"user": "Ann"}, expire=timedelta(hours=1))
    assert made.expire == SOON


@pytest.mark.parametrize(
    ("ttl", "seconds"),
    [(60, 60), (timedelta(minutes=1), 60), (timedelta(seconds=1.9), 1), (None, LIFETIME)],
)
async def test_a_ttl_is_a_time_from_the_services_now(
    client: Awaited, guid: str, ttl: Any, seconds: int
) -> None:
    made = await client.create({"user": "Ann"}, guid=guid, ttl=ttl)
    assert (made.expire, made.metadata) == (MARCH_2015 + seconds, {"user": "Ann"})


async def test_every_write_takes_a_ttl(client: Awaited, guid: str) -> None:
    made = await client.create_or_update({"user": "Ann"}, guid=guid, ttl=60)
    assert made.record.expire == MARCH_2015 + 60
    assert (await client.update(guid, {}, ttl=70)).expire == MARCH_2015 + 70
    replaced = await client.replace(guid, {"user": "Bob"}, ttl=80)
    assert replaced.record.expire == MARCH_2015 + 80
    assert (await client.update(guid, '{"ttl": "90"}')).expire == MARCH_2015 + 90
    [line] = await client.bulk([{"guid": guid, "ttl": 100}])
    assert line.status == 200
    assert (await client.read(guid)).expire == MARCH_2015 + 100


async def test_a_ttl_and_an_expire_are_refused_together(client: Awaited) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await client.create({"user": "Ann"}, expire=SOON, ttl=0)
    assert [fault.pointer for fault in refused.value.faults] == ["/ttl", "/ttl"]


async def test_an_instant_without_a_zone_is_refused(client: Awaited) -> None:
    naive = datetime.fromtimestamp(SOON, UTC).replace(tzinfo=None)
    with pytest.raises(ValueError, match="time zone"):
        await client.create({"user": "Ann"}, expire=naive)


async def test_an_update_leaves_the_expire_or_begins_the_default_anew(
    client: Awaited, guid: str
) -> None:
    await client.create({"user": "Ann"}, guid=guid, expire=SOON)
    assert (await client.update(guid, {"n": 1})).expire == SOON
    assert (await client.update(guid, {}, expire=None)).expire == MARCH_2015 + LIFETIME


async def test_all_faults_come_at_once_with_their_places(client: Awaited) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await client.create({"user": 5, "expire": "soon", "guid": "x"})
    assert {fault.pointer for fault in refused.value.faults} == {"/user", "/expire", "/guid"}
    assert all(fault.detail in str(refused.value) for fault in refused.value.faults)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a":1,"a":2}', '{"a":NaN}', b"\xff"])
async def test_a_text_that_is_no_object_is_refused(client: Awaited, text: str | bytes) -> None:
    with pytest.raises(InvalidRequest):
        await client.create(text)


@pytest.mark.parametrize("value", [float("nan"), {1, 2}])
async def test_what_can_not_be_json_is_refused(client: Awaited, value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        await client.create({"user": "Ann", "value": value})


async def test_half_a_surrogate_pair_is_refused_by_the_service(client: Awaited) -> None:
    with pytest.raises(InvalidRequest, match="UTF-8"):
        await client.create({"user": "\ud800"})


@pytest.mark.parametrize("no_guid", ["", "x", "..", "a/b", "9094e4c980c74043a4b586b420e69ddf"])
@pytest.mark.parametrize("operation", ["read", "get", "delete", "update", "replace"])
async def test_what_is_no_guid_is_never_a_part_of_an_address(
    client: Awaited, operation: str, no_guid: str
) -> None:
    body = ({"user": "Ann"},) if operation in ("update", "replace") else ()
    with pytest.raises(InvalidRequest) as refused:
        await getattr(client, operation)(no_guid, *body)
    assert [fault.parameter for fault in refused.value.faults] == ["guid"]


async def test_too_large_a_body_is_refused(client: Awaited) -> None:
    with pytest.raises(BodyTooLarge):
        await client.create({"user": "Ann", "text": "x" * 70_000})


async def test_a_write_goes_through_while_the_version_is_the_one_named(
    client: Awaited, guid: str
) -> None:
    first = await client.create({"user": "Ann"}, guid=guid)
    second = await client.update(guid, {"user": "Bob"}, if_match=first.etag)
    for late in (
        client.update(guid, {"user": "Eve"}, if_match=first.etag),
        client.replace(guid, {"user": "Eve"}, if_match=first.etag),
        client.create_or_update({"user": "Eve"}, guid=guid, if_match=first.etag),
        client.delete(guid, if_match=first.etag),
    ):
        with pytest.raises(PreconditionFailed):
            await late
    assert await client.read(guid) == second
    await client.delete(guid, if_match=second.etag)
    assert await client.get(guid) is None


async def test_a_generated_guid_never_matches_a_version(client: Awaited) -> None:
    with pytest.raises(PreconditionFailed):
        await client.create_or_update({"user": "Ann"}, if_match='"1"')


async def test_a_record_of_a_list_has_no_version_that_could_be_asked_for_by_mistake(
    client: Awaited, guid: str
) -> None:
    user = new_guid()
    await client.create({"user": user}, guid=guid)
    [listed] = (await client.list(user=user)).records
    assert listed.etag is None
    for mistaken in (
        client.update(guid, {"n": 1}, if_match=listed.etag),
        client.replace(guid, {"user": "Eve"}, if_match=listed.etag),
        client.create_or_update({"n": 1}, guid=guid, if_match=listed.etag),
        client.delete(guid, if_match=listed.etag),
    ):
        with pytest.raises(ValueError, match="if_match is None"):
            await mistaken
    assert (await client.read(guid)).text == listed.text


async def test_a_record_is_read_again_only_if_it_has_changed(client: Awaited, guid: str) -> None:
    first = await client.create({"user": "Ann"}, guid=guid)
    assert await client.read_if_changed(guid, first.etag) is None
    second = await client.update(guid, {"user": "Bob"})
    assert await client.read_if_changed(guid, first.etag) == second
    await client.delete(guid)
    with pytest.raises(NotFound):
        await client.read_if_changed(guid, second.etag)


async def test_a_record_exists_until_the_second_of_its_expire_and_not_in_it(
    client: Awaited, guid: str, clock: Clock
) -> None:
    user = new_guid()
    await client.create({"user": user, "old": 1}, guid=guid, expire=SOON)
    clock.now = SOON - 0.001
    assert (await client.get(guid)).guid == guid
    assert [record.guid for record in await client.export(user=user)] == [guid]
    clock.now = SOON
    assert await client.get(guid) is None
    assert await client.records(user=user) == []
    assert await client.export(user=user) == []
    for gone in (client.read(guid), client.update(guid, {}), client.delete(guid)):
        with pytest.raises(NotFound):
            await gone
    again = await client.create({"user": user}, guid=guid)
    assert again.metadata == {"user": user}


async def test_lists_come_in_pages_in_the_order_of_guids(client: Awaited) -> None:
    user = new_guid()
    guids = sorted([(await client.create({"user": user})).guid for _ in range(5)])
    first = await client.list(user=user, limit=2)
    assert ([record.guid for record in first.records], first.more) == (guids[:2], True)
    last = await client.list(user=user, limit=2, after=guids[2])
    assert ([record.guid for record in last.records], last.more) == (guids[3:], False)
    pages = await client.pages(user=user, limit=2)
    assert [[record.guid for record in page.records] for page in pages] == [
        guids[:2], guids[2:4], guids[4:],
    ]  # fmt: skip
    assert [record.guid for record in await client.records(user=user, after=guids[1])] == guids[2:]
    assert [record.guid for record in await client.export(user=user)] == guids
    assert [record.guid for record in await client.export(user=user, after=guids[1])] == guids[2:]
    assert await client.pages(user=new_guid()) == [([], None)]
    assert await client.records(user=user, expires_before=SOON) == []


async def test_a_filter_that_is_empty_does_not_list_everybodys(client: Awaited) -> None:
    for asked in (client.list(user=""), client.records(user=""), client.export(user="")):
        with pytest.raises(InvalidRequest, match="empty"):
            await asked


async def test_a_filter_that_no_request_can_carry_is_refused(client: Awaited) -> None:
    for ask in (client.list, client.pages, client.records, client.export):
        with pytest.raises(InvalidRequest, match="UTF-8; character 1 can't") as raised:
            await ask(user="é\ud800")
        assert [fault.parameter for fault in raised.value.faults] == ["user"]
        with pytest.raises(HeadersTooLarge):
            await ask(user="x" * 70_000)


async def test_a_list_may_be_refused(client: Awaited) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await client.list(limit=0)
    assert [fault.parameter for fault in refused.value.faults] == ["limit"]
    with pytest.raises(InvalidRequest):
        await client.list(after="x")


async def test_of_concurrent_creates_one_succeeds(client: Awaited, guid: str) -> None:
    done = await asyncio.gather(
        *(client.create({"user": str(number)}, guid=guid) for number in range(CROWD)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, PreconditionFailed) for one in done) == CROWD - 1


async def test_no_update_is_lost(client: Awaited, guid: str) -> None:
    await client.create({"user": "Ann"}, guid=guid)
    await asyncio.gather(*(client.update(guid, {f"m{n}": n}) for n in range(CROWD)))
    record = await client.read(guid)
    assert {f"m{n}": n for n in range(CROWD)}.items() <= record.metadata.items()


async def test_bulk_is_a_result_for_a_line_in_order(client: Awaited, guid: str) -> None:
    there = await client.create({"user": "Ann"}, guid=guid)
    lines = [
        {"user": "new"},
        {"guid": guid, "n": 1},
        "",
        '{"user": "text",\n "n": 1.50}',
        {"user": 5},
        "no json",
        b'{"user": "x", "guid": "x"}',
        "\f",
        "{}",
        '{"user": "a\nb"}',
    ]
    found = await client.bulk(lines)
    assert [line.number for line in found] == [1, 2, 4, 5, 6, 7, 9, 10]
    assert [line.status for line in found] == [201, 200, 201, 400, 400, 400, 400, 400]
    assert found[1].guid == guid
    assert found[1].etag == (await client.read(guid)).etag != there.etag
    assert (await client.read(found[2].guid)).text.endswith('"user":"text","n":1.50}')
    assert [fault.pointer for fault in found[3].error.faults] == ["/user"]
    assert isinstance(found[4].error, InvalidRequest)
    assert "/guid" in {fault.pointer for fault in found[5].error.faults}
    assert found[0].error is None


async def test_bulk_can_be_told_to_create_only(client: Awaited, guid: str) -> None:
    lines = [{"guid": guid, "user": "Ann"}, {"guid": guid, "user": "Bob"}]
    first, second = await client.bulk(lines, create_only=True)
    assert (first.status, second.status) == (201, 412)
    assert isinstance(second.error, PreconditionFailed)
    assert (await client.read(guid)).user == "Ann"


async def test_bulk_takes_more_lines_than_one_request_has_and_keeps_the_order_of_each_record(
    client: Awaited,
) -> None:
    guids = [new_guid() for _ in range(700)]
    user = new_guid()
    found = await client.bulk(
        {"guid": guid, "user": user, "n": n} for n in range(3) for guid in guids
    )
    assert [line.status for line in found] == [201] * 700 + [200] * 1400
    assert [line.number for line in found] == list(range(1, 2101))
    exported = await client.export(user=user)
    assert {record.metadata["n"] for record in exported} == {2}
    assert [record.guid for record in exported] == sorted(guids)


async def test_bulk_takes_what_an_export_gives(client: Awaited) -> None:
    user = new_guid()
    await client.create(f'{{"user": "{user}", "n": 1.10}}')
    before = await client.export(user=user)
    await client.delete(before[0].guid)
    assert [line.status for line in await client.bulk(before)] == [201]
    assert await client.export(user=user) == before


async def test_an_integer_of_any_length_is_one(client: Awaited, guid: str) -> None:
    user, number = new_guid(), "7" * 5000
    text = f'{{"user":"{user}","n":{number}}}'
    record = await client.create(text, guid=guid)
    assert record.text.endswith(f'"n":{number}}}')
    assert record.guid == guid
    assert record.metadata["n"] > 1e308
    [listed] = (await client.list(user=user)).records
    [exported] = await client.export(user=user)
    assert listed == exported
    lines = [text, f'{{"guid":"{guid}","n":{number}}}', exported]
    found = await client.bulk(lines)
    assert [line.status for line in found] == [201, 200, 200]
    assert found[1].guid == guid


async def test_bulk_of_nothing_is_nothing(client: Awaited) -> None:
    assert await client.bulk([]) == []


async def test_the_service_tells_how_it_fares(client: Awaited) -> None:
    assert await client.check() == "ok"
    assert await client.metadata_schema() == DEFAULT
    assert await client.max_body() == 65_536
    await client.create({"user": "Ann"}, expire=MARCH_2015 + 90_000)
    stats = await client.stats()
    assert stats.as_of == MARCH_2015
    assert stats.live >= stats.forecast[1].expire >= 1
    assert len(stats.forecast) == 90
    assert stats.forecast[0].date.isoformat() == "2015-02-28"
    assert stats.cache["url"] == "memory://"
    assert stats.text.startswith('{"as_of"')
