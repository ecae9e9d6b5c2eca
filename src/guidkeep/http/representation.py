"""The rendered HTTP response of a record, with which a hit is served; and its parser.

Caches are opened with this module as their `Form`, and know nothing of HTTP. The rendered response
has the parts that differ between records; the status line and the common headers come before it:

    content-length: 88
    etag: "1425144345000000"
    sunset: Mon, 30 Mar 2015 17:25:45 GMT

    {"guid":"9094E4C980C74043A4B586B420E69DDF","expire":"1427736345","user":"Cylance, Inc."}

It contains all data of the record, so nothing else is kept beside it.
"""

from __future__ import annotations

import re
from email.utils import formatdate
from functools import lru_cache
from typing import TYPE_CHECKING

from guidkeep.record import Record

if TYPE_CHECKING:
    from guidkeep.caches.entries import Entry

_parts = re.compile(
    rb'.*?\r\netag: "(\d+)".*?\r\n\r\n\{"guid":"(.{32})","expire":"(\d+)"(.*)', re.DOTALL
).fullmatch


def etag_of(record: Record) -> str:
    """Returns the record's strong entity tag (RFC 9110 §8.8.3), in quotes: its version."""
    return f'"{record.version}"'


def validators(record: Record) -> list[tuple[bytes, bytes]]:
    """Returns the headers with the record's version and the end of its validity."""
    return [
        (b"etag", etag_of(record).encode()),
        (b"sunset", _http_date(record.expire)),  # RFC 8594
    ]


def render(entry: Entry) -> bytes:
    """Returns the rendered response."""
    body, expire, version = entry
    return b'content-length: %d\r\netag: "%d"\r\nsunset: %b\r\n\r\n%b' % (
        len(body), version, _http_date(expire), body,
    )  # fmt: skip


_MINUTES = [b" %02d:%02d" % divmod(minute, 60) for minute in range(24 * 60)]
_SECONDS = [b":%02d GMT" % second for second in range(60)]


def _http_date(seconds: int) -> bytes:
    """Returns the instant as an HTTP date, as in `Mon, 30 Mar 2015 17:25:45 GMT`."""
    day, second = divmod(seconds, 86_400)
    minute, second = divmod(second, 60)
    return _http_day(day) + _MINUTES[minute] + _SECONDS[second]


@lru_cache(maxsize=1024)  # the library's function would double the time of a response
def _http_day(day: int) -> bytes:
    date, _, _ = formatdate(day * 86_400, usegmt=True).rpartition(" 00:00:00")
    return date.encode()


def parse(response: bytes) -> Record:
    """Returns the record of a rendered response: `parse(render(entry_of(record))) == record`."""
    found = _parts(response)
    if not found:
        raise ValueError("not a response that render() made")
    version, guid, expire, rest = found.groups()
    metadata = "{" + rest.decode().removeprefix(",")
    return Record(guid.decode(), int(expire), int(version), metadata)
