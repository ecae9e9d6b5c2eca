"""The attacks, each a few lines: what is sent, and to what kind of server.

Each is bounded: so many connections and requests, so many seconds. A server that takes part of what
is sent and refuses the rest does well; one that answers all of it may, if it costs little.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.scenarios.hostile.traffic import (
    Client,
    Traffic,
    ask_all,
    flood,
    request,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

KIB = 1024
BODY = 64 * KIB
DEEPEST = 31
"""Levels below a record's own object that JSON may have."""
LAST_EXPIRE = 253_402_300_799
LOOK_AROUND = {"properties": {"codes": {"items": {"pattern": "^(?:(?=x)x+)+y$"}}}}
BROWSER = ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: empty")
CONNECTIONS_OF_A_BROWSER = 6


@dataclass(frozen=True, slots=True)
class Records:
    """What the database holds.

    Attributes:
        count: records; of `Plan.more_records` where it is "many".
        size: bytes of the metadata of each; 0: a user's name.
    """

    count: int | None = 0
    size: int = 0


EMPTY = Records()
MANY = Records(count=None)
LARGE = Records(count=2_000, size=60_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One of them.

    Attributes:
        name: short, for the results.
        what: is sent.
        strike: sends it to the server on that port; of the second, a divisor of how much.
        records: in the database.
        flags: of `guidkeep serve`.
        schema: for metadata, in place of the one shipped.
    """

    name: str
    what: str
    strike: Callable[[int, int], Traffic]
    records: Records = EMPTY
    flags: Sequence[str] = ()
    schema: object = None


def _nothing(_: int, share: int) -> Traffic:
    time.sleep(max(1, 5 / share))
    return Traffic()


def _pipelined(port: int, share: int) -> Traffic:
    """Each connection sends as much as a server reads at once."""
    one = request("GET", f"/guid/{0:032X}")
    return flood(port, [one * (260_000 // len(one))] * (200 // share))


def _pipelined_hits(port: int, share: int) -> Traffic:
    """The same of a record that the cache has."""
    traffic = Traffic()
    client = Client(port, traffic)
    answer = client.ask(request("POST", "/guid", b'{"user":"%b"}' % (b"u" * 250)))
    client.close()
    guid = json.loads(answer)["guid"]
    one = request("GET", f"/guid/{guid}")
    return flood(port, [one * (260_000 // len(one))] * (200 // share))


def _exports(port: int, share: int) -> Traffic:
    return flood(port, [request("GET", "/export")] * (200 // share), hold=5)


def _bodies(port: int, share: int) -> Traffic:
    """All but the last byte, so that each waits in memory."""
    whole = request("POST", "/guid", b'{"user":"a","b":"%b"}' % (b"b" * (BODY - 32)))
    return flood(port, [whole[:-1]] * (4_000 // share), seconds=15)


def _heads(port: int, share: int) -> Traffic:
    """Requests with as many headers as fit, without their end; then as many whole ones."""
    head = request("GET", "/livez")[:-2] + b"a:\r\n" * 7_500
    traffic = flood(port, [head] * (1_000 // share))
    whole = ask_all(port, [head + b"\r\n"] * (200 // share))
    traffic.sent += whole.sent
    traffic.answers += whole.answers
    return traffic


def _before(port: int, _: int) -> Traffic:
    """None expires so soon; all expire before that; each is asked twice."""
    soon = int(time.time()) + 3_600
    paths = [f"/guid?expires_before={until}" for until in (soon, LAST_EXPIRE)]
    return ask_all(port, [request("GET", path) for path in paths] * 2, seconds=20)


def _lists(port: int, share: int) -> Traffic:
    return ask_all(port, [request("GET", "/guid?limit=1000")] * max(1, 20 // share))


def _deep(leaf: bytes) -> bytes:
    """An object that nests as deep as may be, with that in the innermost."""
    levels = DEEPEST - 1
    return b'{"user":"a",' + b'"a":{' * levels + leaf + b"}" * levels + b"}"


def _members(size: int, value: bytes) -> bytes:
    """So many bytes of small members, as text."""
    each = 12 + len(value)
    return b",".join(b'"m%07d":%b' % (number, value) for number in range(size // each))


def _patches(patch: bytes) -> Callable[[int, int], Traffic]:
    """The same change of a large, deep record, again and again."""

    def strike(port: int, share: int) -> Traffic:
        path = f"/guid/{1:032X}"
        made = request("PUT", path, _deep(_members(BODY - 1_000, b"1")))
        changed = request("PATCH", path, patch)
        return ask_all(port, [made, *[changed] * max(1, 40 // share)])

    return strike


def _pattern(port: int, share: int) -> Traffic:
    body = json.dumps({"codes": ["x" * 40] * (200 // share)}).encode()
    return ask_all(port, [request("POST", "/guid", body)], seconds=20)


def _bad_lines(port: int, share: int) -> Traffic:
    return ask_all(port, [request("POST", "/bulk", b"x\n" * (30_000 // share))])


def _unfinished(port: int, share: int) -> Traffic:
    head = request("POST", "/guid", b"{}")[:-2]
    return flood(port, [head] * (10_000 // share), hold=5)


def _idle(port: int, share: int) -> Traffic:
    """Connections that have sent one byte of a request, or nothing."""
    return flood(port, [b"G"] * (4_500 // share), hold=5)


def _page(port: int, share: int) -> Traffic:
    """A page in a browser that fetches again and again."""
    until = time.monotonic() + 10 / share
    shares = [Traffic() for _ in range(CONNECTIONS_OF_A_BROWSER)]

    def fetch(traffic: Traffic) -> None:
        client = Client(port, traffic)
        while (left := until - time.monotonic()) > 0:
            client.ask(request("GET", "/export", headers=BROWSER), patience=left)
        client.close()

    threads = [threading.Thread(target=fetch, args=(traffic,)) for traffic in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = Traffic()
    for traffic in shares:
        whole.sent += traffic.sent
        whole.received += traffic.received
        whole.answers += traffic.answers
    return whole


def _numbers(port: int, share: int) -> Traffic:
    """Where a number is only kept, and where it is read."""
    digits = b"9" * 60_000
    bodies = [b'{"user":"a","n":%b}', b'{"user":"a","n":-%b}', b'{"user":"a","n":%b.5e-9}']
    read = [b'{"user":"a","expire":%b}', b'{"user":"a","expire":"%b"}', b'{"user":"a","ttl":%b}']
    requests = [request("POST", "/guid", body % digits) for body in (*bodies, *read)]
    queries = [
        request("GET", f"/guid?{name}={'9' * 30_000}") for name in ("limit", "expires_before")
    ]
    return ask_all(port, (requests + queries) * max(1, 10 // share))


def _conditions(port: int, share: int) -> Traffic:
    """As many entity tags as fit, of which none matches."""
    tags = ",".join(f'"{number}"' for number in range(4_500))
    path = f"/guid/{1:032X}"
    asked = request("GET", path, headers=[f"If-None-Match: {tags}"])
    made = request("PUT", path, b'{"user":"a"}')
    return ask_all(port, [made, *[asked] * max(1, 100 // share)])


def _texts(port: int, share: int) -> Traffic:
    """Bodies that make a reader of JSON work: escapes, brackets, names, none of them valid."""
    bodies = [
        b'{"user":"' + b"\\u0041" * 10_000 + b'"}',
        b'{"user":"a","a":' + b"[" * 60_000,
        b'{"user":"a","a":"' + b"\\" * 60_001 + b'"}',
        b'{"user":1,' + b",".join(b'"%d":{}' % n for n in range(6_000)) + b"}",
        b"[" + b'{"user":"a"},' * 4_500 + b"1]",
    ]
    return ask_all(port, [request("POST", "/guid", body) for body in bodies * max(1, 8 // share)])


def _crumbs(port: int, share: int) -> Traffic:
    """A body in chunks of one byte: six bytes for one."""
    body = b'{"user":"a","b":"%b"}' % (b"b" * (BODY - 100))
    head = request("POST", "/guid", headers=["Transfer-Encoding: chunked"])
    whole = head + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    return ask_all(port, [whole] * max(1, 20 // share))


def _counts(port: int, share: int) -> Traffic:
    paths = (
        "/stats",
        "/guid?user=nobody",
        "/metrics",
        f"/guid?expires_before={LAST_EXPIRE}&user=a",
    )
    return ask_all(port, [request("GET", path) for path in paths] * max(1, 5 // share))


ATTACKS = (
    Attack(name="nothing", what="Nothing at all, for five seconds", strike=_nothing),
    Attack(
        name="pipelined",
        what="Pipelined GETs, 260 KB on each of 200 connections, answers unread",
        strike=_pipelined,
    ),
    Attack(name="pipelined-hits", what="The same, of a cached record", strike=_pipelined_hits),
    Attack(name="exports", what="200 exports, unread", strike=_exports, records=LARGE),
    Attack(name="bodies", what="4,000 bodies of 64 KiB, the last byte missing", strike=_bodies),
    Attack(name="heads", what="1,200 heads of 7,500 headers, most without an end", strike=_heads),
    Attack(
        name="expires-before",
        what="4 of `GET /guid?expires_before=`, a million records",
        strike=_before,
        records=MANY,
    ),
    Attack(
        name="lists",
        what="20 of `GET /guid?limit=1000`, records of 60 KB",
        strike=_lists,
        records=LARGE,
    ),
    Attack(
        name="small-patch",
        what="40 small merge patches of a deep record of 64 KiB",
        strike=_patches(_deep(b'"z":1').replace(b'"user":"a",', b"")),
    ),
    Attack(
        name="large-patch",
        what="40 deep merge patches of 64 KiB of that record",
        strike=_patches(_deep(_members(BODY - 1_000, b"2"))),
    ),
    Attack(
        name="pattern",
        what="200 short texts for a `pattern` with look-around",
        strike=_pattern,
        schema=LOOK_AROUND,
    ),
    Attack(name="bad-lines", what="30,000 bad lines of two bytes to `/bulk`", strike=_bad_lines),
    Attack(name="unfinished", what="10,000 POSTs without their body", strike=_unfinished),
    Attack(
        name="idle",
        what="4,500 connections with one byte, `--max-connections 4000`",
        strike=_idle,
        flags=("--max-connections", "4000"),
    ),
    Attack(
        name="page",
        what="A foreign page fetches `/export` for 10 s, a million records",
        strike=_page,
        records=MANY,
    ),
    Attack(name="numbers", what="Numbers of up to 60,000 digits, 80 times", strike=_numbers),
    Attack(name="conditions", what="4,500 entity tags, 100 times", strike=_conditions),
    Attack(name="texts", what="40 bodies that are hard to read", strike=_texts),
    Attack(name="crumbs", what="64 KiB in chunks of one byte, 20 times", strike=_crumbs),
    Attack(
        name="counts",
        what="`/stats`, `/metrics` and filters that find nothing, 20 in all, a million records",
        strike=_counts,
        records=MANY,
    ),
)
