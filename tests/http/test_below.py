"""The rooms below `http/` know nothing of HTTP: no header, status or media type, no HTTP library.

The rooms are read from the layers in `pyproject.toml`, so that a new one can't be left out. The
import contracts check their imports. `settings` is left out, because its help speaks of requests
and responses; so is `wire`, which holds the little of HTTP that other rooms need.
"""

from __future__ import annotations

import ast
import re
import tomllib
from typing import TYPE_CHECKING

import pytest

from guidkeep.http.connection.hits import OUT_OF_THE_ORDINARY
from guidkeep.http.responses import JSON, NOT_KEPT
from guidkeep.wire.problems import PROBLEMS
from tests.docs.pages import ROOT, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTRACTS = tomllib.loads(text_of("pyproject.toml"))["tool"]["importlinter"]["contracts"]
LAYERS = next(one["layers"] for one in CONTRACTS if one["type"] == "layers")
BELOW = [
    name
    for layer in LAYERS[LAYERS.index("client | http") + 1 :]
    for name in layer.split(" | ")
    if name not in {"settings", "wire"}
]
SOURCE = ROOT / "src" / "guidkeep"
HEADERS = {
    *OUT_OF_THE_ORDINARY,
    *(name for name, _ in [*JSON, *NOT_KEPT.headers]),
    *(name.encode() for problem in PROBLEMS.values() for name in problem.headers),
    *(
        name.encode()
        for path in (SOURCE / "http").rglob("*.py")
        for name in re.findall(r'\bb"([a-z]+(?:-[a-z]+)+)"', path.read_text())
    ),
    b"etag", b"location", b"sunset", b"vary",
} - {b"allow", b"origin", b"upgrade"}  # they are words as well  # fmt: skip
COMMON_NUMBERS = {500}
"""A round number that may also be a count."""
STATUSES = {200, 201, 204, 304, *(row.status for row in PROBLEMS.values())} - COMMON_NUMBERS
_header = re.compile(
    "|".join(rf"(?<![\w-]){re.escape(name.decode())}(?![\w-])" for name in HEADERS), re.IGNORECASE
)
_word = re.compile(
    r"(?<![a-z])(http_?status|status_code|etag|http_headers?|media_?types?|content_type)(?![a-z])"
)
_text = re.compile(r"\b(?:application|audio|image|multipart|text|video)/[\w.+*-]+|urn:")
"""A media type, and the beginning of a problem's type."""
_prose = re.compile(r"\bHTTP\b|\bRFC 9(?:11[0-4]|457)\b|\bmedia types?\b|\bfinished responses?\b")
"""What comments and docstrings may not speak of either."""


def modules() -> list[Path]:
    return [
        path
        for name in BELOW
        for path in [SOURCE / f"{name}.py", *sorted((SOURCE / name).rglob("*.py"))]
        if path.exists()
    ]


def known(code: str) -> Iterator[str]:
    """Yields the names and numbers of HTTP in code, and its words in prose."""
    yield from _prose.findall(code)
    tree = ast.parse(code)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in prose:
            value = node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
            if isinstance(value, str):
                yield from (found[0] for found in _header.finditer(value))
                yield from _text.findall(value)
            elif value in STATUSES and not isinstance(value, bool):
                yield str(value)
        for name in ("id", "attr", "arg", "name"):
            if _word.search(str(getattr(node, name, ""))):
                yield str(getattr(node, name))


def test_there_are_such_rooms() -> None:
    assert {"registry", "stores", "caches", "record", "errors"} <= set(BELOW)
    assert len(modules()) > 60


def test_none_of_them_may_import_a_library_of_http() -> None:
    [contract] = [one for one in CONTRACTS if "httptools" in one.get("forbidden_modules", ())]
    named = {name.removeprefix("guidkeep.") for name in contract["source_modules"]}
    assert named == {*BELOW, "settings", "wire"}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_below_http_knows_a_header_a_status_or_a_media_type(path: Path) -> None:
    assert not list(known(path.read_text()))


@pytest.mark.parametrize(
    "code",
    [
        'x = "If-Match"',
        'x = b"retry-after: 1"',
        'x = "Content-Type"',
        "x = 404",
        'x = "application/x-ndjson"',
        'x = b"text/plain; charset=utf-8"',
        'x = "urn:guidkeep:problem:"',
        "record.etag",
        "f(status_code=1)",
        "media_type = x",
        '"""The HTTP status of the response."""',
        "x = 1  # RFC 9457",
        '"""Keeps finished responses."""',
    ],
)
def test_what_is_known_would_be_seen(code: str) -> None:
    assert list(known(code))
