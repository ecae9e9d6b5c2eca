"""The settings: one table from which flags, variables, help and docs are made."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from guidkeep.cli.main import main
from guidkeep.errors import StartupError
from guidkeep.settings import ROWS, Settings, flag, load, variable

VALUES: dict[str, tuple[str, object, str, object]] = {
    # name: a value as one writes it, what it is, another, what that is
    "host": ("0.0.0.0", "0.0.0.0", "::1", "::1"),  # noqa: S104 - a value, not served
    "port": ("0", 0, "65535", 65_535),
    "workers": ("2", 2, "256", 256),
    "store": ("sqlite:////a.db", "sqlite:////a.db", "sqlite:///b.db", "sqlite:///b.db"),
    "cache": ("none://", "none://", "memory://?max_size=1MiB", "memory://?max_size=1MiB"),
    "cache_max_age": ("500ms", 0.5, "1m", 60.0),
    "cache_timeout": ("10ms", 0.01, "1s", 1.0),
    "cache_write_timeout": ("10ms", 0.01, "2s", 2.0),
    "lifetime": ("1s", 1.0, "1.5d", 129_600.0),
    "metadata_schema": ("a.json", Path("a.json"), "", None),
    "max_body": ("1", 1, "1.5KiB", 1536),
    "max_headers": ("8kib", 8192, "1 MiB", 2**20),
    "max_connections": ("1", 1, "100000", 100_000),
    "max_connections_per_client": ("0", 0, "8", 8),
    "max_pending": ("7", 7, "8", 8),
    "max_streams": ("1", 1, "128", 128),
    "max_memory": ("8MiB", 2**23, "2GiB", 2**31),
    "request_timeout": ("5", 5.0, "2h", 7200.0),
    "idle_timeout": ("1S", 1.0, " 3 s ", 3.0),
    "write_timeout": ("1s", 1.0, "2s", 2.0),
    "store_timeout": ("1s", 1.0, "2s", 2.0),
    "drain_timeout": ("1s", 1.0, "2s", 2.0),
    "sweep_interval": ("1s", 1.0, "2s", 2.0),
    "sweep_margin": ("1s", 1.0, "1d", 86_400.0),
    "sweep_batch": ("1", 1, "1000", 1000),
    "allow_host": ("A.example, ::1", ("a.example", "::1"), "", ()),
    "allow_origin": (
        "https://a.example, http://localhost:3000",
        ("https://a.example", "http://localhost:3000"),
        "",
        (),
    ),
    "access_log": ("on", True, "NO", False),
    "log_format": ("json", "json", "text", "text"),
    "log_level": ("debug", "debug", "error", "error"),
    "log_guids": ("full", "full", "off", "off"),
}

HUGE = "9" * 5000
WRONG = {
    "host": ["", "  "],
    "port": ["", "-1", "65536", "http", "80.0", "٨٠", HUGE],
    "workers": ["", "0", "-1", "1.5", "auto", "257", HUGE],
    "store": ["", " "],
    "cache": ["", " "],
    "cache_max_age": ["", "0", "0s", "-1s", "soon", "1y", "1 d 2 h", "1e3s", "inf", HUGE],
    "cache_timeout": ["", "0", "0s", "never", HUGE],
    "cache_write_timeout": ["", "0", "0s", "never", HUGE],
    "lifetime": ["", "0.9s", "999ms", "0", "never", HUGE + "d"],
    "max_body": ["", "0", "0.5", "-1", "64KB", "1TiB", "much", HUGE + "GiB"],
    "max_headers": ["0", "big"],
    "max_connections": ["", "0", "-5", "1.5", "many", "1k", HUGE],
    "max_connections_per_client": ["", "-1", "1.5", "off", HUGE],
    "max_pending": ["0", "all"],
    "max_streams": ["0", "all"],
    "max_memory": ["", "0", "all", HUGE],
    "request_timeout": ["0", "x"],
    "idle_timeout": ["0", "x"],
    "write_timeout": ["0", "x"],
    "store_timeout": ["0", "x"],
    "drain_timeout": ["0", "x"],
    "sweep_interval": ["0", "x"],
    "sweep_margin": ["0", "x"],
    "sweep_batch": ["0", "x"],
    "allow_host": ["*", "a.example:80", "https://a.example", "a/b"],
    "allow_origin": ["*", "a.example", "https://a.example/", "ftp://a.example", "https://", "null"],
    "access_log": ["maybe", "2", "oui"],
    "log_format": ["", "xml", "JSON"],
    "log_level": ["", "trace", "INFO"],
    "log_guids": ["", "none", "8"],
}


def test_every_setting_has_values_here() -> None:
    assert VALUES.keys() == {row.name for row in ROWS}
    assert WRONG.keys() | {"metadata_schema"} == VALUES.keys()


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


@pytest.mark.parametrize("name", VALUES)
def test_a_flag_comes_before_its_variable_and_that_before_the_default(name: str) -> None:
    one, parsed_one, other, parsed_other = VALUES[name]
    assert getattr(load({name: one}, {}), name) == parsed_one
    assert getattr(load({name: None}, {variable(name): other}), name) == parsed_other
    assert getattr(load({name: one}, {variable(name): other}), name) == parsed_one
    assert getattr(load({name: other}, {variable(name): one}), name) == parsed_other


@pytest.mark.parametrize("name", VALUES)
def test_one_setting_changes_no_other(name: str) -> None:
    chosen = load({name: VALUES[name][0]}, {})
    rest = {row.name: getattr(Settings(), row.name) for row in ROWS if row.name != name}
    assert {key: value for key, value in dataclasses.asdict(chosen).items() if key != name} == rest


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(name, value, id=f"{name}={value[:20]}")
        for name, values in WRONG.items()
        for value in values
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
        ("workers", "257", "a worker a core"),
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
