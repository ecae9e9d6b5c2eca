"""One word for one thing: no text says what the glossary of CONTRIBUTING has another word for."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.docs.pages import PAGES, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class Word(NamedTuple):
    """A word that the texts do not use.

    Attributes:
        pattern: the word, as a regular expression.
        instead: the glossary's words for it.
        elsewhere: places where it means something else, with what it means there.
    """

    pattern: str
    instead: str
    elsewhere: Mapping[str, str] = {}


SERVERS = dict.fromkeys(
    ("src/guidkeep/stores/", "src/guidkeep/caches/redis/", "tests/stores/", "tests/caches/redis/"),
    "still to be renamed",
)
"""Rooms of stores and caches on servers."""

WORDS = (
    Word("time-outs?", "timeout", {**SERVERS, "CHANGELOG.md": "the past"}),
    Word(r"turns? of the (event )?loop", "event-loop iteration", {**SERVERS}),
    Word("(?<!single )flights?", "batch, query"),
    Word(
        "(?<!other way )rounds?(?! trip)",
        "batch",
        {
            **SERVERS,
            "benchmarks/": "a repetition of a measurement",
            "docs/decisions/": "a repetition of a measurement",
            "tests/http/test_below.py": "a round number",
        },
    ),
    Word(
        "figures?",
        "metric, number, result",
        {
            **SERVERS,
            "benchmarks/": "a result with its unit",
            "CONTRIBUTING.md": "a result with its unit",
        },
    ),
    Word(
        "(a|an|the|its|no|each|every|first|last|whose) answers?",
        "response",
        {
            **SERVERS,
            "docs/decisions/": "a decision is the answer to its question",
            "docs/how-it-works.md": "a decision is the answer to its question",
            "CONTRIBUTING.md": "a decision is the answer to its question",
            "CHANGELOG.md": "the past",
            "benchmarks/": "still to be renamed",
        },
    ),
)
TEXTS = [
    *(ROOT / page for page in PAGES),
    *(
        path
        for folder in ("src", "tests", "servers", "benchmarks", "docs")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.name != "test_words.py"
    ),
]


def prose_of(path: Path) -> Iterator[str]:
    """What a page says outside of examples, or a module in its docstrings and comments."""
    text = path.read_text()
    if path.suffix == ".md":
        yield re.sub(r"^```.*?^```$|\]\([^)\n]*\)", "", text, flags=re.MULTILINE | re.DOTALL)
        return
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(docstring))):
                yield docstring
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def uses_of(word: Word) -> Iterator[str]:
    """Where a text uses the word for the glossary's thing."""
    for path in TEXTS:
        place = str(path.relative_to(ROOT))
        if place.startswith(tuple(word.elsewhere)):
            continue
        for prose in prose_of(path):
            without_code = " ".join(re.sub(r"`[^`\n]*`", "", prose).split())
            for found in re.finditer(
                rf"(?i).{{0,40}}\b(?:{word.pattern})\b.{{0,20}}", without_code
            ):
                yield f"{place}: {found[0]}"


@pytest.mark.parametrize("word", WORDS, ids=lambda word: word.instead)
def test_no_text_uses_another_word_than_the_glossary(word: Word) -> None:
    assert list(uses_of(word)) == [], f"write instead: {word.instead}"
