"""Conflicts of two edits: both versions are shown, and the user chooses."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.console.browser import NOVEMBER_2026
from tests.console.test_create import member, value
from tests.console.test_edit import EXPIRE, STORED, save, saved, with_changes
from tests.support import GUID

if TYPE_CHECKING:
    from tests.console.browser import Console


@pytest.fixture
def console(console: Console) -> Console:
    console.service.put_text(GUID, STORED)
    console.open(f"/record/{GUID}/edit")
    return console


def test_a_conflict_shows_both_versions_and_the_choice_is_saved(console: Console) -> None:
    page = console.page
    value(console, "user").fill("Bob")
    value(console, "price").fill("2.00")
    value(console, "name").fill('"Z"')
    theirs = {"user": "Eve", "price": 3, "serial": None}
    console.service.client.patch(f"/guid/{GUID}", json=theirs)
    save(console)
    heading = page.get_by_role("heading", name="Somebody else changed this record")
    expect(heading).to_be_focused()
    expect(page.get_by_text("You both changed 2 members")).to_be_visible()
    rows = page.locator("tbody tr").all_inner_texts()
    assert [re.split(r"\s*\t\s*", row.strip()) for row in rows] == [
        ["user", "Ann", "Eve", "Bob"],
        ["serial", "12345678901234567890123", "not there", "12345678901234567890123"],
        ["price", "1.50", "3", "2.00"],
        ["name", "Ä", "Ä", "Z"],
    ]
    page.get_by_role("button", name="Save as chosen").click()
    expect(page.locator("input:invalid")).to_have_count(4)  # no choice is preset
    assert json.loads(console.service.text(GUID) or "")["user"] == "Eve"
    page.get_by_label("user: yours").check()
    page.get_by_label("price: as stored now").check()
    page.get_by_role("button", name="Save as chosen").click()
    assert saved(console) == with_changes(
        ("Ann", "Bob"), ('"serial":12345678901234567890123,', ""), ("1.50", "3"), ("\\u00c4", "Z")
    )


def test_versions_that_would_look_the_same_are_shown_as_they_are_written(console: Console) -> None:
    member(console, "price").get_by_label("Kind of value").select_option(label="text")
    value(console, "price").fill("3")
    console.service.client.patch(f"/guid/{GUID}", json={"price": 3})
    save(console)
    row = console.page.locator("tbody tr")
    expect(row.locator("td")).to_have_text(["1.50", "3", '"3"'])


def test_names_are_shown_with_all_their_spaces(console: Console) -> None:
    console.service.put_text(GUID, STORED.replace("}}", '},"a  b":1,"a b":2}'))
    console.open(f"/record/{GUID}")
    names = console.page.locator("tbody th")
    assert names.all_inner_texts()[-2:] == ["a  b", "a b"]
    console.open(f"/record/{GUID}/edit")
    assert console.page.locator(".member .name").all_inner_texts()[-2:] == ["a  b", "a b"]
    value(console, "price").fill("2")
    console.service.client.patch(f"/guid/{GUID}", json={"a  b": 2})
    save(console)
    expect(names).to_have_count(2)
    assert names.all_inner_texts() == ["price", "a  b"]


def test_changes_to_other_members_can_both_stand(console: Console) -> None:
    value(console, "user").fill("Bob")
    console.page.get_by_label("7 days", exact=True).check()
    console.service.client.patch(f"/guid/{GUID}", json={"price": 3})
    save(console)
    expect(console.page.get_by_text("both changes can be kept")).to_be_visible()
    console.page.get_by_role("button", name="Save as chosen").click()
    later = str(NOVEMBER_2026 + 7 * 86_400)
    assert saved(console) == with_changes(("Ann", "Bob"), ("1.50", "3"), (str(EXPIRE), later))


def test_a_conflict_may_come_again(console: Console) -> None:
    value(console, "user").fill("Bob")
    for other in ("Eve", "Zoe"):
        console.service.client.patch(f"/guid/{GUID}", json={"user": other})
        console.page.get_by_role("button", name=re.compile("^Save")).click()
        expect(console.page.get_by_role("cell", name=other)).to_be_visible()
        console.page.get_by_label("user: yours").check()
    console.page.get_by_role("button", name="Save as chosen").click()
    assert saved(console) == with_changes(("Ann", "Bob"))


def test_a_conflict_can_be_left_with_everything_kept(console: Console) -> None:
    value(console, "user").fill("Bob")
    console.service.client.patch(f"/guid/{GUID}", json={"user": "Eve"})
    save(console)
    console.page.get_by_role("button", name="Back to the form").click()
    expect(value(console, "user")).to_have_value("Bob")
    save(console)
    console.page.get_by_role("link", name="Discard yours").click()
    assert json.loads(saved(console))["user"] == "Eve"


def test_a_conflict_with_ones_own_change_is_none(console: Console) -> None:
    value(console, "user").fill("Bob")
    console.service.client.patch(f"/guid/{GUID}", json={"user": "Bob"})
    save(console)
    assert saved(console) == with_changes(("Ann", "Bob"))
    note = console.page.locator(".note")
    expect(note).to_have_text("Your earlier save has succeeded.")
    expect(console.page.locator("#announcer")).to_have_text("Your earlier save has succeeded.")
    console.page.reload()
    expect(console.page.get_by_role("cell", name="Bob")).to_be_visible()
    expect(note).to_have_count(0)


@pytest.mark.parametrize("meanwhile", ["delete", "expire", "delete after a conflict"])
def test_a_record_that_went_away_can_be_created_from_the_form(
    console: Console, meanwhile: str
) -> None:
    value(console, "user").fill("Bob")
    if meanwhile == "delete after a conflict":
        console.service.client.patch(f"/guid/{GUID}", json={"user": "Eve"})
        save(console)
        console.page.get_by_label("user: yours").check()
    if meanwhile == "expire":
        console.advance(86_400)
    else:
        console.service.client.delete(f"/guid/{GUID}")
    console.page.get_by_role("button", name=re.compile("^Save")).click()
    expect(console.page.get_by_role("alert")).to_contain_text("no longer exists")
    console.page.get_by_role("button", name="Create it again from this form").click()
    expire = NOVEMBER_2026 + 31 * 86_400 if meanwhile == "expire" else EXPIRE
    assert saved(console) == with_changes(("Ann", "Bob"), (str(EXPIRE), str(expire)))


def test_what_somebody_else_created_anew_is_not_written_over(console: Console) -> None:
    value(console, "user").fill("Bob")
    console.service.client.delete(f"/guid/{GUID}")
    save(console)
    other = console.service.put(GUID, user="Eve").text
    console.page.get_by_role("button", name="Create it again from this form").click()
    expect(console.page.get_by_role("alert")).to_contain_text("Somebody else has created it again")
    assert console.service.text(GUID) == other
    save(console)
    expect(console.page.get_by_role("cell", name="Eve")).to_be_visible()
