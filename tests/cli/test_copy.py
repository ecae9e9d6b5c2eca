"""The command `guidkeep copy` on real stores: its output and its exit codes."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import pytest

from guidkeep.cli import exits
from guidkeep.cli.main import main
from guidkeep.metrics import Metrics
from guidkeep.record import Query
from guidkeep.stores import copy as copying
from guidkeep.stores import open_store
from tests.engines import SINGLE
from tests.server.processes import serving
from tests.stores.records import guid_of, make_record, newer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path
    from typing import Any

    from guidkeep.record import Record
    from guidkeep.stores import Store
    from tests.engines import Engines

TOMORROW = int(time.time()) + 86_400
METADATA = '{"user": "Zo\\u00eb", "n": 1.0, "text": "\u2713 \'\\" \\\\ ", "deep": [{}, null]}'


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    store = await open_store(url, timeout=30, metrics=Metrics())
    try:
        yield store
    finally:
        await store.close()


async def _fill(url: str, records: Iterable[Record]) -> None:
    async with opened(url) as store:
        await asyncio.gather(*(store.insert(record) for record in records))


async def _contents(url: str) -> list[Record]:
    async with opened(url) as store:
        return await store.page(Query(limit=1000), 0)


def fill(url: str, records: Iterable[Record]) -> None:
    asyncio.run(_fill(url, records))


def contents(url: str) -> list[Record]:
    """Returns all records of the store, up to a thousand."""
    return asyncio.run(_contents(url))


def live(number: int, **fields: Any) -> Record:
    return make_record(number, **{"expire": TOMORROW, "version": number + 1, **fields})


@pytest.fixture
def urls(tmp_path: Path) -> tuple[str, str]:
    return f"sqlite:///{tmp_path / 'from.db'}", f"sqlite:///{tmp_path / 'to.db'}"


def copy(source: str, target: str, *flags: str) -> int:
    return main(["copy", "--from", source, "--to", target, *flags])


def test_it_copies_and_compares_and_says_so(
    urls: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = urls
    fill(source, [live(number) for number in range(20)])
    assert copy(source, target) == 0
    said = capsys.readouterr()
    assert said.out == (
        f"Copied {source} to {target}: 20 created, 0 updated, 0 there already.\n"
        "Compared: 20 equal, 0 different.\n"
    )
    assert said.err == ""
    assert contents(target) == contents(source)


def test_differences_are_listed_and_the_exit_code_is_1(
    urls: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = urls
    fill(source, [live(1), live(2)])
    fill(target, [newer(live(2)), live(3)])
    listed = (
        f"{guid_of(2)} is newer in the target\n"
        f"{guid_of(3)} is in the target only\n"
        "Compared: 1 equal, 2 different.\n"
    )
    assert copy(source, target) == 1
    assert capsys.readouterr().out == (
        f"Copied {source} to {target}: 1 created, 0 updated, 0 there already, "
        f"1 left unchanged in the target.\n{listed}"
    )
    assert copy(source, target, "--verify-only") == 1
    assert capsys.readouterr().out == listed
    assert copy(source, target, "--delete") == 1
    assert "0 updated, 1 deleted, 1 there already, 1 left" in capsys.readouterr().out


def test_verify_only_writes_nothing(
    urls: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = urls
    fill(source, [live(1)])
    assert copy(source, target, "--verify-only") == 1
    assert f"{guid_of(1)} is missing in the target\n" in capsys.readouterr().out
    assert contents(target) == []


@pytest.mark.parametrize("kind", SINGLE)
def test_records_go_to_every_kind_of_store_and_back(
    kind: str, engines: Engines, urls: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A page and a half of records, with text that is easily corrupted."""
    source, back = urls
    there = engines.get(kind).fresh()
    records = [live(number, metadata=METADATA) for number in range(1500)]
    fill(source, [*records, live(2000, expire=1)])
    assert copy(source, there) == 0
    assert "1,500 created" in capsys.readouterr().out
    assert copy(there, back) == 0
    said = capsys.readouterr()
    assert "Compared: 1,500 equal, 0 different." in said.out
    assert "@" not in said.out
    assert contents(back) == records[:1000]


@pytest.mark.parametrize(
    ("urls", "said"),
    [
        (("sqlite:///same.db", "sqlite:///same.db"), "--from and --to are the same store."),
        (("sqlite:///none.db", "sqlite:///to.db"), "--from: There is no file none.db."),
        (("sqlite:///there.db#1", "sqlite:///to.db"), "--from: The URL sqlite://… has a #"),
        (("sqlite:///there.db", "sqlite:///to.db%00"), "--to: The URL sqlite://… has a control"),
        (("oracle://a:secret@b", "sqlite:///to.db"), "--from: No store is named by "),
        (("sqlite:///there.db", "oracle://a:secret@b"), "--to: No store is named by "),
        (("sqlite:///there.db", "sqlite:////"), "--to: 'sqlite:////' names no file"),
    ],
)
def test_what_can_not_be_copied_is_refused_with_a_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    urls: tuple[str, str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    fill("sqlite:///there.db", [live(1)])
    assert copy(*urls) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"guidkeep: {said}")
    assert "secret" not in printed.err
    assert not (tmp_path / "to.db").exists()
    assert not (tmp_path / "none.db").exists()


def test_a_file_that_is_served_is_refused(
    tmp_path: Path, urls: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(tmp_path / "from.db"):
        assert copy(*urls) == 2
    said = capsys.readouterr().err
    assert said.startswith("guidkeep: --from: Another process serves the store ")


def test_a_store_that_fails_ends_it_with_a_sentence(
    urls: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(copying, "RETRIES", 0)
    fill(urls[0], [live(number) for number in range(10)])
    with closing(sqlite3.connect(tmp_path / "from.db", isolation_level=None)) as other:
        other.execute("ALTER TABLE record RENAME COLUMN metadata TO hidden")
        other.execute(
            "ALTER TABLE record ADD COLUMN metadata TEXT AS"
            " (iif(hex(guid) LIKE '%9', json_extract(hidden, 'no path'), hidden))"
        )
    assert copy(*urls) == exits.UNAVAILABLE
    said = capsys.readouterr()
    assert "guidkeep: It stopped before the end: The store can't be read" in said.err
    assert said.err.endswith("Run it again: it resumes there.\n")


def test_an_interrupted_copy_says_how_it_goes_on(
    urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    fill(urls[0], [live(1)])
    with monkeypatch.context() as patch:
        patch.setattr(copying, "copy", interrupted)
        assert copy(*urls) == 130
    assert capsys.readouterr().err == ("guidkeep: Interrupted. Run it again: it resumes there.\n")
    assert copy(*urls) == 0
