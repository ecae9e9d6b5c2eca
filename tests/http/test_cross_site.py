"""Pages of other sites can't read or write, unless the operator allows their origin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from guidkeep.metrics import Metrics
from guidkeep.record import new_guid
from tests.http.helpers import SOON, Api
from tests.support import MARCH_2015, Clock, app_of, make_registry, metric, opened_store, served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from guidkeep.registry.registry import Registry
    from guidkeep.server.server import Running

FRIEND, STRANGER = "https://friend.example", "https://stranger.example"
WRITES = ("POST", "PUT", "PATCH", "DELETE")


def own_origin(api: Api) -> str:
    return str(api.base_url).rstrip("/")


@pytest.fixture(scope="module")
def open_clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def open_server(open_clock: Clock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that allows an origin."""
    store = f"sqlite:///{tmp_path_factory.mktemp('cross-site') / 'guidkeep.db'}"
    with served(open_clock, store=store, allow_origin=(FRIEND, "http://other.test")) as running:
        yield running


@pytest.fixture(params=["app", "server"])
async def friendly(
    request: pytest.FixtureRequest, open_server: Running, open_clock: Clock, tmp_path: Path
) -> AsyncIterator[Api]:
    """A client of an application, or a server, that allows an origin."""
    open_clock.now = MARCH_2015
    if request.param == "server":
        async with Api(open_server.address) as client:
            yield client
        return
    async with opened_store(tmp_path / "guidkeep.db") as store:
        registry = make_registry(store, clock=open_clock)
        async with Api(app_of(registry, allow_origin=(FRIEND, "http://other.test"))) as client:
            yield client
        await registry.close()


async def statuses(api: Api, guid: str, headers: dict[str, str]) -> list[int]:
    """Returns the statuses of writes with these headers to an existing record."""
    found = []
    for method in WRITES:
        body = None if method == "DELETE" else {"user": "Bea"}
        answer = await api.request(method, f"/guid/{guid}", json=body, headers=headers)
        found.append(answer.status_code)
    found.append((await api.post("/guid", json={"user": "Bea"}, headers=headers)).status_code)
    return found


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": STRANGER}, {"Origin": "null"}, {"Origin": "http://["}, {"Origin": ""},
        {"Origin": "nonsense"}, {"Origin": STRANGER + ":443"},
        {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": STRANGER},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://sub.localhost"},
        {"Sec-Fetch-Site": "whatever"},
    ],
    ids=str,
)  # fmt: skip
async def test_a_page_of_another_origin_can_not_write(
    api: Api, guid: str, headers: dict[str, str]
) -> None:
    before = await api.made(guid)
    assert await statuses(api, guid, headers) == [403] * 5
    assert (await api.get(f"/guid/{guid}")).text == before.text


async def test_a_page_of_another_port_is_of_another_origin(api: Api, guid: str) -> None:
    await api.made(guid)
    origin = str(api.base_url.copy_with(port=1)).rstrip("/")
    assert await statuses(api, guid, {"Origin": origin}) == [403] * 5


@pytest.mark.parametrize("site", ["same-origin", "none", None])
@pytest.mark.parametrize("says_origin", [True, False])
async def test_the_service_own_pages_and_what_is_no_browser_can_write(
    api: Api, guid: str, site: str | None, says_origin: bool
) -> None:
    await api.made(guid)
    headers = {"Sec-Fetch-Site": site} if site else {}
    if says_origin:
        headers["Origin"] = own_origin(api)
    assert await statuses(api, guid, headers) == [200, 200, 200, 204, 201]


LINK = {
    "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document",
}  # fmt: skip
EMBEDDED = [
    {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"},
    {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "object"},
    {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "embed"},
    {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Origin": STRANGER},
    {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "document"},
    {"Sec-Fetch-Mode": "navigate"}, {"Sec-Fetch-Dest": "document"}, {},
]  # fmt: skip


@pytest.mark.parametrize("headers", EMBEDDED, ids=str)
@pytest.mark.parametrize("site", ["cross-site", "Cross-Site", "cross-site, none", "whatever", ""])
async def test_a_page_of_another_site_can_not_tell_whether_there_is_a_record(
    api: Api, guid: str, headers: dict[str, str], site: str
) -> None:
    await api.made(guid)
    for method in ("GET", "HEAD"):
        for _ in range(2):  # in the cache or not
            found = [
                await api.request(method, path, headers={"Sec-Fetch-Site": site} | headers)
                for path in (f"/guid/{guid}", f"/guid/{new_guid()}", "/guid", "/export", "/livez")
            ]
            assert {answer.status_code for answer in found} == {403}
            assert len({answer.text for answer in found}) == 1
            await api.get(f"/guid/{guid}")


async def test_a_link_from_another_site_can_be_followed_but_not_to_all_records(
    api: Api, guid: str
) -> None:
    await api.made(guid)
    for path in (f"/guid/{guid}", "/guid", "/console", "/docs", "/stats"):
        assert (await api.get(path, headers=LINK)).status_code == 200
    for path in ("/export", "/export?user=Ann"):
        assert (await api.get(path, headers=LINK)).status_code == 403
    assert (await api.get("/bulk", headers=LINK)).status_code == 405  # not by a link
    for method in ("HEAD", *WRITES):
        answer = await api.request(method, f"/guid/{guid}", headers=LINK)
        assert answer.status_code == 403


@pytest.mark.parametrize("site", ["same-origin", "same-site", "none", None])
@pytest.mark.parametrize("headers", EMBEDDED, ids=str)
async def test_other_reads_are_answered_and_no_page_of_another_origin_is_let_see_them(
    api: Api, guid: str, site: str | None, headers: dict[str, str]
) -> None:
    await api.made(guid)
    said = headers | ({"Sec-Fetch-Site": site} if site else {})
    for method, path in (("GET", f"/guid/{guid}"), ("HEAD", f"/guid/{guid}"), ("GET", "/guid")):
        answer = await api.request(method, path, headers=said)
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers


async def test_by_default_no_preflight_is_answered_with_leave(api: Api, guid: str) -> None:
    headers = {"Origin": FRIEND, "Access-Control-Request-Method": "PUT"}
    answer = await api.options(f"/guid/{guid}", headers=headers)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("site", [None, "cross-site"])
async def test_a_page_of_an_allowed_origin_can_write(
    friendly: Api, guid: str, site: str | None
) -> None:
    await friendly.made(guid)
    headers = {"Origin": FRIEND} | ({"Sec-Fetch-Site": site} if site else {})
    assert await statuses(friendly, guid, headers) == [200, 200, 200, 204, 201]


async def test_a_page_of_an_origin_that_is_not_allowed_still_can_not(
    friendly: Api, guid: str
) -> None:
    await friendly.made(guid)
    for origin in (STRANGER, FRIEND + ".evil.example", "null", FRIEND + ":444", ""):
        assert await statuses(friendly, guid, {"Origin": origin}) == [403] * 5
        answer = await friendly.get(f"/guid/{guid}", headers={"Origin": origin})
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["vary"] == "Origin", "another page would be told otherwise"


@pytest.mark.parametrize("origin", [FRIEND, FRIEND.upper(), f"{FRIEND}:443", f"{FRIEND}:0443"])
async def test_an_allowed_origin_is_known_in_whatever_form_it_comes(
    friendly: Api, guid: str, origin: str
) -> None:
    answer = await friendly.post(f"/guid/{guid}", json={"user": "Ann"}, headers={"Origin": origin})
    assert answer.status_code == 201
    assert answer.headers["access-control-allow-origin"] == origin


async def test_the_answers_to_others_differ_by_origin_too(friendly: Api, guid: str) -> None:
    await friendly.made(guid)
    for _ in range(2):  # from the cache or not
        answer = await friendly.get(f"/guid/{guid}")
        assert answer.headers["vary"] == "Origin"


async def test_a_page_of_an_allowed_origin_reads_across_sites_what_it_asks_for_as_itself(
    friendly: Api, guid: str
) -> None:
    await friendly.made(guid)
    fetch = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
    for path in (f"/guid/{guid}", "/guid", "/export", "/stats"):
        answer = await friendly.get(path, headers=fetch | {"Origin": FRIEND})
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == FRIEND
        assert (await friendly.get(path, headers=fetch)).status_code == 403
        assert (await friendly.get(path, headers=fetch | {"Origin": STRANGER})).status_code == 403


async def test_a_page_of_an_allowed_origin_sees_every_answer_and_its_headers(
    friendly: Api, guid: str
) -> None:
    headers = {"Origin": FRIEND}
    made = await friendly.put(
        f"/guid/{guid}", json={"user": "Ann", "expire": SOON}, headers=headers
    )
    etag = made.headers["etag"]
    answers = [
        made,
        await friendly.get(f"/guid/{guid}", headers=headers),
        await friendly.get(f"/guid/{guid}", headers=headers),
        await friendly.get(f"/guid/{guid}", headers=headers | {"If-None-Match": etag}),
        await friendly.get("/guid?limit=1", headers=headers),
        await friendly.get("/guid/xyz", headers=headers),
        await friendly.put(f"/guid/{guid}", json={"user": ""}, headers=headers),
        await friendly.delete(f"/guid/{guid}", headers=headers | {"If-Match": '"1"'}),
        await friendly.delete(f"/guid/{guid}", headers=headers),
        await friendly.get(f"/guid/{guid}", headers=headers),
        await friendly.get("/nowhere", headers=headers),
    ]
    expected = [201, 200, 200, 304, 200, 400, 400, 412, 204, 404, 404]
    assert [answer.status_code for answer in answers] == expected
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == FRIEND
        assert "origin" in answer.headers["vary"].lower()
        exposed = {
            name.strip() for name in answer.headers["access-control-expose-headers"].split(",")
        }
        assert {"ETag", "Link", "Location", "Retry-After", "Sunset"} <= exposed


@pytest.mark.parametrize("method", WRITES)
async def test_a_preflight_from_an_allowed_origin_is_granted(
    friendly: Api, guid: str, method: str
) -> None:
    headers = {
        "Origin": FRIEND,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization, content-type, if-match, if-none-match",
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "cors",
    }
    answer = await friendly.options(f"/guid/{guid}", headers=headers)
    assert answer.is_success
    assert answer.headers["access-control-allow-origin"] == FRIEND
    assert method in answer.headers["access-control-allow-methods"]
    for name in ("authorization", "content-type", "if-match", "if-none-match"):
        assert name in answer.headers["access-control-allow-headers"].lower()
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("asks", ["true", "false", None])
async def test_a_preflight_for_a_private_network_is_granted(
    friendly: Api, asks: str | None
) -> None:
    """A page on the web requests a server on the user's machine or in the user's network."""
    headers = {"Origin": FRIEND, "Access-Control-Request-Method": "GET"}
    if asks:
        headers["Access-Control-Request-Private-Network"] = asks
    answer = await friendly.options("/guid", headers=headers)
    assert answer.status_code == 204
    granted = answer.headers.get("access-control-allow-private-network")
    assert granted == ("true" if asks == "true" else None)


async def test_a_preflight_is_counted_and_logged_like_any_request(
    registry: Registry,
) -> None:
    metrics = Metrics()
    app = app_of(registry, metrics=metrics, allow_origin=(FRIEND,), access_log=True)
    headers = {
        "Origin": FRIEND, "Access-Control-Request-Method": "GET", "X-Request-ID": "mine",
    }  # fmt: skip
    async with Api(app) as client:
        with capture_logs() as lines:
            await client.options("/stats", headers=headers)
            await client.options("/stats")
    assert [(line["method"], line["status"]) for line in lines] == [
        ("OPTIONS", 204), ("OPTIONS", 405),
    ]  # fmt: skip
    assert lines[0]["request_id"] == "mine"
    for method, status in (("OPTIONS", 204), ("other", 405)):
        _, *counts = metric(metrics, "guidkeep_request_seconds", "/stats", method, str(status))
        assert sum(counts) == 1


async def test_a_preflight_from_another_origin_is_not(friendly: Api, guid: str) -> None:
    headers = {"Origin": STRANGER, "Access-Control-Request-Method": "PUT"}
    answer = await friendly.options(f"/guid/{guid}", headers=headers)
    assert answer.status_code == 405
    said = headers | {"Sec-Fetch-Site": "cross-site"}
    assert (await friendly.options(f"/guid/{guid}", headers=said)).status_code == 403
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/nowhere", "GET", 404),
        ("/nowhere", "PUT", 404),
        ("/guid/{guid}", "TRACE", 405),
        ("/guid/{guid}", "get", 405),
        ("/guid/{guid}", "x" * 10_000, 405),
        ("/stats", "PUT", 405),
        ("/stats", "HEAD", 204),
    ],
)
async def test_a_preflight_for_what_is_not_there_is_refused_as_that_would_be(
    friendly: Api, guid: str, path: str, method: str, status: int
) -> None:
    headers = {"Origin": FRIEND, "Access-Control-Request-Method": method}
    answer = await friendly.options(path.format(guid=guid), headers=headers)
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == FRIEND
    assert ("allow" in answer.headers) is (status == 405)
    allowed = answer.headers.get("access-control-allow-methods")
    assert allowed == ("GET, HEAD" if status == 204 else None)
    assert len(answer.content) < 1000


@pytest.mark.parametrize(
    "asks",
    [
        {"Access-Control-Request-Method": "TRACE"},
        {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-other"},
    ],
    ids=str,
)
async def test_a_preflight_for_more_than_there_is_gets_no_leave_for_it(
    friendly: Api, guid: str, asks: dict[str, str]
) -> None:
    answer = await friendly.options(f"/guid/{guid}", headers={"Origin": FRIEND} | asks)
    assert "TRACE" not in answer.headers.get("access-control-allow-methods", "")
    assert "x-other" not in answer.headers.get("access-control-allow-headers", "")
