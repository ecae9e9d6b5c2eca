"""`ttl`: seconds from now, on any write, in place of `expire`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep.record import DEFAULT_LIFETIME, LAST_EXPIRE, Record
from guidkeep.schema import MetadataSchema
from tests.http.helpers import EACH_PAIR, SOON, Api, faults, lines_of
from tests.registry.memory_store import MemoryStore
from tests.support import GUID, MARCH_2015, Clock, app_of, make_registry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LEFT = LAST_EXPIRE - MARCH_2015
"""Seconds until the latest possible expire."""


@EACH_PAIR
async def test_a_record_with_a_ttl_lives_so_many_seconds(api: Api, clock: Clock, guid: str) -> None:
    answer = await api.made(guid, ttl=60)
    assert answer.json() == {"guid": guid, "expire": str(MARCH_2015 + 60), "user": "Ann"}
    clock.advance(59)
    assert (await api.get(f"/guid/{guid}")).text == answer.text
    clock.advance(1)
    assert (await api.get(f"/guid/{guid}")).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("ttl", [1, "1", "0060", 60, LEFT, str(LEFT)])
async def test_every_write_takes_a_ttl_as_an_integer_or_as_digits(
    api: Api, guid: str, method: str, ttl: int | str
) -> None:
    await api.made(guid, expire=SOON)
    answer = await api.request(method, f"/guid/{guid}", json={"user": "Ann", "ttl": ttl})
    expire = str(MARCH_2015 + int(ttl))
    assert answer.json() == {"guid": guid, "expire": expire, "user": "Ann"}
    assert (await api.get(f"/guid/{guid}")).text == answer.text


async def test_a_record_under_a_generated_guid_takes_one_too(api: Api) -> None:
    answer = await api.post("/guid", json={"user": "Ann", "ttl": 60})
    assert answer.json()["expire"] == str(MARCH_2015 + 60)
    assert "ttl" not in answer.json()


async def test_it_counts_from_the_whole_second_in_which_the_request_came(
    api: Api, clock: Clock, guid: str
) -> None:
    clock.now = MARCH_2015 + 0.9
    assert (await api.made(guid, ttl=1)).json()["expire"] == str(MARCH_2015 + 1)


async def test_a_line_of_a_bulk_request_takes_one(api: Api, guid: str) -> None:
    lines = [{"guid": guid, "user": "Ann", "ttl": 60}, {"user": "Bob", "ttl": 0}]
    answer = await api.post("/bulk", content="\n".join(map(json.dumps, lines)))
    done, refused = lines_of(answer)
    assert done["status"] == 201
    assert refused["problem"]["errors"][0]["pointer"] == "/ttl"
    assert (await api.get(f"/guid/{guid}")).json()["expire"] == str(MARCH_2015 + 60)


async def test_a_null_expire_beside_a_ttl_says_nothing(api: Api, guid: str) -> None:
    answer = await api.made(guid, ttl=60, expire=None)
    assert answer.json()["expire"] == str(MARCH_2015 + 60)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_null_ttl_says_nothing_and_is_not_stored(api: Api, guid: str, method: str) -> None:
    made = await api.made(guid, ttl=None)
    assert made.json() == {
        "guid": guid,
        "expire": str(MARCH_2015 + DEFAULT_LIFETIME),
        "user": "Ann",
    }
    await api.patch(f"/guid/{guid}", json={"expire": SOON})
    answer = await api.request(method, f"/guid/{guid}", json={"ttl": None})
    assert answer.json()["expire"] == str(SOON)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_ttl_and_expire_exclude_each_other(api: Api, guid: str, method: str) -> None:
    before = await api.made(guid)
    body = {"user": "Bob", "ttl": 60, "expire": SOON}
    answer = await api.request(method, f"/guid/{guid}", json=body)
    assert faults(answer).keys() == {"/ttl"}
    assert "can't be given together" in faults(answer)["/ttl"]
    assert (await api.get(f"/guid/{guid}")).text == before.text


NO_TTL: list[tuple[str, str]] = [
    ("0", "at least 1"),
    ("-1", "at least 1"),
    ('"0"', "at least 1"),
    (f"-{'9' * 5000}", "a whole number of seconds"),
    ('"-1"', "a whole number of seconds"),
    ('"+1"', "a whole number of seconds"),
    ('" 60"', "a whole number of seconds"),
    ('"1h"', "a whole number of seconds"),
    ('""', "a whole number of seconds"),
    ("60.0", "a whole number of seconds"),
    ("6e1", "a whole number of seconds"),
    ("true", "a whole number of seconds"),
    ("[60]", "a whole number of seconds"),
    ('{"seconds":60}', "a whole number of seconds"),
    (str(LEFT + 1), f"the maximum is {LEFT}"),
    (f'"{LEFT + 1}"', f"the maximum is {LEFT}"),
    ("9" * 4000, f"the maximum is {LEFT}"),
    ("9" * 5000, "a whole number of seconds"),
    (f'"{"9" * 5000}"', f"the maximum is {LEFT}"),
]


@pytest.mark.parametrize(("ttl", "complaint"), NO_TTL)
async def test_any_other_ttl_is_refused_with_what_would_be_right(
    api: Api, guid: str, ttl: str, complaint: str
) -> None:
    answer = await api.post(f"/guid/{guid}", content=f'{{"user":"Ann","ttl":{ttl}}}')
    assert faults(answer).keys() == {"/ttl"}
    assert complaint in faults(answer)["/ttl"]
    assert len(answer.content) < 1000
    assert (await api.get(f"/guid/{guid}")).status_code == 404


async def test_all_that_is_wrong_with_ttl_expire_and_metadata_is_said_at_once(
    api: Api, guid: str
) -> None:
    body = {"user": "", "ttl": 0, "expire": 5, "expires": 1}
    answer = await api.post(f"/guid/{guid}", json=body)
    assert faults(answer).keys() == {"/user", "/ttl", "/expire", "/expires"}


class Old:
    """An application over a store with a record from a time when such names were metadata."""

    def __init__(self, metadata: str, clock: Clock) -> None:
        store = MemoryStore()
        store.records[GUID] = Record(GUID, SOON, 1, metadata)
        self.registry = make_registry(store, clock=clock)
        self.api = Api(app_of(self.registry))


@pytest.fixture
async def old(clock: Clock, request: pytest.FixtureRequest) -> AsyncIterator[Api]:
    there = Old(request.param, clock)
    async with there.api as client:
        yield client
    await there.registry.close()


@pytest.mark.parametrize("old", ['{"user":"Ann","ttl":60}'], indirect=True)
@pytest.mark.parametrize(("ttl", "expire"), [(None, SOON), (90, MARCH_2015 + 90)])
async def test_a_member_ttl_of_former_times_stays_until_a_write_names_it(
    old: Api, ttl: int | None, expire: int
) -> None:
    assert (await old.get(f"/guid/{GUID}")).json()["ttl"] == 60
    kept: dict[str, Any] = (await old.patch(f"/guid/{GUID}", json={"user": "Bob"})).json()
    assert (kept["expire"], kept["ttl"]) == (str(SOON), 60)
    left = (await old.patch(f"/guid/{GUID}", json={"ttl": ttl})).json()
    assert left == {"guid": GUID, "expire": str(expire), "user": "Bob"}


# Names that were probably meant for `guid`, `expire` or `ttl`.

LISTED = [
    "expires", "expiry", "expiration", "expire_at", "expires_at", "expiresAt", "expire_in",
    "expires_in", "exp", "Expire", "TTL",
]  # fmt: skip
MORE = [
    "EXPIRES", "Expire-At", "expiresIn", "expires in", "EXP", "Ttl", " expire", "ttl ",
    "\u200bexpire", "exp\ufeffires", "ttl\u00a0",
]  # fmt: skip


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_a_likely_misspelling_is_refused_with_the_right_name(
    api: Api, guid: str, method: str
) -> None:
    before = await api.made(guid)
    for name in LISTED + MORE:
        answer = await api.request(method, f"/guid/{guid}", json={"user": "Bob", name: 60})
        assert faults(answer).keys() == {f"/{name}"}
        assert f'"{name}" is not a member of a record: write "' in faults(answer)[f"/{name}"]
    assert (await api.get(f"/guid/{guid}")).text == before.text


@pytest.mark.parametrize(
    ("name", "first"), [("expires", "expire"), ("expires_in", "ttl"), ("TTL", "ttl")]
)
async def test_the_member_that_is_likely_meant_is_named_first(
    api: Api, name: str, first: str
) -> None:
    told = faults(await api.post("/guid", json={"user": "Ann", name: 60}))[f"/{name}"]
    assert f'write "{first}" for' in told


@pytest.mark.parametrize(
    "value", [GUID, GUID.lower(), "9094e4c9-80c7-4043-a4b5-86b420e69ddf", "{" + GUID + "}"]
)
async def test_a_guid_under_a_name_like_guid_makes_no_record_under_a_random_one(
    api: Api, value: str
) -> None:
    answer = await api.post("/guid", json={"user": "Ann", "GUID": value})
    assert faults(answer) == {"/GUID": ' "GUID" is not a member of a record: write "guid".'}


async def test_an_escaped_name_is_the_same_name(api: Api) -> None:
    answer = await api.post("/guid", content='{"user":"Ann","\\u0065xpires":60}')
    assert faults(answer).keys() == {"/expires"}


async def test_a_line_of_a_bulk_request_is_refused_for_one(api: Api) -> None:
    [line] = lines_of(await api.post("/bulk", content='{"user":"Ann","expires":60}'))
    assert [fault["pointer"] for fault in line["problem"]["errors"]] == ["/expires"]


@pytest.mark.parametrize("path", [f"/guid/{GUID[:-1]}0", "/guid/nonsense"])
async def test_an_update_is_refused_for_one_though_there_is_no_record(api: Api, path: str) -> None:
    answer = await api.patch(path, json={"expires": 60})
    assert "/expires" in faults(answer)


async def test_names_that_are_no_misspellings_are_metadata(api: Api, guid: str) -> None:
    other = {
        "inner": {"expires": 1, "TTL": 2},
        "expired": 3,
        "experience": 4,
        "GUID": 5,
        "Guid": "x",
    }
    answer = await api.made(guid, **other)
    assert answer.json().items() >= other.items()


async def test_a_name_that_the_schema_declares_is_metadata(clock: Clock, guid: str) -> None:
    schema = MetadataSchema(
        {"properties": {"expires": {"type": "integer"}}, "required": ["exp"],
         "patternProperties": {"^TTL$": True}}
    )  # fmt: skip
    registry = make_registry(MemoryStore(), clock=clock, schema=schema)
    async with Api(app_of(registry)) as api:
        made = await api.post(f"/guid/{guid}", json={"exp": 1, "expires": 2})
        assert made.json() == {
            "guid": guid,
            "expire": str(MARCH_2015 + DEFAULT_LIFETIME),
            "exp": 1,
            "expires": 2,
        }
        answer = await api.patch(f"/guid/{guid}", json={"Expires": 1, "TTL": 2})
        assert faults(answer).keys() == {"/Expires", "/TTL"}
    await registry.close()


OLD = '{"user":"Ann","expires":1.50}'


@pytest.mark.parametrize("old", [OLD], indirect=True)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_record_that_has_one_is_read_and_changed_and_loses_it_by_null(
    old: Api, method: str
) -> None:
    assert (await old.get(f"/guid/{GUID}")).text.endswith(OLD[1:])
    answer = await old.request(method, f"/guid/{GUID}", json={"colour": "blue"})
    assert answer.json()["expires"] == 1.5
    answer = await old.request(method, f"/guid/{GUID}", json={"expires": None})
    assert answer.json() == {"guid": GUID, "expire": str(SOON), "user": "Ann", "colour": "blue"}


@pytest.mark.parametrize("old", [OLD], indirect=True)
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
async def test_what_was_read_can_be_written_back_as_it_was_and_no_other_value(
    old: Api, method: str
) -> None:
    text = (await old.get(f"/guid/{GUID}")).text
    assert (await old.request(method, f"/guid/{GUID}", content=text)).text == text
    answer = await old.request(method, f"/guid/{GUID}", content=text.replace("1.50", "1.5"))
    assert faults(answer).keys() == {"/expires"}


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_creation_keeps_nulls_and_so_refuses_one_that_is_null(
    api: Api, guid: str, method: str
) -> None:
    answer = await api.request(method, f"/guid/{guid}", json={"user": "Ann", "expires": None})
    assert faults(answer).keys() == {"/expires"}


async def test_fifty_faults_are_told_and_how_many_more_there_are(api: Api) -> None:
    names = {
        "".join(
            letter.upper() if which >> at & 1 else letter for at, letter in enumerate("expiration")
        )
        for which in range(1024)
    }
    answer = await api.post("/guid", json={"user": "Ann"} | dict.fromkeys(names, 1))
    assert answer.status_code == 400
    *told, more = answer.json()["errors"]
    assert len(told) == 50
    assert more == {"pointer": "", "detail": "974 more things are wrong."}
    assert len(answer.json()["detail"]) < 1200
    assert answer.json()["detail"].endswith("There is more: see errors.")
