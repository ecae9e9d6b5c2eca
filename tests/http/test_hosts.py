"""A server on a loopback address accepts only its own names: no page can rebind a name to it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from guidkeep.errors import StartupError
from guidkeep.http.hosts import KNOWN, Hosts
from guidkeep.http.requests import Request
from guidkeep.settings import load
from guidkeep.wire.origins import read_hosts, read_origins
from tests.http.helpers import Api, check_problem, detail, request_raw
from tests.support import Clock, served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from guidkeep.server.server import Running

OWN = [
    "localhost", "localhost:8080", "LOCALHOST", "LocalHost.:80", "localhost:", "127.0.0.1",
    "127.0.0.1:8080", "127.9.8.7", "[::1]", "[::1]:1", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]",
]  # fmt: skip
LONGEST = ".".join(["x" * 63] * 3 + ["x" * 61])
"""A name of 253 characters."""
OTHERS = [
    "evil.example", "evil.example:8080", "localhost.evil.example", "evil.localhost", "localhost..",
    "127.0.0.1.evil.example", "128.0.0.1", "[::2]", "::1", "[::1", "[localhost]",
    "127.0.0.1@evil.example", "localhost,evil.example", "localhost:99999", "localhost:x",
    "localhost evil.example", "10.0.0.1", "127.1", "", "*", "[::ffff:10.0.0.1]", "localh\xf6st",
]  # fmt: skip


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server on a loopback address with an additional name."""
    store = f"sqlite:///{tmp_path_factory.mktemp('hosts') / 'guidkeep.db'}"
    with served(Clock(), store=store, allow_host=read_hosts("Guids.Example.")) as running:
        yield running


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server on all addresses without listed names."""
    store = f"sqlite:///{tmp_path_factory.mktemp('elsewhere') / 'guidkeep.db'}"
    with served(Clock(), store=store, host="0.0.0.0") as running:  # noqa: S104 - for a moment
        yield running


async def ask(
    address: str, target: str, host: str, method: str = "GET", body: str = ""
) -> tuple[int, dict[str, str], bytes]:
    """Returns the status of the response."""
    head = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
    return await request_raw(address, f"{head}{body}".encode("latin-1"))


def request_for(host: str) -> Request:
    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    headers = [(b"host", host.encode())]
    scope = {"method": "GET", "path": "/", "query_string": b"", "headers": headers}
    return Request(scope, receive)


@pytest.mark.parametrize("host", OWN)
async def test_a_loopback_name_or_address_is_answered(live: Api, guid: str, host: str) -> None:
    await live.made(guid)
    for _ in range(2):  # the second comes from the cache
        answer = await live.get(f"/guid/{guid}", headers={"Host": host})
        assert answer.status_code == 200


@pytest.mark.parametrize("host", OTHERS)
async def test_another_host_is_answered_421_on_every_path(live: Api, guid: str, host: str) -> None:
    await live.made(guid)
    address = str(live.base_url)
    for _ in range(2):  # whether it is in the cache or not
        status, _, content = await ask(address, f"/guid/{guid}", host)
        assert status == 421
        check_problem(421, json.loads(content))
    assert (await live.get(f"/guid/{guid}")).status_code == 200
    assert (await ask(address, f"/guid/{guid}", host))[0] == 421, "a hit for others is none for it"
    for path in ("/guid", "/export", "/stats", "/metrics", "/console", "/nowhere"):
        assert (await ask(address, path, host))[0] == 421
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert (await ask(address, f"/guid/{guid}", host, method, "{}"))[0] == 421
    assert (await live.get(f"/guid/{guid}")).json()["user"] == "Ann"


async def test_the_application_itself_refuses_it_and_says_what_to_do(api: Api) -> None:
    answer = await api.get("/guid", headers={"Host": "evil.example"})
    assert answer.status_code == 421
    assert "'evil.example'" in detail(answer)
    assert "--allow-host" in detail(answer)


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_health_is_told_whatever_the_host(api: Api, path: str) -> None:
    answer = await api.get(path, headers={"Host": "10.1.2.3:8080"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("http://evil.example/guid/{}", "localhost", 421),
        ("http://localhost/guid/{}", "evil.example", 200),
        ("http://localhost@evil.example/guid/{}", "localhost", 421),
        ("http://127.0.0.1:1/guid/{}", "localhost", 200),
    ],
)
async def test_the_host_of_a_whole_target_stands_in_the_place_of_the_header(
    live: Api, guid: str, target: str, host: str, status: int
) -> None:
    """RFC 9112 §3.2.2."""
    await live.made(guid)
    found, _, _ = await ask(str(live.base_url), target.format(guid), host)
    assert found == status


@pytest.mark.parametrize("host", ["guids.example", "GUIDS.example:443", "guids.example.", *OWN])
async def test_a_host_that_is_listed_is_answered_beside_its_own(
    listing: Running, host: str
) -> None:
    assert (await ask(listing.address, "/guid", host))[0] == 200
    assert (await ask(listing.address, "/guid", "more.guids.example"))[0] == 421


async def test_elsewhere_any_host_is_answered_unless_some_are_listed(
    elsewhere: Running, tmp_path: Path
) -> None:
    address = elsewhere.address.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - where it is reached
    for host in ("evil.example", "10.0.0.1", "anything:1"):
        assert (await ask(address, "/guid", host))[0] == 200
    store = f"sqlite:///{tmp_path / 'guidkeep.db'}"
    with served(Clock(), store=store, host="0.0.0.0", allow_host=("a.example",)) as running:  # noqa: S104 - for a moment
        address = running.address.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - where it is reached
        assert (await ask(address, "/guid", "a.example"))[0] == 200
        assert (await ask(address, "/guid", "evil.example"))[0] == 421
        assert (await ask(address, "/livez", "evil.example"))[0] == 200


def test_of_the_hosts_that_were_right_only_so_many_are_remembered() -> None:
    hosts = Hosts((), bound="::1")
    for port in range(1, KNOWN + 10):
        hosts.require(request_for(f"localhost:{port}"))
    assert hosts.known
    assert len(hosts.known) < KNOWN


@pytest.mark.parametrize(
    "value",
    ["http://a.example", "a.example:80", "*.example", "*", "a/b", "a b", "-a", "a..b", "127.1",
     "x" * 64, f"{LONGEST}x", "::g", ".", "@", "1.2.3.4.5"],
)  # fmt: skip
def test_a_host_that_could_never_match_is_refused_at_the_start(value: str) -> None:
    with pytest.raises(StartupError, match=r"--allow-host: .* is not a host; write"):
        load({"allow_host": f"fine.example,{value}"}, {})


@pytest.mark.parametrize(
    ("value", "normal"),
    [
        ("A.Example.,b_c", ("a.example", "b_c")), ("bücher.example", ("xn--bcher-kva.example",)),
        ("[::1],2001:DB8::0", ("::1", "2001:db8::")), (" 10.0.0.1 ,", ("10.0.0.1",)), ("", ()),
        (LONGEST, (LONGEST,)),
    ],
)  # fmt: skip
def test_a_host_is_brought_into_the_form_that_browsers_send(
    value: str, normal: tuple[str, ...]
) -> None:
    assert load({"allow_host": value}, {}).allow_host == normal


@pytest.mark.parametrize(
    "value",
    ["https://a.example/", "https://a.example/x", "https://me@a.example", "https://*.example",
     "*", "null", "a.example", "ftp://a.example", "https://a.example:99999", "https://a.example:0",
     "https://straße.example", "https://127.1", "https://", "https://a.example?x", "http://::1",
     "https://a\\b"],
)  # fmt: skip
def test_an_origin_that_could_never_match_is_refused_at_the_start(value: str) -> None:
    with pytest.raises(StartupError, match=r"--allow-origin: .* is not an origin; write"):
        load({"allow_origin": f"https://fine.example,{value}"}, {})


@pytest.mark.parametrize(
    ("value", "normal"),
    [
        ("HTTPS://App.Example.com:443", "https://app.example.com"),
        ("http://a.example:80", "http://a.example"), ("http://a.example:443", "http://a.example:443"),
        ("http://localhost:03000", "http://localhost:3000"), ("https://a.", "https://a."),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("http://[0:0::1]:3000", "http://[::1]:3000"),
        ("http://a.example:65535", "http://a.example:65535"),
    ],
)  # fmt: skip
def test_an_origin_is_brought_into_the_form_that_browsers_send(value: str, normal: str) -> None:
    assert read_origins(value) == (normal,)
