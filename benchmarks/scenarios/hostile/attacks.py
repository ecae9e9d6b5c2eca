"""The attacks: the bytes that each sends, and the kind of server it needs.

Each is bounded in connections, requests and seconds. A server does well if it serves some of the
requests and refuses the rest, or if it serves all of them at a low cost.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.scenarios.hostile.traffic import (
    Client,
    Flood,
    Traffic,
    ask_all,
    request,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

KIB = 1024
BODY = 64 * KIB
STAY = 3.0
"""The least number of seconds that a flood stays, so that it affects the bystander."""
HOLDING = 15.0
"""The most seconds that it stays beyond that."""
DEEPEST = 31
"""Levels that JSON may have below a record's own object."""
LAST_EXPIRE = 253_402_300_799
LOOK_AROUND = {"properties": {"codes": {"items": {"pattern": "^(?:(?=x)x+)+y$"}}}}
BROWSER = ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: empty")
CONNECTIONS_OF_A_BROWSER = 6


@dataclass(frozen=True, slots=True)
class Records:
    """The content of the database.

    Attributes:
        count: the number of records; None: `Plan.more_records`.
        size: bytes of each record's metadata; 0: only a user's name.
    """

    count: int | None = 0
    size: int = 0


EMPTY = Records()
MANY = Records(count=None)
LARGE = Records(count=2_000, size=60_000)


@dataclass(frozen=True, slots=True)
class Target:
    """A server to attack.

    Attributes:
        port: its port.
        share: the divisor of the attack's size.
        settles: waits until it is idle, up to a number of seconds.
    """

    port: int
    share: int
    settles: Callable[[float], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """An attack.

    Attributes:
        name: a short name, for the results.
        what: a description of the traffic.
        strike: sends the traffic.
        records: the content of the database.
        flags: of `guidkeep serve`.
        schema: for metadata, in place of the default.
    """

    name: str
    what: str
    strike: Callable[[Target], Traffic]
    records: Records = EMPTY
    flags: Sequence[str] = ()
    schema: object = None


def _flood(target: Target, payloads: Sequence[bytes]) -> Traffic:
    """A flood that stays until the server is idle, or for a while."""
    attack = Flood(target.port, payloads)
    attack.send()
    time.sleep(STAY)
    target.settles(HOLDING)
    return attack.close()


def _nothing(target: Target) -> Traffic:
    time.sleep(max(1, 5 / target.share))
    return Traffic()


def _pipelined(target: Target) -> Traffic:
    """Each connection sends as much as a server reads at once."""
    one = request("GET", f"/guid/{0:032X}")
    return _flood(target, [one * (260_000 // len(one))] * (200 // target.share))


def _pipelined_hits(target: Target) -> Traffic:
    """The same for a cached record."""
    traffic = Traffic()
    client = Client(target.port, traffic)
    answer = client.ask(request("POST", "/guid", b'{"user":"%b"}' % (b"u" * 250)))
    client.close()
    guid = json.loads(answer)["guid"]
    one = request("GET", f"/guid/{guid}")
    return _flood(target, [one * (260_000 // len(one))] * (200 // target.share))


def _exports(target: Target) -> Traffic:
    return _flood(target, [request("GET", "/export")] * (200 // target.share))


def _files(target: Target) -> Traffic:
    """Requests the largest file of the service: 1.7 MB."""
    one = request("GET", "/docs/swagger-ui-bundle.js")
    return _flood(target, [one] * (500 // target.share))


def _pages(target: Target) -> Traffic:
    return _flood(target, [request("GET", "/guid?limit=1000")] * (40 // target.share))


def _lines(target: Target) -> Traffic:
    """The response to each line has some two hundred bytes."""
    one = request("POST", "/bulk", b"x\n" * 1_500)
    return _flood(target, [one] * (1_000 // target.share))


def _bodies(target: Target) -> Traffic:
    """Sends all but the last byte, so that each body waits in memory; then that byte."""
    whole = request("POST", "/guid", b'{"user":"a","b":"%b"}' % (b"b" * (BODY - 32)))
    attack = Flood(target.port, [whole[:-1]] * (4_000 // target.share))
    attack.send()
    target.settles(HOLDING)
    attack.finish(whole[-1:])
    target.settles(HOLDING)
    return attack.close()


def _heads(target: Target) -> Traffic:
    """Sends requests with as many headers as fit, without their end; then complete ones."""
    head = request("GET", "/livez")[:-2] + b"a:\r\n" * 7_500
    traffic = _flood(target, [head] * (1_000 // target.share))
    traffic.add(ask_all(target.port, [head + b"\r\n"] * (200 // target.share)))
    return traffic


def _before(target: Target) -> Traffic:
    """No record expires before the first time, all before the second; each is sent twice."""
    soon = int(time.time()) + 3_600
    paths = [f"/guid?expires_before={until}" for until in (soon, LAST_EXPIRE)]
    return ask_all(target.port, [request("GET", path) for path in paths] * 2)


def _lists(target: Target) -> Traffic:
    return ask_all(target.port, [request("GET", "/guid?limit=1000")] * max(1, 20 // target.share))


def _deep(leaf: bytes) -> bytes:
    """An object that nests as deep as allowed, with `leaf` in the innermost."""
    levels = DEEPEST - 1
    return b'{"user":"a",' + b'"a":{' * levels + leaf + b"}" * levels + b"}"


def _members(size: int, value: bytes) -> bytes:
    """Small members, `size` bytes of JSON text."""
    each = 12 + len(value)
    return b",".join(b'"m%07d":%b' % (number, value) for number in range(size // each))


def _patches(patch: bytes) -> Callable[[Target], Traffic]:
    """Repeats one change of a large, deep record."""

    def strike(target: Target) -> Traffic:
        path = f"/guid/{1:032X}"
        made = request("PUT", path, _deep(_members(BODY - 1_000, b"1")))
        changed = request("PATCH", path, patch)
        return ask_all(target.port, [made, *[changed] * max(1, 40 // target.share)])

    return strike


def _pattern(target: Target) -> Traffic:
    body = json.dumps({"codes": ["x" * 17] * (1_000 // target.share)}).encode()
    return ask_all(target.port, [request("POST", "/guid", body)])


def _bad_lines(target: Target) -> Traffic:
    return ask_all(target.port, [request("POST", "/bulk", b"x\n" * (30_000 // target.share))])


def _unfinished(target: Target) -> Traffic:
    head = request("POST", "/guid", b"{}")[:-2]
    return _flood(target, [head] * (10_000 // target.share))


def _idle(target: Target) -> Traffic:
    """Opens connections that send one byte of a request."""
    return _flood(target, [b"G"] * (4_500 // target.share))


def _page(target: Target) -> Traffic:
    """Acts as a page in a browser that fetches again and again."""
    until = time.monotonic() + 10 / target.share
    shares = [Traffic() for _ in range(CONNECTIONS_OF_A_BROWSER)]

    def fetch(traffic: Traffic) -> None:
        client = Client(target.port, traffic)
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
        whole.add(traffic)
    return whole


def _numbers(target: Target) -> Traffic:
    """Sends numbers where they are only stored, and where they are parsed."""
    digits = b"9" * 60_000
    bodies = [b'{"user":"a","n":%b}', b'{"user":"a","n":-%b}', b'{"user":"a","n":%b.5e-9}']
    read = [b'{"user":"a","expire":%b}', b'{"user":"a","expire":"%b"}', b'{"user":"a","ttl":%b}']
    requests = [request("POST", "/guid", body % digits) for body in (*bodies, *read)]
    queries = [
        request("GET", f"/guid?{name}={'9' * 30_000}") for name in ("limit", "expires_before")
    ]
    return ask_all(target.port, (requests + queries) * max(1, 10 // target.share))


def _conditions(target: Target) -> Traffic:
    """Sends as many entity tags as fit, none of which matches."""
    tags = ",".join(f'"{number}"' for number in range(4_500))
    path = f"/guid/{1:032X}"
    asked = request("GET", path, headers=[f"If-None-Match: {tags}"])
    made = request("PUT", path, b'{"user":"a"}')
    return ask_all(target.port, [made, *[asked] * max(1, 100 // target.share)])


def _texts(target: Target) -> Traffic:
    """Sends invalid bodies that are expensive for a JSON parser: escapes, brackets, names."""
    bodies = [
        b'{"user":"' + b"\\u0041" * 10_000 + b'"}',
        b'{"user":"a","a":' + b"[" * 60_000,
        b'{"user":"a","a":"' + b"\\" * 60_001 + b'"}',
        b'{"user":1,' + b",".join(b'"%d":{}' % n for n in range(6_000)) + b"}",
        b"[" + b'{"user":"a"},' * 4_500 + b"1]",
    ]
    return ask_all(
        target.port, [request("POST", "/guid", body) for body in bodies * max(1, 8 // target.share)]
    )


def _crumbs(target: Target) -> Traffic:
    """Sends a body in chunks of one byte: six bytes for each byte."""
    body = b'{"user":"a","b":"%b"}' % (b"b" * (BODY - 100))
    head = request("POST", "/guid", headers=["Transfer-Encoding: chunked"])
    whole = head + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    return ask_all(target.port, [whole] * max(1, 20 // target.share))


def _counts(target: Target) -> Traffic:
    paths = (
        "/stats",
        "/guid?user=nobody",
        "/metrics",
        f"/guid?expires_before={LAST_EXPIRE}&user=a",
    )
    return ask_all(
        target.port, [request("GET", path) for path in paths] * max(1, 5 // target.share)
    )


ATTACKS = (
    Attack(name="nothing", what="Nothing at all, for five seconds", strike=_nothing),
    Attack(
        name="pipelined",
        what="Pipelined GETs, 260 KB on each of 200 connections, answers unread",
        strike=_pipelined,
    ),
    Attack(name="pipelined-hits", what="The same, of a cached record", strike=_pipelined_hits),
    Attack(name="exports", what="200 exports, unread", strike=_exports, records=LARGE),
    Attack(name="files", what="500 of the largest file of `/docs`, unread", strike=_files),
    Attack(name="pages", what="40 of `GET /guid?limit=1000`, unread", strike=_pages, records=LARGE),
    Attack(name="lines", what="1,500 bad lines to `/bulk`, 1,000 times, unread", strike=_lines),
    Attack(
        name="bodies", what="4,000 bodies of 64 KiB, the last byte a while later", strike=_bodies
    ),
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
        what="1,000 short texts for a `pattern` with look-around",
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
