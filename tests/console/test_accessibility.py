"""Every view is accessible: axe-core finds no fault, it fits the window, the keyboard is enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.console.browser import NARROW, NOVEMBER_2026, WIDE, opened_console, serving
from tests.console.test_create import value
from tests.support import GUID, Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

    from tests.console.browser import Console, Service

RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],  # of other results one example each: they are megabytes
}
WIDER = (1920, 1080)
LOOKS: tuple[tuple[tuple[int, int], Literal["light", "dark"]], ...] = (
    (NARROW, "light"),
    (WIDE, "light"),
    (WIDE, "dark"),
)
"""Sizes and colours; the colours are the same in each size."""
LONG = "a-text-that-has-no-place-to-break-" * 6


def find(console: Console) -> None:
    console.open("/")
    console.page.get_by_label("GUID", exact=True).fill(GUID.lower())


def find_nothing(console: Console) -> None:
    console.open("/")
    console.page.get_by_label("GUID", exact=True).fill("9094")
    console.page.get_by_role("button", name="Find").click()


def records(console: Console) -> None:
    console.open("/records?limit=50")
    console.page.locator("tbody tr").first.wait_for()
    console.page.clock.run_for(6000)  # one of them expires


def no_records(console: Console) -> None:
    console.open("/records?user=Nobody")


def record(console: Console) -> None:
    console.open(f"/record/{GUID}")


def expired(console: Console) -> None:
    console.open(f"/record/{GUID}")
    console.page.clock.run_for(100_000_000)


def no_record(console: Console) -> None:
    console.open(f"/record/{'F' * 32}")


def removal(console: Console) -> None:
    console.open(f"/record/{GUID}")
    console.page.get_by_role("button", name="Delete", exact=True).click()


def create(console: Console) -> None:
    console.open("/new")
    console.page.get_by_label("at a date and time").check()
    console.page.get_by_role("button", name="Add a member").click()
    console.page.get_by_role("button", name="Create", exact=True).click()


def edit(console: Console) -> None:
    console.open(f"/record/{GUID}/edit")
    value(console, "seats").fill("1.5.0")
    console.page.get_by_role("button", name="Remove owner").click()
    console.page.get_by_role("button", name="Save").click()


def conflict(console: Console) -> None:
    console.open(f"/record/{GUID}/edit")
    value(console, "user").fill("Bob")
    console.service.client.patch(f"/guid/{GUID}", json={"user": LONG, "plan": "gold"})
    console.page.get_by_role("button", name="Save").click()
    console.page.get_by_role("heading", name="Somebody else changed this record").wait_for()


def service_view(console: Console) -> None:
    console.open("/service")
    console.page.clock.run_for(2000)
    console.page.get_by_text("The same as a table").click()
    console.page.locator("details tbody tr").first.wait_for()


def away(console: Console) -> None:
    console.page.route("**/guid?*", lambda route: route.abort())
    console.page.route("**/livez", lambda route: route.abort())
    console.open("/records")


def nowhere(console: Console) -> None:
    console.open("/nowhere")


VIEWS = [
    find,
    find_nothing,
    records,
    no_records,
    record,
    expired,
    no_record,
    removal,
    create,
    edit,
    conflict,
    service_view,
    away,
    nowhere,
]


@pytest.fixture(scope="module")
def shared(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all views, because none of these tests depends on the stored records."""
    with serving(tmp_path_factory.mktemp("accessible"), Clock(NOVEMBER_2026)) as service:
        for number in range(30):
            service.put(f"{number:032X}", expire=NOVEMBER_2026 + 5 + number * 40_000, note=LONG)
        yield service


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
def test_a_view_is_for_everybody(
    browser: Browser, shared: Service, view: Callable[[Console], None]
) -> None:
    shared.put(GUID, user=LONG, seats=12, serial=10**60, owner={"team": "A"}, **{LONG: True})
    with opened_console(browser, shared, reduced_motion="reduce") as console:
        view(console)
        for width, height in (NARROW, WIDE, WIDER):
            console.page.set_viewport_size({"width": width, "height": height})
            page_width = console.page.evaluate("document.documentElement.scrollWidth")
            assert page_width <= width, "the page scrolls sideways"
        console.page.clock.resume()  # axe-core waits for timers of its own
        for (width, height), scheme in LOOKS:
            console.page.set_viewport_size({"width": width, "height": height})
            console.page.emulate_media(color_scheme=scheme)
            found = Axe().run(console.page, options=RULES)
            assert found.violations_count == 0, (width, scheme, found.generate_report())


def test_axe_would_find_something(console: Console) -> None:
    console.open("/")
    console.page.evaluate("document.querySelector('label').remove()")
    console.page.clock.resume()
    assert Axe().run(console.page, options=RULES).violations_count > 0


def test_a_record_is_made_changed_and_deleted_with_the_keyboard_alone(console: Console) -> None:
    press = console.page.keyboard.press
    page = console.page
    console.open("/")

    def tab_to(role: Any, name: str) -> None:
        target = page.get_by_role(role, name=name, exact=True)
        for _ in range(40):
            if target.count() and target.evaluate("one => one === document.activeElement"):
                return
            press("Tab")
        pytest.fail(f"{name} can't be reached")

    page.evaluate("document.activeElement.blur()")
    tab_to("link", "New record")
    press("Enter")
    expect(page.get_by_role("heading", name="New record")).to_be_visible()
    expect(page.locator("main")).to_be_focused()
    tab_to("radio", "default")
    press("ArrowRight")
    tab_to("textbox", "Value of user")
    page.keyboard.type("Ann")
    tab_to("button", "Create")
    press("Enter")
    expect(page.get_by_role("cell", name="Ann")).to_be_visible()
    expect(page.get_by_role("timer")).to_have_text("01:00:00")
    tab_to("link", "Edit")
    press("Enter")
    expect(page.get_by_role("button", name="Save")).to_be_visible()
    tab_to("textbox", "Value of user")
    page.keyboard.type("Bob")
    tab_to("button", "Save")
    press("Enter")
    expect(page.get_by_role("cell", name="Bob")).to_be_visible()
    tab_to("button", "Delete")
    press("Enter")
    press("Shift+Tab")
    press("Enter")
    expect(page.get_by_role("heading", name="Records")).to_be_visible()


def test_a_view_that_has_put_the_keyboard_somewhere_keeps_it_there(console: Console) -> None:
    console.open("/records")
    console.page.get_by_role("link", name="Find", exact=True).click()
    expect(console.page.get_by_label("GUID", exact=True)).to_be_focused()


@pytest.mark.parametrize("control", ["Edit", "Delete", "Copy the GUID"])
def test_the_keyboard_is_not_lost_when_the_record_expires(console: Console, control: str) -> None:
    console.service.put(GUID, expire=NOVEMBER_2026 + 5)
    console.open(f"/record/{GUID}")
    console.page.get_by_text(control, exact=True).focus()
    console.advance(5)
    expect(console.page.get_by_role("link", name="Create it again")).to_be_focused()


def test_nor_when_it_expires_behind_the_question_whether_to_delete_it(console: Console) -> None:
    console.service.put(GUID, expire=NOVEMBER_2026 + 5)
    console.open(f"/record/{GUID}")
    console.page.get_by_role("button", name="Delete", exact=True).click()
    console.advance(5)
    anew = console.page.get_by_role("link", name="Create it again", include_hidden=True)
    expect(anew).to_be_visible()
    console.page.get_by_role("button", name="Keep it").click()
    expect(anew).to_be_focused()


def test_a_record_that_expires_leaves_the_keyboard_elsewhere_alone(console: Console) -> None:
    console.service.put(GUID, expire=NOVEMBER_2026 + 5)
    console.open(f"/record/{GUID}")
    service = console.page.get_by_role("link", name="Service", exact=True)
    service.focus()
    console.advance(5)
    expect(console.page.get_by_role("link", name="Create it again")).to_be_visible()
    expect(service).to_be_focused()


def test_the_first_tab_leads_past_the_navigation(console: Console) -> None:
    console.open("/records")
    console.page.keyboard.press("Tab")
    skip = console.page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    console.page.keyboard.press("Enter")
    expect(console.page.locator("main")).to_be_focused()
    expect(console.page.get_by_role("heading", name="Records")).to_be_visible()
