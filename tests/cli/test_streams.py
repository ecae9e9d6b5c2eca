"""Standard streams that are closed, not UTF-8, or no longer read."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep.cli import exits
from guidkeep.cli.main import main

if TYPE_CHECKING:
    from guidkeep import Client
    from tests.cli.conftest import Run

    Capture = pytest.CaptureFixture[str]
    Patch = pytest.MonkeyPatch


@pytest.mark.parametrize(
    ("name", "words", "code"),
    [
        ("stdin", ["create"], exits.USAGE),
        ("stdin", ["import", "-"], exits.FAILED),
        ("stdout", ["list"], 0),
        ("stdout", ["export"], 0),
        ("stderr", ["get", "x"], exits.REFUSED),
    ],
)
def test_a_stream_that_is_closed_is_the_null_device(
    run: Run, monkeypatch: Patch, name: str, words: list[str], code: int
) -> None:
    monkeypatch.setattr(sys, name, None)
    assert run(*words) == code
    with getattr(sys, name) as opened:
        assert opened.name == os.devnull


def test_json_is_utf_8_and_a_table_has_escapes_where_the_terminal_can_not_show_a_letter(
    run: Run, client: Client, monkeypatch: Patch, user: str
) -> None:
    client.create({"user": user, "name": "Ärger"})
    for form, shown in (("--json", b'"name":"\xc3\x84rger"'), ("--table", rb"name=\xc4rger")):
        output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        monkeypatch.setattr(sys, "stdout", output)
        assert run("list", "--user", user, form) == 0
        assert shown in output.buffer.getvalue()


def test_a_copy_of_which_nobody_reads_what_it_says_ends(
    capsys: Capture, monkeypatch: Patch, tmp_path: Any
) -> None:
    (tmp_path / "from.db").touch(0o600)
    reading, writing = os.pipe()
    os.close(reading)
    words = ["copy", "--from", f"sqlite:///{tmp_path}/from.db", "--to", f"sqlite:///{tmp_path}/to"]
    with os.fdopen(writing, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        assert main([*words, "--verify-only"]) == exits.BROKEN_PIPE
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("proxy", ["foo://bar", "socks5://there"])
@pytest.mark.parametrize("words", [["list"], ["import", "-"]])
def test_a_proxy_that_can_not_be_used_is_told(
    run: Run, capsys: Capture, monkeypatch: Patch, proxy: str, words: list[str]
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    assert run(*words, "--url", "http://service.example") == exits.USAGE
    said = capsys.readouterr().err
    assert said.startswith("guidkeep: The proxy of the environment can't be used: ")
    assert said.count("\n") == 1
