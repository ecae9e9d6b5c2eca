"""The list: by user, by expiry, a page at a time, and large ones without jank."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from playwright.sync_api import expect

from guidkeep.errors import StoreUnavailable
from guidkeep.registry import paging
from tests.console.browser import NOVEMBER_2026, opened_console, serving

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

    from tests.console.browser import Console, Service
    from tests.support import Clock

GUIDS = [f"{number:032X}" for number in range(1, 121)]
DAY = 86_400


def listed(console: Console) -> list[str]:
    """The GUIDs that are shown."""
    console.page.locator(".foot-line").wait_for()
    return console.page.locator("tbody th a").all_text_contents()


def test_an_empty_registry_says_so_and_leads_on(console: Console) -> None:
    console.open("/records")
    expect(console.page.get_by_text("There are no live records.")).to_be_visible()
    console.page.get_by_role("link", name="Create one").click()
    expect(console.page.get_by_role("heading", name="New record")).to_be_visible()


def test_records_are_listed_with_what_is_known_of_them(service: Service, console: Console) -> None:
    service.put(GUIDS[0], expire=NOVEMBER_2026 + 3 * DAY, user="Ann", plan="gold", seats=12)
    service.put(GUIDS[1], expire=NOVEMBER_2026 + 90, user="<b>Bob</b>", note="x" * 500)
    console.open("/records")
    first, second = console.page.locator("tbody tr").all()
    assert first.locator("th, td").all_text_contents() == [
        GUIDS[0],
        "Ann",
        'plan: "gold", seats: 12',
        "2026-11-26 12:00:00",
        "3 d 00 h",
    ]
    expect(second.locator("td").first).to_have_text("<b>Bob</b>")
    expect(second.locator(".rest")).to_have_text(re.compile(r'^note: "x{153}…$'))
    expect(second.locator(".left")).to_have_text("01:30")


def test_what_is_long_is_not_cut_within_a_character(service: Service, console: Console) -> None:
    record = json.dumps({"user": "Ann", "n": "x" * 155 + "\N{WATER WAVE}"}, ensure_ascii=False)
    service.put_text(GUIDS[0], record)
    console.open("/records")
    expect(console.page.locator("td.rest")).to_have_text(f'n: "{"x" * 155}…')


def test_a_user_that_is_no_text_is_listed_with_the_other_metadata(
    browser: Browser, tmp_path: Path, clock: Clock
) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text("true")
    with (
        serving(tmp_path, clock, metadata_schema=schema) as service,
        opened_console(browser, service) as console,
    ):
        service.put_text(GUIDS[0], '{"user":12345678901234567890,"plan":"gold"}')
        console.open("/records")
        expect(console.page.locator("td.user")).to_be_empty()
        rest = console.page.locator("td.rest")
        expect(rest).to_have_text('user: 12345678901234567890, plan: "gold"')


def test_pages_follow_each_other_and_stand_in_the_address(
    service: Service, console: Console
) -> None:
    for guid in GUIDS:
        service.put(guid)
    page = console.page
    console.open("/records?limit=50")
    seen = listed(console)
    while page.get_by_role("link", name="Next page").count():
        page.get_by_role("link", name="Next page").click()
        expect(page.locator("tbody th a").first).not_to_have_text(seen[-50])
        seen += listed(console)
    assert seen == GUIDS
    assert f"after={GUIDS[99]}" in page.url
    page.go_back()
    expect(page.locator("tbody th a").first).to_have_text(GUIDS[50])
    page.get_by_role("link", name="First page").click()
    expect(page.locator("tbody th a").first).to_have_text(GUIDS[0])
    expect(page.get_by_role("link", name="First page")).to_be_hidden()
    console.open(f"/records?after={GUIDS[-1]}")
    page.get_by_role("link", name="Go to the first page").click()
    expect(page.locator("tbody tr")).to_have_count(100)


def test_a_list_is_of_one_user(service: Service, console: Console) -> None:
    for number, guid in enumerate(GUIDS[:6]):
        service.put(guid, user=("Ann", "Bob & Söhne")[number % 2])
    console.open("/records")
    console.page.get_by_label("User").fill("Bob & Söhne")
    console.page.get_by_label("User").press("Enter")
    expect(console.page.locator("tbody tr")).to_have_count(3)
    assert listed(console) == GUIDS[1:6:2]
    console.page.reload()
    expect(console.page.get_by_label("User")).to_have_value("Bob & Söhne")
    assert listed(console) == GUIDS[1:6:2]
    console.page.get_by_label("User").fill("Nobody")
    console.page.get_by_role("button", name="Show", exact=True).click()
    expect(console.page.get_by_text("No live record matches.")).to_be_visible()
    console.page.get_by_role("link", name="Show all records").click()
    expect(console.page.locator("tbody tr")).to_have_count(6)


@pytest.mark.parametrize(
    ("chosen", "count"),
    [("within an hour", 1), ("within a day", 2), ("within 7 days", 3), ("Any time", 4)],
)
def test_a_list_is_of_those_that_expire_soon(
    service: Service, console: Console, chosen: str, count: int
) -> None:
    for guid, left in zip(GUIDS, (600, 7200, 5 * DAY, 60 * DAY), strict=False):
        service.put(guid, expire=NOVEMBER_2026 + left)
    console.open("/records?within=2592000")
    expect(console.page.locator("tbody tr")).to_have_count(3)
    console.page.get_by_label("Expires", exact=True).select_option(label=chosen)
    console.page.get_by_role("button", name="Show", exact=True).click()
    expect(console.page.locator("tbody tr")).to_have_count(count)
    assert listed(console) == GUIDS[:count]


def test_a_list_before_an_instant_keeps_it_when_the_user_changes(
    service: Service, console: Console
) -> None:
    service.put(GUIDS[0], expire=NOVEMBER_2026 + 100)
    service.put(GUIDS[1], expire=NOVEMBER_2026 + 101)
    service.put(GUIDS[2], expire=NOVEMBER_2026 + 100, user="Bob")
    console.open(f"/records?before={NOVEMBER_2026 + 101}")
    assert listed(console) == [GUIDS[0], GUIDS[2]]
    console.page.get_by_label("User").fill("Bob")
    console.page.get_by_role("button", name="Show", exact=True).click()
    expect(console.page.locator("tbody tr")).to_have_count(1)
    assert listed(console) == [GUIDS[2]]
    expect(console.page.get_by_label("Expires", exact=True)).to_have_value("before")


@pytest.mark.parametrize(
    ("asked", "found", "label", "chosen"),
    [
        ("user=A%0Ab", GUIDS[:1], "User", "Ab"),  # as such a field has it
        ("user=who?%26", GUIDS[1:2], "User", "who?&"),
        ("within=7200", GUIDS[:2], "Expires", "within 7200 seconds"),
        ("within=soon", GUIDS[:4], "Expires", "Any time"),
        ("limit=3", GUIDS[:3], "Per page", "3"),
    ],
)
def test_show_asks_for_what_a_link_asked_for(
    service: Service, console: Console, asked: str, found: list[str], label: str, chosen: str
) -> None:
    for guid, user, left in zip(GUIDS, ("A\nb", "who?&", "Ann", "Ab"), (1, 2, 3, 4), strict=False):
        service.put(guid, user=user, expire=NOVEMBER_2026 + left * 3000)
    console.open(f"/records?{asked}")
    field = console.page.get_by_label(label, exact=True)
    for _ in range(2):
        assert listed(console) == found
        if label == "User":
            expect(field).to_have_value(chosen)
        else:
            expect(field.locator("option:checked")).to_have_text(chosen)
        console.page.evaluate("document.querySelector('.foot-line').id = 'old'")
        console.page.get_by_role("button", name="Show", exact=True).click()
        console.page.locator("#old").wait_for(state="detached")


def test_reading_again_shows_what_is_there_now(service: Service, console: Console) -> None:
    service.put(GUIDS[0])
    console.open("/records")
    assert listed(console) == GUIDS[:1]
    service.put(GUIDS[1])
    console.advance(5)
    console.page.get_by_role("button", name="Read again").click()
    expect(console.page.locator("tbody tr")).to_have_count(2)
    expect(console.page.get_by_text("Read at 13:00:05.")).to_be_visible()


def test_show_reads_again_though_nothing_else_is_asked_for(
    service: Service, console: Console
) -> None:
    service.put(GUIDS[0])
    console.open("/records?user=Ann&within=604800")
    assert listed(console) == GUIDS[:1]
    service.put(GUIDS[1])
    console.page.get_by_role("button", name="Show", exact=True).click()
    expect(console.page.locator("tbody tr")).to_have_count(2)


def test_what_can_not_be_read_again_is_said_and_stays(service: Service, console: Console) -> None:
    service.put(GUIDS[0])
    console.open("/records")
    with patch("guidkeep.registry.registry.Registry.list", side_effect=StoreUnavailable("Closed.")):
        console.page.get_by_role("button", name="Read again").click()
        expect(console.page.get_by_role("alert")).to_have_text("Closed.")
    assert listed(console) == GUIDS[:1]
    service.put(GUIDS[1])
    console.page.get_by_role("button", name="Read again").click()
    expect(console.page.locator("tbody tr")).to_have_count(2)
    expect(console.page.get_by_role("alert")).to_be_hidden()


def test_reading_again_leaves_the_keyboard_where_it_was(service: Service, console: Console) -> None:
    for guid in GUIDS[:2]:
        service.put(guid)
    console.open("/records")
    again = console.page.get_by_role("button", name="Read again")
    for control in (again, console.page.get_by_role("link", name=GUIDS[1])):
        control.focus()
        console.page.evaluate("document.querySelector('.foot-line').id = 'old'")
        again.evaluate("button => button.click()")  # which moves no focus by itself
        console.page.locator("#old").wait_for(state="detached")
        expect(control).to_be_focused()


def test_lines_that_were_replaced_count_down_no_more(service: Service, console: Console) -> None:
    service.put(GUIDS[0], expire=NOVEMBER_2026 + 90)
    console.open("/records")
    expect(console.page.locator(".left time")).to_have_text("01:30")
    console.page.evaluate("window.old = document.querySelector('.left time')")
    service.put(GUIDS[1])
    console.page.get_by_role("button", name="Read again").click()
    expect(console.page.locator("tbody tr")).to_have_count(2)
    console.advance(5)
    expect(console.page.locator(".left time").first).to_have_text("01:25")
    assert console.page.evaluate("window.old.textContent") == "01:30"


@pytest.mark.parametrize("before", ["abc", "1e20"])
def test_a_list_before_what_is_no_instant_is_refused_by_the_service(
    console: Console, before: str
) -> None:
    console.open(f"/records?before={before}")
    expect(console.page.get_by_role("heading", name="This can’t be shown")).to_be_visible()
    expect(console.page.locator("main")).to_contain_text("expires_before")


def test_a_list_before_an_instant_beyond_all_calendars_is_a_list(console: Console) -> None:
    far = "9" * 20
    console.open(f"/records?before={far}")
    expect(console.page.get_by_text("No live record matches.")).to_be_visible()
    expect(console.page.get_by_label("Expires", exact=True)).to_contain_text(f"before “{far}”")


def test_what_the_list_refuses_is_said(console: Console) -> None:
    console.open("/records?after=nonsense")
    expect(console.page.get_by_role("heading", name="This can’t be shown")).to_be_visible()
    expect(console.page.get_by_text("'nonsense' is not")).to_be_visible()


COUNT_CHANGES = """() => {
    window.changes = 0;
    const watch = new MutationObserver((changes) => { window.changes += changes.length; });
    const all = {subtree: true, childList: true, characterData: true};
    watch.observe(document.querySelector("tbody"), all);
}"""


def test_a_second_touches_only_the_lines_whose_text_it_changes(
    service: Service, console: Console
) -> None:
    """A thousand lines, of which three are in their last day."""
    lines = []
    for number in range(1000):
        left = 4000 + number if number % 400 == 0 else 20 * DAY + number % 3000 + 5
        record = {"guid": f"{number:032X}", "user": "Ann", "expire": NOVEMBER_2026 + left}
        lines.append(json.dumps(record))
    service.client.post("/bulk", content="\n".join(lines).encode())
    console.open("/records?limit=1000")
    assert len(listed(console)) == 1000
    console.page.evaluate(COUNT_CHANGES)
    console.advance(4)
    assert console.page.evaluate("window.changes") == 3 * 4


def test_a_page_that_ended_before_anything_matched_leads_on_by_itself(
    service: Service, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FEW", "FIRST", "WINDOW", "WINDOWS"):
        monkeypatch.setattr(paging, name, 1)
    for guid in GUIDS[:3]:
        service.put(guid, expire=NOVEMBER_2026 + 2 * DAY)
    for guid in GUIDS[3:5]:
        service.put(guid, expire=NOVEMBER_2026 + 60)
    console.open("/records?within=3600")
    expect(console.page.locator("tbody tr")).to_have_count(1)
    expect(console.page.locator("tbody th")).to_have_text(GUIDS[3])
    console.page.get_by_role("link", name="Next page").click()
    expect(console.page.locator("tbody th")).to_have_text(GUIDS[4])
