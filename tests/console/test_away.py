"""The console while the service does not respond, and when it is back."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from playwright.sync_api import expect

from guidkeep.errors import StoreUnavailable
from tests.console.browser import Console, opened_console, serving
from tests.console.test_create import value
from tests.console.test_service import metric
from tests.support import GUID

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from tests.console.browser import Service
    from tests.support import Clock

AWAY = "The service has not responded since 13:00:00."


class Outage:
    """A service that can be ended, and started again on its port, with a console on it."""

    def __init__(self, browser: Browser, folder: Path, clock: Clock, stack: ExitStack) -> None:
        self._folder = folder
        self._clock = clock
        self._stack = stack
        self._running = ExitStack()
        self.service = self._running.enter_context(serving(folder, clock))
        self.console = stack.enter_context(opened_console(browser, self.service))

    @property
    def page(self) -> Page:
        return self.console.page

    def begin(self) -> None:
        self._running.close()

    def end(self) -> None:
        port = int(self.service.address.rpartition(":")[2])
        self._running = self._stack.enter_context(ExitStack())
        self.service = self._running.enter_context(serving(self._folder, self._clock, port=port))


@pytest.fixture
def outage(browser: Browser, tmp_path: Path, clock: Clock) -> Iterator[Outage]:
    with ExitStack() as stack:
        outage = Outage(browser, tmp_path, clock, stack)
        outage.service.put(GUID)
        yield outage


def wait_until_back(outage: Outage) -> None:
    """The page tries again automatically, in pauses of a few seconds."""
    notice = outage.page.locator("#notice")
    outage.console.pass_time_until(lambda: not notice.inner_text())


def test_a_view_that_could_not_be_shown_is_shown_once_the_service_is_back(outage: Outage) -> None:
    outage.console.open("/new")
    outage.begin()
    outage.page.get_by_role("link", name="Records").click()
    expect(outage.page.get_by_role("heading", name="The service does not respond")).to_be_visible()
    expect(outage.page.get_by_role("status").first).to_contain_text(AWAY)
    outage.page.get_by_role("button", name="Try again").click()
    expect(outage.page.get_by_role("heading", name="The service does not respond")).to_be_visible()
    failed: list[str] = []
    outage.page.on("requestfailed", lambda request: failed.append(request.url))
    outage.console.pass_time_until(lambda: len(failed) >= 3)
    outage.end()
    wait_until_back(outage)
    expect(outage.page.get_by_role("link", name=GUID)).to_be_visible()


def test_a_list_is_read_again_when_the_service_is_back_or_says_why_not(outage: Outage) -> None:
    outage.console.open("/records")
    outage.begin()
    outage.page.get_by_role("button", name="Read again").click()
    expect(outage.page.get_by_role("alert")).to_have_text("The service does not respond.")
    expect(outage.page.get_by_role("link", name=GUID)).to_be_visible()
    outage.end()
    with patch("guidkeep.registry.registry.Registry.list", side_effect=StoreUnavailable("Closed.")):
        wait_until_back(outage)
        expect(outage.page.get_by_role("alert")).to_have_text("Closed.")
    outage.service.put("0" * 32)
    outage.page.get_by_role("button", name="Read again").click()
    expect(outage.page.locator("tbody tr")).to_have_count(2)


def test_what_was_typed_is_kept_and_can_be_saved_when_the_service_is_back(outage: Outage) -> None:
    outage.console.open(f"/record/{GUID}/edit")
    value(outage.console, "user").fill("Bob")
    outage.begin()
    outage.page.get_by_role("button", name="Save").click()
    expect(outage.page.get_by_role("alert")).to_contain_text("The service does not respond.")
    expect(outage.page.locator("#notice")).to_contain_text(AWAY)
    outage.end()
    wait_until_back(outage)
    expect(value(outage.console, "user")).to_have_value("Bob")
    outage.page.get_by_role("button", name="Save").click()
    expect(outage.page.get_by_role("cell", name="Bob")).to_be_visible()


def test_the_last_figures_stay_and_are_said_to_be_the_last(outage: Outage) -> None:
    outage.console.open("/service")
    expect(outage.page.get_by_text("as of 13:00:00")).to_be_visible()
    outage.begin()
    outage.page.clock.run_for(2000)
    expect(outage.page.get_by_text("These are the last values received.")).to_be_visible()
    expect(outage.page.get_by_text("as of 13:00:00")).to_be_visible()
    expect(outage.page.locator(".readout")).to_have_text("1 expire within 90 days, 0 later.")
    outage.end()
    wait_until_back(outage)
    last = outage.page.get_by_text("These are the last values received.")
    outage.console.pass_time_until(last.is_hidden)


def test_a_service_that_began_anew_begins_the_figures_anew(outage: Outage) -> None:
    outage.console.open("/service")
    rate = metric(outage.console, "rate")
    for _ in range(20):
        outage.service.client.get(f"/guid/{GUID}")
    outage.console.refresh_dashboard()
    expect(rate).to_have_text("10.0")
    outage.begin()
    outage.end()
    outage.console.refresh_dashboard()
    expect(rate).to_have_text("–")
    outage.console.refresh_dashboard()
    expect(rate).to_have_text("0.00")


def test_a_record_is_read_again_when_the_service_is_back(outage: Outage) -> None:
    outage.console.open(f"/record/{GUID}")
    outage.begin()
    outage.page.get_by_role("button", name="Delete", exact=True).click()
    outage.page.get_by_role("button", name="Delete it").click()
    expect(outage.page.get_by_role("dialog")).to_contain_text("The service does not respond.")
    outage.page.keyboard.press("Escape")
    outage.end()
    outage.service.put(GUID, user="Eve")
    wait_until_back(outage)
    expect(outage.page.get_by_role("cell", name="Eve")).to_be_visible()
    expect(outage.page.locator(".note")).to_contain_text("The record has changed since you")


def test_a_page_of_another_version_asks_to_be_loaded_anew(outage: Outage) -> None:
    outage.console.open("/service")
    outage.begin()
    outage.page.clock.run_for(2000)
    expect(outage.page.locator("#notice")).to_contain_text("The service has not responded")
    with patch("guidkeep.http.handlers.service.VERSION", "9.0.0"):
        outage.end()
        stale = outage.page.get_by_text("The service was updated to 9.0.0")
        outage.console.pass_time_until(stale.is_visible)
        with outage.page.expect_navigation():
            outage.page.get_by_role("button", name="Reload").click()
        expect(outage.page.locator("#version")).to_have_text("Guidkeep 9.0.0")
        expect(outage.page.locator("#notice")).to_be_empty()


def return_to(console: Console, seconds: int) -> None:
    """The page is shown again after that time."""
    console.page.evaluate("window.dispatchEvent(new Event('blur'))")
    console.advance(seconds)
    console.page.evaluate("window.dispatchEvent(new Event('focus'))")


@pytest.mark.parametrize("meanwhile", ["changed", "deleted", "nothing"])
def test_a_record_is_looked_at_again_when_somebody_comes_back(
    service: Service, console: Console, meanwhile: str
) -> None:
    service.put(GUID)
    console.open(f"/record/{GUID}")
    if meanwhile == "changed":
        service.client.patch(f"/guid/{GUID}", json={"user": "Eve"})
    elif meanwhile == "deleted":
        service.client.delete(f"/guid/{GUID}")
    return_to(console, 10)
    expect(console.page.get_by_role("cell", name="Ann")).to_be_visible()  # that is not long
    with console.page.expect_response(f"**/guid/{GUID}") as answered:
        return_to(console, 30)
    if meanwhile == "changed":
        expect(console.page.get_by_role("cell", name="Eve")).to_be_visible()
        expect(console.page.locator(".note")).to_contain_text("The record has changed since")
    elif meanwhile == "deleted":
        expect(console.page.get_by_text("The record no longer exists")).to_be_visible()
    else:
        assert answered.value.status == 304
        expect(console.page.get_by_role("cell", name="Ann")).to_be_visible()


def test_an_error_of_the_service_is_told_with_the_id_that_finds_it_in_the_log(
    service: Service, console: Console
) -> None:
    with patch("guidkeep.registry.registry.Registry.list", side_effect=RuntimeError("inside")):
        console.open("/records")
    expect(console.page.get_by_role("heading", name="This can’t be shown")).to_be_visible()
    expect(console.page.get_by_text("Something went wrong inside")).to_be_visible()
    expect(console.page.get_by_text("The service’s log has the details under")).to_be_visible()
    console.page.get_by_role("button", name="Try again").click()
    expect(console.page.get_by_text("There are no live records.")).to_be_visible()


def test_an_answer_that_is_not_the_services_is_an_error_too(console: Console) -> None:
    console.page.route("**/guid?*", lambda route: route.fulfill(status=502, body="<h1>Bad</h1>"))
    console.open("/records")
    expect(console.page.get_by_text("The service responded with status 502.")).to_be_visible()
    lines = console.page.locator("main").inner_text().split("\n")
    assert [line for line in lines if line] == [
        "This can’t be shown",
        "The service responded with status 502.",
        "Try again",
    ]
