"""Create, update, replace, delete."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from guidkeep.record import new_guid
from tests.http.helpers import EACH_PAIR, SOON, faults
from tests.support import MARCH_2015

if TYPE_CHECKING:
    from tests.http.helpers import Api

pytestmark = EACH_PAIR

# RFC 7396, Appendix A: original, patch, result
APPENDIX_A = [
    ('{"a":"b"}', '{"a":"c"}', '{"a":"c"}'),
    ('{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'),
    ('{"a":"b"}', '{"a":null}', "{}"),
    ('{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'),
    ('{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'),
    ('{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'),
    ('{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'),
    ('{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'),
    ('["a","b"]', '["c","d"]', '["c","d"]'),
    ('{"a":"b"}', '["c"]', '["c"]'),
    ('{"a":"foo"}', "null", None),
    ('{"a":"foo"}', '"bar"', '"bar"'),
    ('{"e":null}', '{"a":1}', '{"e":null,"a":1}'),
    ("[1,2]", '{"a":"b","c":null}', '{"a":"b"}'),
    ("{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'),
]

NO_GUIDS: list[object] = [5, 1.5, None, True, [], [[], -196], {}, "", "x"]


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_an_update_is_a_json_merge_patch(api: Api, method: str) -> None:
    for original, patch, result in APPENDIX_A:
        guid = new_guid()
        await api.post(f"/guid/{guid}", content=f'{{"user":"Ann","m":{original}}}')
        answer = await api.request(method, f"/guid/{guid}", content=f'{{"m":{patch}}}')
        assert answer.status_code == 200
        rest = "" if result is None else f',"m":{result}'
        assert answer.text.endswith(f'"user":"Ann"{rest}}}')
        assert (await api.get(f"/guid/{guid}")).text == answer.text


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_the_record_itself_is_what_is_merged_into(api: Api, method: str) -> None:
    for case in APPENDIX_A[:8] + APPENDIX_A[12:13]:  # only those of objects
        original, patch, result = (json.loads(str(text)) for text in case)
        made = (await api.made(**original)).json()
        answer = await api.request(method, f"/guid/{made['guid']}", json=patch)
        unchanged = {name: made[name] for name in ("guid", "expire", "user")}
        assert answer.json() == unchanged | result


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_creation_answers_201_with_location_and_the_record(
    api: Api, guid: str, method: str
) -> None:
    body = {"user": "Ann", "expire": str(SOON), "n": 1}
    answer = await api.request(method, f"/guid/{guid}", json=body)
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/guid/{guid}"
    assert answer.json() == {"guid": guid} | body
    read = await api.get(answer.headers["location"])
    assert read.text == answer.text
    for name in ("etag", "sunset", "cache-control", "content-type", "content-length"):
        assert read.headers[name] == answer.headers[name]


async def test_a_creation_with_a_generated_guid_has_a_location_too(api: Api) -> None:
    answer = await api.post("/guid", json={"user": "Ann"})
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/guid/{answer.json()['guid']}"
    assert (await api.get(answer.headers["location"])).text == answer.text


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
async def test_a_write_to_a_live_record_answers_200_without_location(
    api: Api, guid: str, method: str
) -> None:
    await api.made(guid)
    answer = await api.request(method, f"/guid/{guid}", json={"user": "Bea"})
    assert (answer.status_code, answer.json()["user"]) == (200, "Bea")
    assert "location" not in answer.headers
    assert (await api.get(f"/guid/{guid}")).text == answer.text


async def test_a_replacement_keeps_nothing_of_what_was_there(api: Api, guid: str) -> None:
    await api.made(guid, expire=SOON, note="old", deep={"a": 1})
    answer = await api.put(f"/guid/{guid}", json={"user": "Bea", "deep": {"b": 2}})
    expire = str(MARCH_2015 + 30 * 86_400)
    assert answer.json() == {"guid": guid, "expire": expire, "user": "Bea", "deep": {"b": 2}}
    assert (await api.get(f"/guid/{guid}")).text == answer.text


async def test_a_replacement_must_be_a_whole_record(api: Api, guid: str) -> None:
    before = await api.made(guid)
    assert faults(await api.put(f"/guid/{guid}", json={"note": 1})).keys() == {"/user"}
    assert (await api.get(f"/guid/{guid}")).text == before.text


async def test_patch_updates_only(api: Api, guid: str) -> None:
    answer = await api.patch(f"/guid/{guid}", json={"user": "Ann"})
    assert answer.status_code == 404
    assert (await api.get(f"/guid/{guid}")).status_code == 404


async def test_members_left_out_stay(api: Api, guid: str) -> None:
    made = (await api.made(guid, expire=SOON, note=1)).json()
    answer = await api.post(f"/guid/{guid}", json={"user": "Bea"})
    assert answer.json() == made | {"user": "Bea"}
    answer = await api.patch(f"/guid/{guid}", json={"expire": SOON + 1})
    assert answer.json() == made | {"user": "Bea", "expire": str(SOON + 1)}


async def test_delete_answers_204_once_and_then_404(api: Api, guid: str) -> None:
    await api.made(guid)
    answer = await api.delete(f"/guid/{guid}")
    assert (answer.status_code, answer.content) == (204, b"")
    for method in ("GET", "HEAD", "DELETE", "PATCH"):
        body = {"user": "Ann"} if method == "PATCH" else None
        assert (await api.request(method, f"/guid/{guid}", json=body)).status_code == 404


async def test_a_deleted_guid_can_be_created_again_and_nothing_comes_back(
    api: Api, guid: str
) -> None:
    first = await api.made(guid, note="old")
    await api.delete(f"/guid/{guid}")
    again = await api.made(guid)
    assert "note" not in again.json()
    assert again.headers["etag"] != first.headers["etag"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_a_guid_in_the_body_says_the_same_as_the_url(
    api: Api, guid: str, method: str
) -> None:
    before = await api.made(guid)
    other = new_guid()
    body = {"guid": guid, "user": "Ann"}
    same = await api.request(method, f"/guid/{guid}", json=body)
    assert (same.status_code, same.json()["guid"]) == (200, guid)
    different = await api.request(method, f"/guid/{guid}", json=body | {"guid": other})
    assert faults(different).keys() == {"/guid"}
    assert (await api.get(f"/guid/{guid}")).json() == before.json()
    assert (await api.get(f"/guid/{other}")).status_code == 404


@pytest.mark.parametrize("path", ["/guid", "/guid/"])
async def test_post_with_a_guid_in_the_body_is_a_post_to_that_guid(
    api: Api, guid: str, path: str
) -> None:
    made = await api.post(path, json={"guid": guid, "user": "Ann"})
    assert (made.status_code, made.headers["location"]) == (201, f"/guid/{guid}")
    updated = await api.post(path, json={"guid": guid, "note": 1})
    assert updated.status_code == 200
    assert updated.json() == made.json() | {"note": 1}


@pytest.mark.parametrize("with_url", [False, True])
async def test_a_guid_in_the_body_that_is_none_is_refused(
    api: Api, guid: str, with_url: bool
) -> None:
    path = f"/guid/{guid}" if with_url else "/guid"
    for named in NO_GUIDS:
        answer = await api.post(path, json={"guid": named, "user": "Ann"})
        assert faults(answer).keys() == {"/guid"}


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_the_collection_is_the_same_with_and_without_a_slash(api: Api, method: str) -> None:
    body = {"user": "Ann"} if method == "POST" else None
    statuses = [
        (await api.request(method, path, json=body)).status_code for path in ("/guid", "/guid/")
    ]
    assert statuses == ([201, 201] if method == "POST" else [200, 200])


async def test_a_head_answers_what_a_get_would_without_the_content(api: Api, guid: str) -> None:
    await api.made(guid)
    for path in (f"/guid/{guid}", "/guid?limit=1", "/livez", "/openapi.json"):
        got, head = await api.get(path), await api.head(path)
        assert (head.status_code, head.content) == (200, b"")
        differing = {"date"}
        assert {k: v for k, v in head.headers.items() if k not in differing} == {
            k: v for k, v in got.headers.items() if k not in differing
        }
    gone = await api.head(f"/guid/{new_guid()}")
    assert (gone.status_code, gone.content) == (404, b"")


async def test_every_answer_about_a_record_carries_its_headers(api: Api, guid: str) -> None:
    answers = [
        await api.made(guid, expire=SOON),
        await api.get(f"/guid/{guid}"),
        await api.get(f"/guid/{guid}"),
        await api.head(f"/guid/{guid}"),
        await api.post(f"/guid/{guid}", json={"n": 1}),
        await api.patch(f"/guid/{guid}", json={"n": 2}),
        await api.put(f"/guid/{guid}", json={"user": "Ann", "expire": SOON}),
    ]
    etag = answers[-1].headers["etag"]
    answers.append(await api.get(f"/guid/{guid}", headers={"If-None-Match": etag}))
    assert answers[-1].status_code == 304
    for answer in answers:
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["sunset"] == "Sat, 28 Feb 2015 18:25:45 GMT"
        assert answer.headers["etag"].startswith('"')  # a weak one begins with W/
        assert answer.headers["etag"].endswith('"')
