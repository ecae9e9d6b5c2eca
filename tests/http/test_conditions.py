"""Conditional requests: RFC 9110 §13, and their meaning for writes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from guidkeep.record import new_guid
from tests.http.helpers import EACH_PAIR, detail, faults

if TYPE_CHECKING:
    import httpx2

    from tests.http.helpers import Api

pytestmark = EACH_PAIR

READS = ("GET", "HEAD")
WRITES = {"POST": 200, "PUT": 200, "PATCH": 200, "DELETE": 204}
OTHER = '"1"'


def ask(
    api: Api, method: str, guid: str, *headers: tuple[str, str]
) -> asyncio.Future[httpx2.Response]:
    body = {"user": "Bea"} if method in ("POST", "PUT", "PATCH") else None
    url = f"/guid/{guid}"
    return asyncio.ensure_future(api.request(method, url, json=body, headers=list(headers)))


@pytest.mark.parametrize(
    ("tags", "holds"),
    [
        ("{etag}", True), ("*", True), (f"{OTHER}, {{etag}}", True), (f"{{etag}},{OTHER}", True),
        (f", {{etag}} ,, {OTHER}", True), (OTHER, False), ('""', False), ("W/{etag}", False),
        (f'{OTHER}, "2", W/{{etag}}', False),
    ],
)  # fmt: skip
async def test_if_match_lets_through_what_names_the_version(
    api: Api, tags: str, holds: bool
) -> None:
    for method, success in (WRITES | dict.fromkeys(READS, 200)).items():
        made = await api.made()
        path, etag = made.headers["location"], made.headers["etag"]
        answer = await ask(api, method, path[6:], ("If-Match", tags.format(etag=etag)))
        assert answer.status_code == (success if holds else 412)
        if not holds:
            left = await api.get(path)
            assert (left.text, left.headers["etag"]) == (made.text, etag)


@pytest.mark.parametrize("tags", ["*", OTHER, f'{OTHER}, W/"2"'])
async def test_if_match_holds_for_nothing_where_there_is_no_record(
    api: Api, guid: str, tags: str
) -> None:
    for method in ("POST", "PUT"):
        assert (await ask(api, method, guid, ("If-Match", tags))).status_code == 412
    for method in ("GET", "HEAD", "PATCH", "DELETE"):  # without it 404 too: RFC 9110 §13.2.1
        assert (await ask(api, method, guid, ("If-Match", tags))).status_code == 404
    assert (await api.get(f"/guid/{guid}")).status_code == 404


@pytest.mark.parametrize(
    ("tags", "same"),
    [
        ("{etag}", True), ("*", True), ("W/{etag}", True), (f"{OTHER}, {{etag}}", True),
        (f"{OTHER},W/{{etag}}", True), (OTHER, False), ('""', False), (f'W/"2", {OTHER}', False),
    ],
)  # fmt: skip
async def test_if_none_match_spares_a_reader_what_it_has(
    api: Api, guid: str, tags: str, same: bool
) -> None:
    made = await api.made(guid)
    for method in READS:
        header = ("If-None-Match", tags.format(etag=made.headers["etag"]))
        answer = await ask(api, method, guid, header)
        assert answer.status_code == (304 if same else 200)
        if same:
            assert answer.content == b""
            assert "content-type" not in answer.headers
            assert "content-length" not in answer.headers
        for name in ("etag", "sunset", "cache-control"):
            assert answer.headers[name] == made.headers[name]


@pytest.mark.parametrize("tags", ["*", "{etag}", "W/{etag}", f"{OTHER}, {{etag}}"])
async def test_if_none_match_rules_out_writes_to_that_version(api: Api, tags: str) -> None:
    for method in WRITES:
        made = await api.made()
        path, etag = made.headers["location"], made.headers["etag"]
        answer = await ask(api, method, path[6:], ("If-None-Match", tags.format(etag=etag)))
        assert answer.status_code == 412
        left = await api.get(path)
        assert (left.text, left.headers["etag"]) == (made.text, etag)


async def test_if_none_match_lets_writes_to_another_version_through(api: Api) -> None:
    for method, success in WRITES.items():
        guid = (await api.made()).json()["guid"]
        answer = await ask(api, method, guid, ("If-None-Match", OTHER))
        assert answer.status_code == success


async def test_if_none_match_with_a_star_makes_a_write_create_only(api: Api) -> None:
    for method in ("POST", "PUT"):
        guid = new_guid()
        create_only = ("If-None-Match", "*")
        assert (await ask(api, method, guid, create_only)).status_code == 201
        assert (await ask(api, method, guid, create_only)).status_code == 412
        await api.delete(f"/guid/{guid}")
        assert (await ask(api, method, guid, create_only)).status_code == 201


async def test_post_to_the_collection_is_conditional_too(api: Api, guid: str) -> None:
    body = {"guid": guid, "user": "Ann"}
    for status in (201, 412):
        answer = await api.post("/guid", json=body, headers={"If-None-Match": "*"})
        assert answer.status_code == status
    assert (await api.post("/guid", json=body, headers={"If-Match": OTHER})).status_code == 412
    answer = await api.post("/guid", json={"user": "Ann"}, headers={"If-None-Match": "*"})
    assert answer.status_code == 201
    answer = await api.post("/guid", json={"user": "Ann"}, headers={"If-Match": "*"})
    assert answer.status_code == 412


async def test_both_conditions_must_hold(api: Api, guid: str) -> None:
    etag = (await api.made(guid)).headers["etag"]
    for match, none_match, status in (
        (etag, OTHER, 200), (etag, etag, 412), (OTHER, OTHER, 412), (OTHER, etag, 412),
    ):  # fmt: skip
        headers = {"If-Match": match, "If-None-Match": none_match}
        answer = await api.post(f"/guid/{guid}", json={"user": "Ann"}, headers=headers)
        assert answer.status_code == status
    headers = {"If-Match": OTHER, "If-None-Match": etag}
    assert (await api.get(f"/guid/{guid}", headers=headers)).status_code == 412


@pytest.mark.parametrize("name", ["If-Match", "If-None-Match"])
async def test_what_is_no_list_of_entity_tags_is_refused_and_changes_nothing(
    api: Api, guid: str, name: str
) -> None:
    made = await api.made(guid)
    for tags in ("1", "", '"1', "W/1", '"1" "2"', '"1", 2', "*, *", 'w/"1"', ","):
        for method in ("GET", *WRITES):
            answer = await ask(api, method, guid, (name, tags))
            assert faults(answer).keys() == {name}
        assert (await api.head(f"/guid/{guid}", headers={name: tags})).status_code == 400
    assert (await api.get(f"/guid/{guid}")).text == made.text


async def test_white_space_is_what_http_says_it_is(api: Api, guid: str) -> None:
    await api.made(guid)
    for value, status in ((b"*", 200), (b"\xa0*", 400)):
        answer = await api.get(f"/guid/{guid}", headers=[(b"If-Match", value)])
        assert answer.status_code == status


@pytest.mark.parametrize("order", [1, -1])
async def test_a_condition_may_be_spread_over_several_header_lines(
    api: Api, guid: str, order: int
) -> None:
    """RFC 9110 §5.3: they mean the same as one line with a comma."""
    etag = (await api.made(guid)).headers["etag"]
    lines = [("If-None-Match", OTHER), ("If-None-Match", etag)][::order]
    assert (await ask(api, "GET", guid, *lines)).status_code == 304
    assert (await ask(api, "PUT", guid, *lines)).status_code == 412
    lines = [("If-Match", OTHER), ("If-Match", etag)][::order]
    assert (await ask(api, "GET", guid, *lines)).status_code == 200
    assert (await ask(api, "PUT", guid, *lines)).status_code == 200


async def test_the_etag_changes_with_every_change_though_no_time_passes(
    api: Api, guid: str
) -> None:
    seen = {(await api.made(guid)).headers["etag"]}
    for count in range(1, 6):
        answer = await api.patch(f"/guid/{guid}", json={"count": count})
        assert answer.headers["etag"] not in seen
        seen.add(answer.headers["etag"])
        assert (await api.get(f"/guid/{guid}")).headers["etag"] == answer.headers["etag"]
    assert (await api.put(f"/guid/{guid}", json={"user": "Ann"})).headers["etag"] not in seen


async def test_of_many_writes_on_one_version_one_succeeds(api: Api, guid: str) -> None:
    etag = (await api.made(guid)).headers["etag"]
    answers = await asyncio.gather(
        *(
            api.patch(f"/guid/{guid}", json={"winner": number}, headers={"If-Match": etag})
            for number in range(20)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 19
    [winner] = [answer for answer in answers if answer.is_success]
    assert (await api.get(f"/guid/{guid}")).text == winner.text


async def test_of_many_create_only_writes_one_succeeds(api: Api, guid: str) -> None:
    answers = await asyncio.gather(
        *(
            api.put(
                f"/guid/{guid}", json={"user": f"{number}"}, headers={"If-None-Match": "*"}
            )
            for number in range(20)
        )
    )  # fmt: skip
    assert sorted(answer.status_code for answer in answers) == [201] + [412] * 19
    [winner] = [answer for answer in answers if answer.is_success]
    assert (await api.get(f"/guid/{guid}")).text == winner.text


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_a_weakened_tag_never_matches_and_the_refusal_says_what_has_happened(
    api: Api, guid: str, method: str
) -> None:
    etag = (await api.made(guid)).headers["etag"]
    for tags in (f"W/{etag}", f'"1", W/{etag}', f'W/"2", W/{etag}'):
        body = None if method in ("GET", "DELETE") else {"user": "Bob"}
        answer = await api.request(method, f"/guid/{guid}", json=body, headers={"If-Match": tags})
        assert answer.status_code == 412
        for words in ("weak", "between client and service", "without W/", etag):
            assert words in detail(answer)
    answer = await api.delete(f"/guid/{guid}", headers={"If-Match": f'W/"2", {etag}'})
    assert answer.status_code == 204
