"""The settings: one table from which flags, variables, help and docs are made."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from guidkeep import settings
from guidkeep.cli.main import main
from guidkeep.errors import StartupError
from guidkeep.settings import ROWS, Settings, flag, load, variable
from guidkeep.wire.origins import read_hosts, read_origins

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HUGE = "9" * 5000


class Example(NamedTuple):
    """Values that a reader takes, each as it is written and as it is read, and some it refuses."""

    one: tuple[str, object]
    other: tuple[str, object]
    wrong: tuple[str, ...]


READERS: Mapping[Callable[[str], Any], Example] = {
    settings._text: Example(("sqlite:////a.db", "sqlite:////a.db"), ("::1", "::1"), ("", "  ")),
    settings._port: Example(
        ("0", 0), ("65535", 65_535), ("", "-1", "65536", "http", "80.0", "٨٠", HUGE)
    ),
    settings._count: Example(
        ("7", 7), ("100000", 100_000), ("", "0", "-5", "1.5", "many", "1k", HUGE)
    ),
    settings._count_or_none: Example(("0", 0), ("8", 8), ("", "-1", "1.5", "off", HUGE)),
    settings._workers: Example(("2", 2), ("256", 256), ("", "0", "-1", "1.5", "auto", "257", HUGE)),
    settings.positive_duration: Example(
        ("500ms", 0.5),
        (" 3 S ", 3.0),
        ("", "0", "0s", "-1s", "soon", "1y", "1 d 2 h", "1e3s", "inf", HUGE),
    ),
    settings._lifetime: Example(
        ("1s", 1.0), ("1.5d", 129_600.0), ("", "0.9s", "999ms", "0", "never", HUGE + "d")
    ),
    settings._positive_size: Example(
        ("8MiB", 2**23),
        ("16 mib", 2**24),
        ("", "0", "0.5", "-1", "64KB", "1TiB", "much", HUGE + "GiB"),
    ),
    settings._path: Example(("a.json", Path("a.json")), ("", None), ()),
    settings._switch: Example(("on", True), ("NO", False), ("maybe", "2", "oui")),
    read_hosts: Example(
        ("A.example, ::1", ("a.example", "::1")),
        ("", ()),
        ("*", "a.example:80", "https://a.example", "a/b"),
    ),
    read_origins: Example(
        (
            "https://a.example, http://localhost:3000",
            ("https://a.example", "http://localhost:3000"),
        ),
        ("", ()),
        ("*", "a.example", "https://a.example/", "ftp://a.example", "https://", "null"),
    ),
}
"""Test values by the parser of a setting. A setting with a new parser needs a row here."""


def example_of(row: dataclasses.Field[Any]) -> Example:
    """Values for a setting; one of some words takes what its placeholder names."""
    words = row.metadata["metavar"].split("|")
    if row.metadata["parse"] in READERS:
        return READERS[row.metadata["parse"]]
    return Example((words[0], words[0]), (words[1], words[1]), ("", "xml", words[0].upper()))


EACH = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def test_without_flags_and_variables_all_is_as_the_table_says() -> None:
    assert load({}, {}) == Settings()
    for row in ROWS:
        assert getattr(Settings(), row.name) == row.metadata["parse"](row.metadata["default"])


def test_the_four_defaults_of_the_contract() -> None:
    chosen = Settings()
    assert (chosen.host, chosen.port) == ("127.0.0.1", 8080)
    assert (chosen.store, chosen.cache) == ("sqlite:///guidkeep.db", "memory://")
    assert chosen.lifetime == 30 * 86_400
    assert chosen.max_body == 64 * 1024
    assert chosen.cache_max_age == 60


@EACH
def test_a_flag_comes_before_its_variable_and_that_before_the_default(
    row: dataclasses.Field[Any],
) -> None:
    name = row.name
    (one, parsed_one), (other, parsed_other), _ = example_of(row)
    assert getattr(load({name: one}, {}), name) == parsed_one
    assert getattr(load({name: None}, {variable(name): other}), name) == parsed_other
    assert getattr(load({name: one}, {variable(name): other}), name) == parsed_one
    assert getattr(load({name: other}, {variable(name): one}), name) == parsed_other


@EACH
def test_one_setting_changes_no_other(row: dataclasses.Field[Any]) -> None:
    chosen = dataclasses.asdict(load({row.name: example_of(row).one[0]}, {}))
    rest = dataclasses.asdict(Settings())
    assert chosen | {row.name: None} == rest | {row.name: None}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(row.name, value, id=f"{row.name}={value[:20]}")
        for row in ROWS
        for value in example_of(row).wrong
    ],
)
def test_a_wrong_value_is_refused_with_a_sentence_that_names_where_it_stands(
    name: str, value: str
) -> None:
    for flags, environment, source in (
        ({name: value}, {}, flag(name)),
        ({}, {variable(name): value}, variable(name)),
    ):
        with pytest.raises(StartupError) as caught:
            load(flags, environment)
        said = str(caught.value)
        assert said.startswith(f"{source}: ")
        assert said.endswith(".")
        assert len(said) < 300


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("port", "http", "from 0 to 65535"),
        ("cache_max_age", "soon", "500ms, 5s, 1m, 12h or 30d"),
        ("max_body", "64KB", "65536, 64KiB, 256MiB or 1GiB"),
        ("max_pending", "all", "above 0"),
        ("workers", "257", "about one per core"),
        ("allow_origin", "*", "https://app.example.com"),
        ("allow_host", "*", "guids.example.com"),
        ("log_format", "xml", "auto, text, json"),
        ("access_log", "maybe", "on nor off"),
    ],
)
def test_the_sentence_says_what_would_be_right(name: str, value: str, right: str) -> None:
    with pytest.raises(StartupError, match=right):
        load({name: value}, {})


def test_less_memory_than_one_request_takes_is_refused() -> None:
    wanted = {"max_body": "1MiB", "max_memory": "2MiB"}
    with pytest.raises(StartupError, match=r"^--max-memory: .* 7348224 bytes; .*\.$"):
        load(wanted, {})
    assert load(wanted | {"max_memory": "7348224"}, {}).max_memory == 7_348_224


@pytest.mark.parametrize("word", ["1", "true", "YES", "On"])
def test_a_switch_knows_the_usual_words_for_on(word: str) -> None:
    assert load({"access_log": word}, {}).access_log is True


def test_the_command_refuses_a_wrong_value_with_a_sentence_and_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["serve", "--port", "http"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == ("guidkeep: --port: 'http' is not a port; write a number from 0 to 65535.\n")
    monkeypatch.setenv("GUIDKEEP_LIFETIME", "never")
    assert main(["serve"]) == 2
    assert capsys.readouterr().err.startswith("guidkeep: GUIDKEEP_LIFETIME: 'never' is not")


@pytest.mark.parametrize("arguments", [["serve", "--no-such"], [], ["keep"], ["serve", "--por=1"]])
def test_the_command_refuses_what_it_does_not_know(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: guidkeep" in capsys.readouterr().err


def test_help_lists_every_setting_with_its_variable_default_and_meaning(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "500")  # no word is divided
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--help"])
    assert ended.value.code == 0
    told = " ".join(capsys.readouterr().out.split())
    for row in ROWS:
        default = row.metadata["default"] or "none"
        line = rf"{flag(row.name)} \S+ {re.escape(row.metadata['help'])} \[{re.escape(default)}; "
        assert re.search(line + variable(row.name) + r"\]", told), row.name


def test_every_setting_is_documented_and_every_sentence_ends() -> None:
    for row in ROWS:
        assert row.metadata["help"][0].isupper() or row.name == "log_format"
        assert row.metadata["help"].endswith(".")
        assert row.metadata["metavar"]
