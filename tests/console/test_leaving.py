"""A view that was left changes nothing on the page, however late its responses arrive."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.console.browser import NOVEMBER_2026, PATIENCE
from tests.console.test_create import create, value
from tests.support import GUID

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

    from tests.console.browser import Console


class Late:
    """A request that is answered when the test says so: the next one of that method."""

    def __init__(self, page: Page, method: str, url: str) -> None:
        self._page = page
        self._method = method
        self._url = url
        self._routes: list[Route] = []
        page.route(url, self._take)

    def _take(self, route: Route) -> None:
        if route.request.method == self._method and not self._routes:
            self._routes.append(route)
        else:
            route.fallback()

    def wait_for(self) -> Route:
        """Waits until it is asked."""
        deadline = time.monotonic() + PATIENCE / 1000
        while not self._routes:
            assert time.monotonic() < deadline, f"{self._method} {self._url} is not asked"
            self._page.evaluate("0")  # meanwhile routes come in
        return self._routes[0]

    def answer(self, status: int | None = None) -> None:
        """Releases the response, or replaces it with that status."""
        route = self.wait_for()
        with self._page.expect_event("requestfinished", lambda one: one == route.request):
            if status is None:
                route.continue_()
            else:
                route.fulfill(status=status, json={"detail": "It can't be done just now."})
        self._page.evaluate("async () => { await fetch('/livez'); }")  # the page has seen to it


def leave(console: Console) -> None:
    """Goes to the list, and discards unsaved changes."""
    console.page.once("dialog", lambda dialog: dialog.accept())
    console.page.get_by_role("link", name="Records", exact=True).click()
    expect(console.page.locator(".foot-line")).to_be_visible()


def is_at_the_list(console: Console) -> None:
    expect(console.page).to_have_url(f"{console.service.address}/console#/records")
    expect(console.page).to_have_title("Records – Guidkeep")
    assert console.page.locator("h1").all_inner_texts() == ["Records"]


@pytest.mark.parametrize("view", ["New record", "Edit"])
def test_a_view_that_was_left_before_it_was_there_is_not_shown(console: Console, view: str) -> None:
    console.service.put(GUID, expire=NOVEMBER_2026 + 5)
    console.open(f"/record/{GUID}")
    schema = Late(console.page, "GET", "**/openapi.json")
    console.page.get_by_role("link", name=view, exact=True).click()
    schema.wait_for()
    with console.page.expect_event("requestfailed"):  # the page no longer waits for it
        leave(console)
    is_at_the_list(console)
    console.advance(10)
    expect(console.page.locator("#announcer")).to_have_text(f"{GUID} has expired.")


def test_a_list_that_was_left_while_it_was_read_again_says_nothing(console: Console) -> None:
    console.open("/records")
    listed = Late(console.page, "GET", "**/guid?*")
    console.page.get_by_role("button", name="Read again").click()
    listed.wait_for()
    expect(console.page.locator("#announcer")).to_have_text("No records.")
    with console.page.expect_event("requestfailed"):
        console.page.get_by_role("link", name="Find", exact=True).click()
    expect(console.page.get_by_label("GUID", exact=True)).to_be_focused()
    expect(console.page.locator("#announcer")).to_have_text("No records.")


@pytest.mark.parametrize("status", [None, 503, 404, 412])
def test_a_save_that_ends_later_does_not_lead_back(console: Console, status: int | None) -> None:
    console.service.put(GUID)
    console.open(f"/record/{GUID}/edit")
    value(console, "user").fill("Bob")
    write = Late(console.page, "PATCH", f"**/guid/{GUID}")
    console.page.get_by_role("button", name="Save").click()
    write.wait_for()
    leave(console)
    write.answer(status)
    is_at_the_list(console)
    console.page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    console.page.get_by_role("link", name="Find", exact=True).click()
    expect(console.page.get_by_role("heading", name="Find a GUID")).to_be_visible()


def test_a_record_that_is_created_later_does_not_lead_to_it(console: Console) -> None:
    console.open("/new")
    value(console, "user").fill("Ann")
    write = Late(console.page, "PUT", "**/guid/*")
    create(console)
    write.wait_for()
    leave(console)
    write.answer()
    is_at_the_list(console)


def test_a_deletion_that_ends_later_leads_nowhere(console: Console) -> None:
    console.service.put(GUID)
    console.open("/records")
    console.page.get_by_role("link", name=GUID).click()
    console.page.get_by_role("button", name="Delete", exact=True).click()
    deletion = Late(console.page, "DELETE", f"**/guid/{GUID}")
    console.page.get_by_role("button", name="Delete it").click()
    deletion.wait_for()
    console.page.evaluate("location.hash = '#/service'")
    expect(console.page.get_by_role("heading", name="Service")).to_be_visible()
    deletion.answer()
    expect(console.page).to_have_url(f"{console.service.address}/console#/service")
    assert console.page.locator("h1").all_inner_texts() == ["Service"]


def test_a_view_that_is_left_for_a_slow_one_deletes_nothing_any_more(console: Console) -> None:
    console.service.put(GUID)
    console.open(f"/record/{GUID}")
    schema = Late(console.page, "GET", "**/openapi.json")
    console.page.get_by_role("link", name="Edit", exact=True).click()
    schema.wait_for()
    console.page.get_by_role("button", name="Delete", exact=True).click()
    expect(console.page.get_by_role("dialog")).to_have_count(0)
    schema.answer()
    expect(value(console, "user")).to_have_value("Ann")
