"""The list of live records."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from guidkeep.record import new_guid
from tests.http.helpers import EACH_PAIR, SOON, faults

if TYPE_CHECKING:
    from tests.http.helpers import Api

pytestmark = EACH_PAIR


async def make(api: Api, count: int, user: str, **members: Any) -> list[str]:
    """Creates that many records of the user; returns their GUIDs in order."""
    guids = [new_guid() for _ in range(count)]
    await asyncio.gather(*(api.made(guid, user=user, **members) for guid in guids))
    return sorted(guids)


@pytest.fixture
def user(guid: str) -> str:
    """A user without records of other tests."""
    return f"Ann & B\N{LATIN SMALL LETTER E WITH ACUTE}a/{guid}+?#%"


async def test_it_is_of_whole_records_in_guid_order(api: Api, user: str) -> None:
    guids = await make(api, 5, user, number=1.5)
    answer = await api.get("/guid", params={"user": user})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    singles = [(await api.get(f"/guid/{guid}")).text for guid in guids]
    assert answer.text == f'{{"guids":[{",".join(singles)}],"next":null}}'


async def test_without_a_filter_it_is_of_everybody(api: Api, user: str) -> None:
    mine = await make(api, 3, user)
    theirs = await make(api, 3, user + " jr")
    everybody = await api.all_guids(limit=1000)
    assert everybody == sorted(everybody)
    assert {*mine, *theirs} <= set(everybody)
    assert await api.all_guids(user=user) == mine


async def test_metadata_in_a_list_is_exactly_as_it_came(api: Api, user: str, guid: str) -> None:
    kept = '"kept":[1.10, 1e400,"\\u00e9\\/"]'
    await api.made(guid, user=user)
    await api.patch(f"/guid/{guid}", content="{" + kept + "}")
    assert kept in (await api.get("/guid", params={"user": user})).text


@pytest.mark.parametrize(("count", "limit"), [(7, 3), (6, 3), (1, 1), (3, 1000)])
async def test_next_leads_from_page_to_page_to_the_end(
    api: Api, user: str, count: int, limit: int
) -> None:
    guids = await make(api, count, user)
    seen: list[str] = []
    url: str | None = str(httpx2.URL("/guid", params={"user": user, "limit": limit}))
    while url:
        answer = await api.get(url)
        page = answer.json()
        assert len(page["guids"]) == min(limit, count - len(seen))
        seen += [record["guid"] for record in page["guids"]]
        url = page["next"]
        assert answer.headers.get("link") == (url and f'<{url}>; rel="next"')
        assert answer.links.get("next", {}).get("url") == url
    assert seen == guids


async def test_next_keeps_the_filters(api: Api, user: str) -> None:
    early = await make(api, 4, user, expire=SOON)
    await make(api, 4, user, expire=SOON + 1)
    await make(api, 4, user + " jr", expire=SOON)
    assert await api.all_guids(user=user, expires_before=SOON + 1, limit=2) == early


async def test_after_is_the_last_guid_of_the_page_before(api: Api, user: str) -> None:
    guids = await make(api, 4, user)
    assert await api.all_guids(user=user, after=guids[1]) == guids[2:]
    assert await api.all_guids(user=user, after=guids[-1]) == []
    await api.delete(f"/guid/{guids[1]}")
    assert await api.all_guids(user=user, after=guids[1]) == guids[2:]


async def test_deletions_between_pages_skip_and_repeat_nothing(api: Api, user: str) -> None:
    guids = await make(api, 12, user)
    seen: list[str] = []
    url: str | None = str(httpx2.URL("/guid", params={"user": user, "limit": 3}))
    gone = [guids[2], guids[4], guids[5], guids[8], guids[11]]
    for guid in [*gone, None]:
        if url:
            page = (await api.get(url)).json()
            seen += [record["guid"] for record in page["guids"]]
            url = page["next"]
        if guid:
            await api.delete(f"/guid/{guid}")
    assert url is None
    assert seen == sorted(set(seen))
    assert set(guids) - set(gone) <= set(seen)


async def test_a_page_has_100_records_unless_limit_says_otherwise(api: Api, user: str) -> None:
    guids = await make(api, 101, user)
    page = (await api.get("/guid", params={"user": user})).json()
    assert [record["guid"] for record in page["guids"]] == guids[:100]
    assert [r["guid"] for r in (await api.get(page["next"])).json()["guids"]] == guids[100:]
    for limit in (1, 101, 1000):
        answer = await api.get("/guid", params={"user": user, "limit": limit})
        assert len(answer.json()["guids"]) == min(limit, 101)


async def test_expires_before_is_exact(api: Api, user: str) -> None:
    [guid] = await make(api, 1, user, expire=SOON)
    assert await api.all_guids(user=user, expires_before=SOON) == []
    assert await api.all_guids(user=user, expires_before=SOON + 1) == [guid]
    assert await api.all_guids(user=user, expires_before=10**40) == [guid]
    assert await api.all_guids(user=user, expires_before=0) == []
    assert guid not in await api.all_guids(expires_before=SOON, limit=1000)
    assert guid in await api.all_guids(expires_before=SOON + 1, limit=1000)


async def test_user_is_compared_exactly(api: Api, user: str) -> None:
    [guid] = await make(api, 1, user)
    for other in (user.lower(), user.upper(), f" {user}", user[:-1], f"{user}%", "%"):
        assert guid not in await api.all_guids(user=other)
    assert await api.all_guids(user=user) == [guid]


async def test_a_record_is_listed_under_the_user_it_has_now(api: Api, user: str) -> None:
    [guid] = await make(api, 1, user)
    await api.patch(f"/guid/{guid}", json={"user": user + " jr"})
    assert await api.all_guids(user=user) == []
    assert await api.all_guids(user=user + " jr") == [guid]
    await api.delete(f"/guid/{guid}")
    assert await api.all_guids(user=user + " jr") == []


async def test_a_parameter_without_a_value_counts_as_not_given(api: Api, user: str) -> None:
    guids = await make(api, 2, user)
    named = httpx2.QueryParams({"user": user})
    for query in ("limit=&after=", "limit=5&limit=", "limit=&limit=5"):
        answer = await api.get(f"/guid?{named}&{query}")
        assert [record["guid"] for record in answer.json()["guids"]] == guids


WRONG: list[tuple[str, set[str]]] = [
    ("limit=0", {"limit"}), ("limit=1001", {"limit"}), ("limit=-1", {"limit"}),
    ("limit=1.5", {"limit"}), ("limit=ten", {"limit"}), ("limit=%201", {"limit"}),
    ("limit=%EF%BC%91", {"limit"}), ("limit=" + "9" * 5000, {"limit"}),
    ("limit=1&limit=2", {"limit"}), ("after=x", {"after"}), ("after=" + "a" * 32, {"after"}),
    ("expires_before=tomorrow", {"expires_before"}), ("expires_before=-1", {"expires_before"}),
    ("offset=10", {"offset"}), ("Limit=10", {"Limit"}),
    ("limit=0&after=x&expires_before=y&page=2", {"limit", "after", "expires_before", "page"}),
]  # fmt: skip


async def test_all_that_is_wrong_with_a_query_is_said_at_once(api: Api) -> None:
    for query, wrong in WRONG:
        assert faults(await api.get(f"/guid?{query}")).keys() == wrong


@pytest.mark.parametrize("query", ["user=%ff", "user=%C3%28", "%E9=1"])
async def test_a_query_that_can_not_be_read_is_refused(api: Api, query: str) -> None:
    assert (await api.get(f"/guid?{query}")).status_code == 400


async def test_what_stands_in_a_query_is_data_and_no_statement(api: Api, user: str) -> None:
    await make(api, 1, user)
    assert await api.all_guids(user="' OR 1=1 --") == []
    assert await api.all_guids(user=f'{user}"; DROP TABLE record; --') == []
    assert len(await api.all_guids(user=user)) == 1
