"""One word for one thing: no text says what the glossary of CONTRIBUTING has another word for."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from typing import TYPE_CHECKING, NamedTuple

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


WORDS = (
    Word("time-outs?", "timeout", {"CHANGELOG.md": "the past"}),
    Word("fail-overs?", "failover"),
    Word("(answered|confirmed) writes?", "acknowledged write"),
    Word(r"turns? of the (event )?loop", "event-loop iteration"),
    Word("(?<!single )flights?", "batch, query"),
    Word(
        "(?<!other way )rounds?(?! trip)",
        "batch",
        {
            "benchmarks/": "a repetition of a measurement",
            "docs/decisions/": "a repetition of a measurement",
            "tests/http/test_below.py": "a round number",
        },
    ),
    Word(
        "figures?",
        "metric, number, result",
        {
            "benchmarks/": "a result with its unit",
            "CONTRIBUTING.md": "a result with its unit",
        },
    ),
    Word(
        "(a|an|the|its|no|each|every|first|last|whose) answers?",
        "response",
        {
            "docs/decisions/": "a decision is the answer to its question",
            "docs/how-it-works.md": "a decision is the answer to its question",
            "CONTRIBUTING.md": "a decision is the answer to its question",
            "CHANGELOG.md": "the past",
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
    ROOT / "src" / "guidkeep" / "http" / "openapi.json",
]


def prose_of(path: Path) -> Iterator[str]:
    """The prose of a page, of a module's docstrings and comments, or of a document's texts."""
    text = path.read_text()
    if path.suffix == ".json":
        yield from re.findall(r'"(?:description|summary)": "((?:[^"\\]|\\.)*)"', text)
        return
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


ANY = re.compile("|".join(rf"\b(?:{word.pattern})\b" for word in WORDS), re.IGNORECASE)


def read(text: str) -> str:
    """The text on one line, without code: what is between backticks, and comment signs."""
    return " ".join(re.sub(r"`[^`\n]*`|#", "", text).split())


def test_no_text_uses_another_word_than_the_glossary() -> None:
    found = []
    for path in TEXTS:
        place = str(path.relative_to(ROOT))
        if not ANY.search(read(path.read_text())):
            continue  # to parse all takes seconds
        prose = " ".join(map(read, prose_of(path)))
        for word in WORDS:
            if not place.startswith(tuple(word.elsewhere)):
                for use in re.finditer(rf"(?i)\b(?:{word.pattern})\b", prose):
                    around = prose[max(use.start() - 40, 0) : use.end() + 20]
                    found.append(f"{place}: {around!r}: write {word.instead}")
    assert found == []
