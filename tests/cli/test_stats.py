"""`guidkeep stats` and `guidkeep forecast`."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from guidkeep import Client
from guidkeep.client.responses import stats_of
from guidkeep.client.sansio import Response

if TYPE_CHECKING:
    from tests.cli.conftest import Run

    Capture = pytest.CaptureFixture[str]
    Patch = pytest.MonkeyPatch


def figures(**members: Any) -> dict[str, Any]:
    """The response of `GET /stats`, with 90 days from the first of January."""
    day = 86_400
    counts = [0, 8, 4, *[0] * 86, 1]
    begin = 1_767_225_600
    return {
        "as_of": str(begin),
        "live": 1013,
        "forecast": [
            {"date": time.strftime("%Y-%m-%d", time.gmtime(begin + n * day)), "expire": count}
            for n, count in enumerate(counts)
        ],
        "later": 1000,
        "cache": {"url": "memory://", "hits": 3, "misses": 1, "entries": 2, "bytes": 1234},
        "reclaimed": 5,
        "requests": {
            "kinds": [
                {"method": "GET", "route": "/guid", "status": 200, "count": 2, "seconds": 0.002},
                {"method": "PUT", "route": "/guid", "status": 201, "count": 0, "seconds": 0.0},
                {"method": "GET", "route": "/stats", "status": 200, "count": 9, "seconds": 0.9},
            ]
        },
        **members,
    }


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The service's response; a test may change it."""
    document = figures()
    monkeypatch.setattr(
        Client, "stats", lambda _: stats_of(Response(200, {}, json.dumps(document).encode()))
    )
    return document


def test_stats_are_those_of_the_service(run: Run, client: Client, capsys: Capture) -> None:
    assert run("stats") == 0
    told = json.loads(capsys.readouterr().out)
    assert told.keys() == json.loads(client.stats().text).keys()
    assert told["cache"]["url"] == "memory://"


def test_stats_are_a_table(run: Run, capsys: Capture, told: dict[str, Any]) -> None:
    assert run("stats", "--table") == 0
    assert capsys.readouterr().out == (
        "as of             2026-01-01T00:00:00Z\n"
        "live              1,013\n"
        "  expire today    0\n"
        "  in 7 days       12\n"
        "  after 90 days   1,000\n"
        "reclaimed         5\n"
        "cache             memory://\n"
        "  hits            3 of 4 (75.0%)\n"
        "  entries         2\n"
        "  bytes           1,234\n"
        "requests          11\n"
        "  GET /stats 200  9, 100.00 ms each\n"
        "  GET /guid 200   2, 1.00 ms each\n"
    )


def test_stats_of_a_cache_that_does_not_count(
    run: Run, capsys: Capture, told: dict[str, Any]
) -> None:
    told["cache"] = {"url": "redis://r", "hits": 0, "misses": 0, "entries": None, "bytes": None}
    told["requests"] = {}
    assert run("stats", "--table") == 0
    said = capsys.readouterr().out
    assert re.search("^  hits +no look-ups$", said, re.MULTILINE)
    assert re.search("^  entries +not known$", said, re.MULTILINE)


def test_the_forecast_is_drawn(
    run: Run, capsys: Capture, monkeypatch: Patch, told: dict[str, Any]
) -> None:
    monkeypatch.setenv("COLUMNS", "38")
    assert run("forecast", "--table", "--days", "3") == 0
    assert capsys.readouterr().out == (
        "Thu 2026-01-01     0\n"
        f"Fri 2026-01-02     8 {'█' * 16}\n"
        f"Sat 2026-01-03     4 {'█' * 8}\n"
        "later          1,001\n"
    )
    told["forecast"][0]["expire"] = 1
    assert run("forecast", "--table", "--days", "1") == 0
    assert run("forecast", "--table", "--days", "2") == 0
    assert "Thu 2026-01-01     1 ██\n" in capsys.readouterr().out


def test_the_forecast_of_an_empty_registry(run: Run, capsys: Capture, told: dict[str, Any]) -> None:
    for day in told["forecast"]:
        day["expire"] = 0
    told["later"] = 0
    assert run("forecast", "--table", "--days", "1") == 0
    assert capsys.readouterr().out == "Thu 2026-01-01 0\nlater          0\n"


def test_the_forecast_as_json(run: Run, capsys: Capture, told: dict[str, Any]) -> None:
    assert run("forecast", "--days", "2") == 0
    assert json.loads(capsys.readouterr().out) == {
        "forecast": told["forecast"][:2],
        "later": 1005,
    }


@pytest.mark.parametrize("days", ["0", "91", "x", "9999999999999"])
def test_days_are_1_to_90(run: Run, capsys: Capture, days: str) -> None:
    with pytest.raises(SystemExit):
        run("forecast", "--days", days)
    assert "is not a number from 1 to 90" in capsys.readouterr().err
