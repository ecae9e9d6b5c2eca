"""All live records in one response, one on each line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from guidkeep.errors import StoreUnavailable
from guidkeep.http.handlers import export
from guidkeep.record import new_guid
from tests.http.faulty import faulty
from tests.http.helpers import EACH_PAIR, SOON, Api, faults, lines_of
from tests.support import MARCH_2015, app_of, make_registry, opened_store, scope_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Clock


@pytest.fixture
def user(guid: str) -> str:
    return f"user of {guid} & +"


async def made(api: Api, count: int, user: str) -> list[str]:
    """Creates that many records of the user; returns their expected lines."""
    guids = sorted(new_guid() for _ in range(count))
    lines = [
        json.dumps({"guid": guid, "user": user, "kept": [1.5, at]}) for at, guid in enumerate(guids)
    ]
    await api.post("/bulk", content="\n".join(reversed(lines)))
    return [(await api.get(f"/guid/{guid}")).text for guid in guids]


@EACH_PAIR
async def test_it_has_every_record_as_a_read_answers_it_in_guid_order(api: Api, user: str) -> None:
    mine = await made(api, 5, user)
    answer = await api.get("/export")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.text.endswith("\n")
    lines = answer.text.removesuffix("\n").split("\n")
    assert [line for line in lines if line in mine] == mine
    guids = [line.removeprefix('{"guid":"')[:32] for line in lines]
    assert guids == sorted(set(guids))
    assert guids == await api.all_guids(limit=1000)


@EACH_PAIR
async def test_a_record_that_came_on_several_lines_is_on_one(
    api: Api, guid: str, user: str
) -> None:
    kept = '[1.10,\n {"a\\nb":\r\n\t"c"}\r]'
    await api.post(f"/guid/{guid}", content=f'{{"user": {json.dumps(user)},\n"kept": {kept}}}')
    assert kept in (await api.get(f"/guid/{guid}")).text
    answer = await api.get("/export", params={"user": user})
    [line] = answer.text.removesuffix("\n").split("\n")
    assert line.endswith('"kept":[1.10,  {"a\\nb":  \t"c"} ]}')
    [told] = lines_of(await api.post("/bulk", content=line))
    assert (told["guid"], told["status"]) == (guid, 200)


@EACH_PAIR
async def test_it_can_be_of_one_user_and_begin_after_a_guid(api: Api, user: str) -> None:
    mine = await made(api, 4, user)
    await made(api, 2, user + " jr")
    answer = await api.get("/export", params={"user": user})
    assert answer.text.splitlines() == mine
    after = json.loads(mine[1])["guid"]
    answer = await api.get("/export", params={"user": user, "after": after})
    assert answer.text.splitlines() == mine[2:]


@EACH_PAIR
async def test_what_is_expired_is_not_in_it(api: Api, clock: Clock, user: str) -> None:
    await api.made(user=user, expire=SOON)
    assert (await api.get("/export", params={"user": user})).text
    clock.now = SOON
    assert (await api.get("/export", params={"user": user})).text == ""


async def test_it_goes_through_page_after_page(
    api: Api, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "PAGE", 3)
    monkeypatch.setattr(export, "PIECE", 2)
    for count in (2, 4):
        mine = await made(api, count, f"{user} {count}")
        answer = await api.get("/export", params={"user": f"{user} {count}"})
        assert answer.text.splitlines() == mine


async def test_what_expires_while_it_is_sent_is_not_sent_any_more(
    tmp_path: Path, clock: Clock, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page is read at once; time passes between its pieces."""
    monkeypatch.setattr(export, "PIECE", 1)
    async with opened_store(tmp_path / "guidkeep.db") as store:
        registry = make_registry(store, clock=clock)
        app = app_of(registry)
        async with Api(app) as api:
            for digit, expire in (("1", SOON), ("2", MARCH_2015 + 5), ("3", SOON)):
                await api.made(digit * 32, user=user, expire=expire)
        sent = b""

        async def send(message: dict[str, object]) -> None:
            nonlocal sent
            body = message.get("body", b"")
            assert isinstance(body, bytes)
            sent += body
            clock.now = MARCH_2015 + 5

        await app(scope_of("GET", "/export"), None, send)  # type: ignore[arg-type]  # nothing is received
        await registry.close()
    found = [json.loads(line)["expire"] for line in sent.decode().splitlines()]
    assert found == [str(SOON), str(SOON)]


async def test_of_a_head_only_the_head_is_sent(api: Api, user: str) -> None:
    await api.made(user=user)
    answer = await api.head("/export")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "application/x-ndjson"


@pytest.mark.parametrize(
    ("query", "parameter"), [("limit=5", "limit"), ("after=x", "after"), ("usr=Ann", "usr")]
)
async def test_a_query_that_is_wrong_is_refused(api: Api, query: str, parameter: str) -> None:
    answer = await api.get(f"/export?{query}")
    assert faults(answer).keys() == {parameter}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_it_is_only_read(api: Api, method: str) -> None:
    answer = await api.request(method, "/export")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_a_store_that_fails_at_once_is_a_503(tmp_path: Path, clock: Clock) -> None:
    async with faulty(tmp_path / "guidkeep.db", clock) as (api, store):
        store.fault = StoreUnavailable("Closed.")
        assert (await api.get("/export")).status_code == 503


async def test_a_store_that_fails_on_the_way_leaves_no_whole_answer(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "PAGE", 1)
    async with faulty(tmp_path / "guidkeep.db", clock) as (api, store):
        await made(api, 3, "Ann")
        plain = store.page

        async def page(*arguments: object) -> object:
            found = await plain(*arguments)  # type: ignore[arg-type]  # passed on unchanged
            store.fault = StoreUnavailable("Closed.")
            return found

        monkeypatch.setattr(store, "page", page)
        with pytest.raises(ConnectionAbortedError):
            await api.get("/export")
