"""A record: its GUID, its expire, its metadata."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import UUID

import pytest

from guidkeep.record import new_guid
from tests.http.helpers import EACH_PAIR, SOON, faults
from tests.support import MARCH_2015

if TYPE_CHECKING:
    from tests.http.helpers import Api

pytestmark = EACH_PAIR

GOOD = "9094E4C980C74043A4B586B420E69DDF"
NO_GUIDS = [
    GOOD.lower(),
    "9094E4C980C74043A4B586B420E69DDf",
    GOOD[:-1],
    GOOD + "0",
    GOOD[:-1] + "G",
    "9094E4C9-80C7-4043-A4B5-86B420E69DDF",
    "{" + GOOD + "}",
    GOOD + "\n",
    " " + GOOD,
    GOOD[:-1] + "\N{FULLWIDTH DIGIT ONE}",
    "x" * 3000,
]
NO_EXPIRES = [
    '"soon"', '""', '"-1"', "-1", '"1.5"', "1427736345.0", "1.427736345e9", "true", "[]", "{}",
    '" 1427736345"', '"1427736345 "', '"+1427736345"', '"1_427_736_345"', '"0x55190000"',
    '"\N{FULLWIDTH DIGIT ONE}427736345"', '"\N{SUPERSCRIPT TWO}427736345"', "9" * 5000,
    f'"{"9" * 5000}"', '"253402300800000000"', "253402300800000000",
]  # fmt: skip
LIFETIME = 30 * 24 * 60 * 60


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_what_is_no_guid_is_refused_whatever_is_asked_of_it(api: Api, method: str) -> None:
    for text in NO_GUIDS:
        answer = await api.request(method, f"/guid/{quote(text, safe='')}", json={"user": "Ann"})
        assert "32" in faults(answer)["guid"] or GOOD in faults(answer)["guid"]


async def test_a_head_of_what_is_no_guid_is_refused(api: Api) -> None:
    assert (await api.head(f"/guid/{GOOD.lower()}")).status_code == 400


async def test_a_lower_case_guid_is_told_that_guids_are_upper_case(api: Api) -> None:
    sentence = "GUIDs are upper-case"
    assert sentence in faults(await api.get(f"/guid/{GOOD.lower()}"))["guid"]
    answer = await api.post("/guid", json={"guid": GOOD.lower(), "user": "Ann"})
    assert sentence in faults(answer)["/guid"]


@pytest.mark.parametrize("text", ["0" * 32, "F" * 32, "0123456789ABCDEF" * 2])
async def test_any_32_digits_are_a_guid_whatever_their_version_bits(api: Api, text: str) -> None:
    await api.delete(f"/guid/{text}")
    assert (await api.made(text)).json()["guid"] == text
    assert (await api.get(f"/guid/{text}")).json()["guid"] == text


async def test_generated_guids_are_random_ones_of_version_4(api: Api) -> None:
    guids = {(await api.post("/guid", json={"user": "Ann"})).json()["guid"] for _ in range(8)}
    assert len(guids) == 8
    for text in guids:
        assert re.fullmatch("[0-9A-F]{32}", text)
        assert UUID(text).version == 4


@pytest.mark.parametrize("given", [f'"{SOON}"', f"{SOON}", f'"000{SOON}"'])
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_expire_is_a_string_of_digits_or_an_integer_and_answered_as_a_string(
    api: Api, guid: str, method: str, given: str
) -> None:
    body = f'{{"expire": {given}, "user": "Ann"}}'
    answer = await api.request(method, f"/guid/{guid}", content=body)
    assert (answer.status_code, answer.json()["expire"]) == (201, str(SOON))
    assert (await api.get(f"/guid/{guid}")).json()["expire"] == str(SOON)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_any_other_expire_is_refused(api: Api, guid: str, method: str) -> None:
    before = await api.made(guid)
    for given in NO_EXPIRES:
        body = f'{{"expire": {given}, "user": "Ann"}}'
        answer = await api.request(method, f"/guid/{guid}", content=body)
        assert (given, set(faults(answer))) == (given, {"/expire"})
    assert (await api.get(f"/guid/{guid}")).text == before.text


@pytest.mark.parametrize("given", [MARCH_2015, MARCH_2015 - 1, 0, str(MARCH_2015)])
async def test_an_expire_that_is_not_in_the_future_is_refused_with_its_instant(
    api: Api, guid: str, given: int | str
) -> None:
    answer = await api.post(f"/guid/{guid}", json={"user": "Ann", "expire": given})
    instant = {0: "1970-01-01T00:00:00Z", MARCH_2015 - 1: "2015-02-28T17:25:44Z"}
    assert instant.get(int(given), "2015-02-28T17:25:45Z") in faults(answer)["/expire"]
    assert (await api.get(f"/guid/{guid}")).status_code == 404


async def test_the_next_second_is_in_the_future(api: Api, guid: str) -> None:
    assert (await api.made(guid, expire=MARCH_2015 + 1)).json()["expire"] == str(MARCH_2015 + 1)


@pytest.mark.parametrize("given", [1_427_736_345_000, "1427736345000"])
async def test_an_expire_in_milliseconds_is_refused_and_recognised(
    api: Api, guid: str, given: int | str
) -> None:
    answer = await api.post(f"/guid/{guid}", json={"user": "Ann", "expire": given})
    assert "milliseconds" in faults(answer)["/expire"]
    assert '"1427736345"' in faults(answer)["/expire"]


async def test_the_last_expire_is_the_last_second_of_the_year_9999(api: Api, guid: str) -> None:
    answer = await api.made(guid, expire="253402300799")
    assert answer.headers["sunset"] == "Fri, 31 Dec 9999 23:59:59 GMT"
    answer = await api.post(f"/guid/{guid}", json={"expire": "253402300800"})
    assert faults(answer).keys() == {"/expire"}


@pytest.mark.parametrize("body", [{}, {"expire": None}])
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_without_an_expire_a_record_lives_thirty_days(
    api: Api, guid: str, method: str, body: dict[str, Any]
) -> None:
    answer = await api.request(method, f"/guid/{guid}", json=body | {"user": "Ann"})
    assert (answer.status_code, answer.json()["expire"]) == (201, str(MARCH_2015 + LIFETIME))


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_an_update_to_null_lets_it_live_thirty_days_from_now(
    api: Api, guid: str, method: str
) -> None:
    await api.made(guid, expire=SOON)
    answer = await api.request(method, f"/guid/{guid}", json={"expire": None})
    assert (answer.status_code, answer.json()["expire"]) == (200, str(MARCH_2015 + LIFETIME))


KEPT = [
    "1.10", "1.0", "-0", "-0.0", "1E5", "1e+5", "1e400", "-1e400", "1e-400", "0.1e1",
    "12345678901234567890123456789012345678901234567890", "9" * 5000,
    "0.1000000000000000055511151231", '"\\u00e9"', '"\\u00E9"',
    '"\N{LATIN SMALL LETTER E WITH ACUTE}"', '"e\N{COMBINING ACUTE ACCENT}"', '"\\/"', '"/"',
    '"\\ud83d\\ude00"', '"\N{GRINNING FACE}"', '"\\u0000"', '"\N{LINE SEPARATOR}"',
    '""', "null", "true", "[]", "{}", '[1.50, {"b": 2.0, "a": 1e1}]',
    '{"z": 1, "a": {"guid": "x"}}', '"</script><!--"', '" two  blanks "', '"\\t\\b\\f"',
    "[ 1 ,\n 2 ]",
]  # fmt: skip


async def test_metadata_is_kept_exactly_as_it_came(api: Api) -> None:
    for text in KEPT:
        guid = new_guid()
        sent = f'{{"user":"Ann","kept":{text}}}'
        whole = f'{{"guid":"{guid}","expire":"{MARCH_2015 + LIFETIME}",{sent[1:]}'
        assert (await api.post(f"/guid/{guid}", content=sent)).text == whole
        for _ in range(2):
            assert (await api.get(f"/guid/{guid}")).text == whole
        updated = await api.post(f"/guid/{guid}", content='{"other":1}')
        assert updated.text == f'{whole[:-1]},"other":1}}'


async def test_the_names_of_members_are_kept_exactly_too(api: Api, guid: str) -> None:
    names = '"k\\u0065y":1,"":2,"Guid":3,"USER":4,"__proto__":5,"a b":6,"~/":7'
    answer = await api.post(f"/guid/{guid}", content=f'{{"user":"Ann",{names}}}')
    assert names in answer.text
    assert names in (await api.get(f"/guid/{guid}")).text


async def test_guid_and_expire_come_first_in_one_flat_object(api: Api, guid: str) -> None:
    body = f'{{"b": 1, "expire": "{SOON}", "user": "Ann", "guid": "{guid}", "a": 2}}'
    answer = await api.post(f"/guid/{guid}", content=body)
    assert list(answer.json()) == ["guid", "expire", "b", "user", "a"]


@pytest.mark.parametrize("user", ["A", "x" * 255, " x", "\N{GRINNING FACE}" * 255])
async def test_a_user_of_1_to_255_characters_passes(api: Api, guid: str, user: str) -> None:
    assert (await api.made(guid, user=user)).json()["user"] == user


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_any_other_user_is_refused(api: Api, guid: str, method: str) -> None:
    for user in ("", " ", "\t\n", "x" * 256, 5, None, ["Ann"], {"name": "Ann"}):
        answer = await api.request(method, f"/guid/{guid}", json={"user": user})
        assert faults(answer).keys() == {"/user"}
        assert "1 to 255 characters" in faults(answer)["/user"]
    assert (await api.get(f"/guid/{guid}")).status_code == 404


@pytest.mark.parametrize("path", ["/guid", "/guid/"])
async def test_a_user_is_required(api: Api, path: str) -> None:
    assert faults(await api.post(path, json={})).keys() == {"/user"}


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_an_update_can_not_remove_the_user(api: Api, guid: str, method: str) -> None:
    before = await api.made(guid)
    answer = await api.request(method, f"/guid/{guid}", json={"user": None})
    assert faults(answer).keys() == {"/user"}
    assert (await api.get(f"/guid/{guid}")).text == before.text


async def test_what_is_checked_is_the_record_as_it_would_be_stored(api: Api, guid: str) -> None:
    await api.made(guid)
    answer = await api.post(f"/guid/{guid}", json={"note": "no user here"})
    assert (answer.status_code, answer.json()["user"]) == (200, "Ann")
