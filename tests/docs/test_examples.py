"""The runner of the docs' examples: it runs them, and it can fail."""

from __future__ import annotations

import re
import shutil
import subprocess
import textwrap
from typing import TYPE_CHECKING

import pytest
from sybil import Document

from conftest import SYBIL
from tests.docs.examples import (
    DocumentedServer,
    Step,
    agrees,
    parse_console,
    stand_in_for_curl,
)
from tests.docs.pages import PAGES, ROOT, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RUN = {"console", "json", "python"}
NOT_RUN = {"sh", "ini", "nginx", "promql", "py", "text", "toml"}
"""Commands that set things up, other programs' settings, and signatures."""

CREATE = "http://127.0.0.1:8080/guid/9094E4C980C74043A4B586B420E69DDF"


def evaluated(text: str, **namespace: object) -> None:
    """Runs the examples of a page with that text."""
    document = Document(textwrap.dedent(text), "page.md")
    for parser in SYBIL.parsers:
        for region in parser(document):
            document.add(region)
    document.namespace.update(namespace)
    for example in document.examples():
        example.evaluate()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_no_example_escapes(page: Path) -> None:
    fences = re.findall(r"(?ms)^ *```(\S*)\n.*?^ *```$", text_of(page))
    assert set(fences) <= RUN | NOT_RUN
    if SYBIL.should_parse(ROOT / page):
        found = list(SYBIL.parse(ROOT / page).examples())
        assert len(found) == sum(language in RUN for language in fences)


@pytest.mark.parametrize(
    "text",
    [
        """\
        ```console
        $ curl http://127.0.0.1:8080/livez
        {"status": "ill", "version": "..."}
        ```
        """,
        """\
        ```console
        $ exit 1
        ```
        """,
        """\
        ```json
        {"expire": "1427822745",}
        ```
        """,
        """\
        ```python
        assert 1 == 2
        ```
        """,
    ],
    ids=["console", "shell", "json", "python"],
)
def test_a_wrong_example_fails(server: DocumentedServer, text: str) -> None:
    with pytest.raises((AssertionError, ValueError)):
        evaluated(text, server=server)


def test_a_page_begins_without_records_and_its_commands_share_a_shell(
    server: DocumentedServer,
) -> None:
    page = f"""\
        ```console
        $ curl 'http://127.0.0.1:8080/guid'
        {{"guids":[],"next":null}}
        $ body='{{"user": "Ann"}}'
        $ curl {CREATE} \\
            -d "$body"
        {{"guid":"...","expire":"...","user":"Ann"}}
        ```
        """
    for _ in range(2):
        evaluated(page, server=server)


def test_a_console_block_is_commands_and_what_they_print() -> None:
    assert parse_console("$ one \\\n  more\nprinted\n\nthis\n$ two\n$ three\n") == [
        Step("one \\\n  more", "printed\n\nthis\n"),
        Step("two", ""),
        Step("three", ""),
    ]


@pytest.mark.parametrize(
    ("wanted", "printed", "same"),
    [
        ("a ... c", "a b c", True),
        ("a\n...\nc", "a\nb\nb\nc", True),
        ("a", "a b", False),
        ("", "a", False),
    ],
)
def test_three_dots_stand_for_anything(wanted: str, printed: str, same: bool) -> None:
    assert agrees(wanted, printed) is same


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl to compare with")
@pytest.mark.parametrize(
    "arguments",
    [
        ["http://127.0.0.1:8080/livez"],
        ["-i", "http://127.0.0.1:8080/nowhere?a=b"],
        ["-sI", "http://127.0.0.1:8080/docs"],
        ["-X", "PUT", CREATE, "-d", '{"user": "Ann", "expire": 4102444800}'],
        ["-i", CREATE, "-H", "If-None-Match: *", "-d", '{"user": "Ann"}'],
        ["-i", "-X", "DELETE", CREATE, "-H", 'If-Match: "1"'],
        ["-i", "http://127.0.0.1:8080/guid", "-H", "Origin: https://elsewhere.example", "-d", "{}"],
    ],
    ids=" ".join,
)
def test_the_stand_in_prints_what_curl_prints(
    server: DocumentedServer, tmp_path: Path, arguments: list[str]
) -> None:
    def printed(curl: str, environment: Mapping[str, str] | None = None) -> str:
        command = [curl, *(word.replace("127.0.0.1:8080", server.address) for word in arguments)]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, check=True, env=environment
        )
        return re.sub(r"(?m)^date: .*$", "date", done.stdout)

    assert printed(str(stand_in_for_curl(tmp_path) / "curl")) == printed("curl")
