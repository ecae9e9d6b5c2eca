"""Countdowns: by the clock of the service, to the second."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.console.browser import NOVEMBER_2026
from tests.support import GUID

if TYPE_CHECKING:
    from tests.console.browser import Console, Service
    from tests.console.conftest import OpenConsole

OTHER = "0" * 32
DAY = 86_400


@pytest.mark.parametrize(
    ("left", "shown", "later"),
    [
        (59, "00:59", "00:58"),
        (3600, "01:00:00", "59:59"),
        (DAY, "1 d 00 h", "23:59:59"),
        (3 * DAY + 3600, "3 d 01 h", "3 d 00 h"),
        (365 * DAY, "1 y 0 d", "364 d 23 h"),
        (800 * DAY, "2 y 70 d", "2 y 69 d"),
    ],
)
def test_a_countdown_says_what_is_left_and_changes_at_the_second(
    service: Service, console: Console, left: int, shown: str, later: str
) -> None:
    service.put(GUID, expire=NOVEMBER_2026 + left)
    console.open("/records")
    countdown = console.page.locator("tbody time")
    expect(countdown).to_have_text(shown)
    console.advance(1)
    expect(countdown).to_have_text(later)


def test_a_line_fades_in_the_second_in_which_its_record_expires(
    service: Service, console: Console
) -> None:
    service.put(GUID, expire=NOVEMBER_2026 + 3)
    service.put(OTHER, expire=NOVEMBER_2026 + 4)
    console.page.clock.run_for(600)
    console.open("/records")
    other, line = console.page.locator("tbody tr").all()
    expect(line.locator("time")).to_have_text("00:03")  # a second that has begun counts
    console.page.clock.run_for(2399)
    expect(line.locator("time")).to_have_text("00:01")
    expect(line).not_to_have_class("expired")
    console.page.clock.run_for(1)
    expect(line.locator("time")).to_have_text("expired")
    expect(line).to_have_class("expired")
    expect(line.locator("td.user")).to_have_css("text-decoration-line", "line-through")
    expect(other).not_to_have_class("expired")
    expect(console.page.locator("#announcer")).to_have_text(f"{GUID} has expired.")
    service.advance(3)
    console.page.get_by_role("button", name="Read again").click()
    expect(console.page.locator("tbody tr")).to_have_count(1)


def test_a_record_that_one_looks_at_expires_before_ones_eyes(
    service: Service, console: Console
) -> None:
    service.put(GUID, expire=NOVEMBER_2026 + DAY + 2)
    console.open(f"/record/{GUID}")
    timer = console.page.get_by_role("timer")
    expect(timer).to_have_text("1 d 00:00:02")
    console.advance(3)
    expect(timer).to_have_text("23:59:59")
    console.advance(DAY - 1)
    expect(timer).to_have_text("expired")
    expect(console.page.get_by_role("link", name="Edit")).to_be_hidden()
    expect(console.page.get_by_role("button", name="Delete")).to_be_hidden()
    console.page.get_by_role("link", name="Create it again").click()
    expect(console.page.get_by_label("GUID", exact=True)).to_have_value(GUID)


@pytest.mark.parametrize("ahead", [-7200, -45, 45, 7200, 400 * DAY])
def test_the_clock_of_the_service_counts_and_not_the_browsers(
    service: Service, open_console: OpenConsole, ahead: int
) -> None:
    service.put(GUID, expire=NOVEMBER_2026 + 30)
    console = open_console("/records", ahead=ahead)
    countdown = console.page.locator("tbody time")
    expect(countdown).to_have_text("00:29")  # precise to about a second: see `clock.js`
    console.advance(31)
    expect(countdown).to_have_text("expired")


def test_a_clock_that_is_right_is_left_alone(service: Service, console: Console) -> None:
    """Dates are cut to the second; that is no reason to be a second late."""
    console.open("/")
    console.page.clock.run_for(900)
    service.put(GUID, expire=NOVEMBER_2026 + 30)
    lead = console.page.evaluate(
        """async () => {
            const { ask } = await import("/console/api.js");
            await ask("GET", "/livez");
            return (await import("/console/clock.js")).lead();
        }"""
    )
    assert lead == 0


def test_a_countdown_follows_when_the_clock_of_the_service_is_set(
    service: Service, console: Console
) -> None:
    service.put(GUID, expire=NOVEMBER_2026 + 10 * DAY)
    console.open("/records")
    countdown = console.page.locator("tbody time")
    expect(countdown).to_have_text("10 d 00 h")
    service.advance(2 * DAY)
    console.page.evaluate('async () => (await import("/console/api.js")).ask("GET", "/livez")')
    console.page.clock.run_for(1000)
    expect(countdown).to_have_text("7 d 23 h")


def test_no_countdown_runs_for_a_view_that_was_left(service: Service, console: Console) -> None:
    service.put(GUID, expire=NOVEMBER_2026 + 5)
    console.open(f"/record/{GUID}")
    console.page.get_by_role("link", name="New record").click()
    expect(console.page.get_by_role("heading", name="New record")).to_be_visible()
    console.advance(10)
    expect(console.page.locator("#announcer")).to_be_empty()
