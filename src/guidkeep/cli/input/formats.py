"""Detects the format of a file from its beginning.

A file that does not contain records is refused, with advice, before anything is written. A CSV may
have other separators than commas: its first line shows which.
"""

from __future__ import annotations

import codecs
import re
from json import JSONDecodeError
from typing import TYPE_CHECKING, Literal

from guidkeep.errors import StartupError
from guidkeep.jsontext import lenient

if TYPE_CHECKING:
    Form = Literal["ndjson", "json", "csv"]

_RIGHT = "an import reads NDJSON, one JSON array, or CSV, as UTF-8 text"
_SAVE = "save its sheet as CSV (UTF-8)"
_UNPACK = "unpack it first"
_ZIP = b"PK\x03\x04"
_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x05\x06", "an empty ZIP archive", _RIGHT),
    (b"\x1f\x8b", "compressed with gzip", f"{_UNPACK}, as in gunzip -c FILE | guidkeep import -"),
    (b"BZh", "compressed with bzip2", _UNPACK),
    (b"\xfd7zXZ\0", "compressed with xz", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", _UNPACK),
    (b"\x04\x22\x4d\x18", "compressed with lz4", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel or Word document", _SAVE),
    (b"SQLite format 3\0", "an SQLite database", "guidkeep copy --from sqlite:///FILE reads it"),
    (b"%PDF-", "a PDF document", _RIGHT),
    (b"{\\rtf", "an RTF document", _RIGHT),
    (b"PAR1", "a Parquet file", _RIGHT),
    (b"Obj\x01", "an Avro file", _RIGHT),
    (b"PGDMP", "a dump of PostgreSQL's", _RIGHT),
    (b"REDIS", "a dump of Redis'", _RIGHT),
    (b"\x89PNG", "a picture", _RIGHT),
    (b"\xff\xd8\xff", "a picture", _RIGHT),
    (b"\x7fELF", "a program", _RIGHT),
)
_DOCUMENTS = (
    ({"guids", "next"}, "a page of the list of GUIDs", "use the output of `guidkeep export`"),
    (
        {"line", "status", "detail", "record"},
        "an import's file of refused records",
        "correct the output of `jq -r .record FILE` and import that",
    ),
    ({"type", "title", "status", "detail"}, "a service's error", "a download may have failed"),
)
"""Other JSON objects, by their members."""
_UTF_16 = "text in UTF-16"
_MARKS = (
    (codecs.BOM_UTF32_LE, "text in UTF-32"),
    (codecs.BOM_UTF32_BE, "text in UTF-32"),
    (codecs.BOM_UTF16_LE, _UTF_16),
    (codecs.BOM_UTF16_BE, _UTF_16),
)
_AS_UTF_8 = 'save it as UTF-8 (Excel: "CSV UTF-8")'
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b")) + b"\x7f"
_MOST_CONTROLS = 0.05
"""A file with a larger share of control characters is not text."""
_html = re.compile(rb"<(!doctype\s+html|html|head|body|title)\b", re.IGNORECASE).match
_goes_on = re.compile(rb"[{\[,:]\s*$").search


def form_of(begins: bytes) -> Form:
    """Returns the format, from the first character."""
    first = begins.lstrip()[:1]
    return "json" if first == b"[" else "ndjson" if first in (b"{", b"") else "csv"


def require_records(begins: bytes) -> None:
    """Refuses a file that does not contain records.

    Args:
        begins: its first bytes, at least one line.

    Raises:
        StartupError: the file is something else; the message names its kind and gives advice.
    """
    kind, right = _binary(begins) or _markup(begins) or _document(begins) or ("", "")
    if kind:
        raise StartupError(f"The file is {kind}: {right}. Nothing was written.")


def _binary(begins: bytes) -> tuple[str, str] | None:
    """Returns the kind of a file that is not UTF-8 text, and advice; None for UTF-8 text."""
    if begins.startswith(_ZIP):
        if b"mimetypeapplication/vnd.oasis" in begins[:200]:
            return "a LibreOffice document", _SAVE
        is_excel = b"[Content_Types].xml" in begins or b"xl/" in begins
        return ("an Excel workbook (.xlsx)", _SAVE) if is_excel else ("a ZIP archive", _UNPACK)
    for signature, kind, right in _SIGNATURES:
        if begins.startswith(signature):
            return kind, right
    for mark, kind in _MARKS:
        if begins.startswith(mark):
            return kind, _AS_UTF_8
    if b"\0" in begins:
        halves = begins[::2].count(0), begins[1::2].count(0)
        is_wide = max(halves) > len(begins) / 5 and min(halves) < max(halves) / 10
        return (_UTF_16, _AS_UTF_8) if is_wide else ("not text", _RIGHT)
    controls = len(begins) - len(begins.translate(None, _CONTROLS))
    return ("not text", _RIGHT) if controls > _MOST_CONTROLS * len(begins) else None


def _markup(begins: bytes) -> tuple[str, str] | None:
    text = begins.removeprefix(codecs.BOM_UTF8).lstrip()
    if not text.startswith(b"<"):
        return None
    if _html(text):
        title = re.search(rb"<title[^>]*>\s*([^<]{1,80})", text, re.IGNORECASE)
        title_shown = f" ({title[1].decode(errors='replace').strip()!r})" if title else ""
        return f"an HTML page{title_shown}", f"a download may have failed; {_RIGHT}"
    return "XML", _RIGHT


def _document(begins: bytes) -> tuple[str, str] | None:
    """Returns the kind of a JSON object that is not a line of NDJSON, and advice."""
    text = begins.removeprefix(codecs.BOM_UTF8).lstrip()
    if not text.startswith(b"{"):
        return None
    first = text.partition(b"\n")[0]
    try:
        members, _ = lenient.raw_decode(first.decode())
    except (ValueError, RecursionError):
        is_one = _spans_lines(text) or _goes_on(first.rstrip())
        return ("one JSON object on several lines", "put each record on a line") if is_one else None
    for names, kind, right in _DOCUMENTS:
        if names <= members.keys() and "guid" not in members:
            return kind, right
    return None


def _spans_lines(text: bytes) -> bool:
    whole = text.decode(errors="replace")
    try:
        _, end = lenient.raw_decode(whole)
    except (JSONDecodeError, RecursionError):
        return False
    return "\n" in whole[:end]
