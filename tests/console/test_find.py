"""Find: pasted GUIDs in any spelling, and their normal form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.support import GUID

if TYPE_CHECKING:
    from tests.console.browser import Console

WRITTEN = {
    "lower case": GUID.lower(),
    "with dashes": "9094E4C9-80C7-4043-A4B5-86B420E69DDF",
    "dashes and lower case": "9094e4c9-80c7-4043-a4b5-86b420e69ddf",
    "braces": "{9094E4C9-80C7-4043-A4B5-86B420E69DDF}",
    "a URN": "urn:uuid:9094e4c9-80c7-4043-a4b5-86b420e69ddf",
    "spaces": " 9094E4C9 80C7 4043 A4B5 86B420E69DDF ",
    "quotes": f"'{GUID}'",
    "in an address": f"http://127.0.0.1:8080/guid/{GUID}?a=b",
    "in a sentence": f"The GUID is {GUID.lower()}, please look.",
}


@pytest.fixture
def console(console: Console) -> Console:
    console.service.put(GUID, user="Ann")
    console.open("/")
    return console


def test_a_guid_in_its_right_form_is_opened_without_more_ado(console: Console) -> None:
    field = console.page.get_by_label("GUID", exact=True)
    expect(field).to_be_focused()
    field.fill(GUID)
    expect(console.page.locator("#meant")).to_be_empty()
    field.press("Enter")
    expect(console.page).to_have_url(f"{console.service.address}/console#/record/{GUID}")
    expect(console.page.get_by_role("cell", name="Ann")).to_be_visible()


@pytest.mark.parametrize("pasted", WRITTEN.values(), ids=WRITTEN.keys())
def test_written_in_another_way_the_right_form_is_offered(console: Console, pasted: str) -> None:
    console.page.get_by_label("GUID", exact=True).fill(pasted)
    offer = console.page.locator("#meant").get_by_role("link")
    assert offer.text_content() == GUID  # a copy from the page has no spaces
    offer.click()
    expect(console.page.get_by_role("cell", name="Ann")).to_be_visible()


def test_enter_takes_the_offer(console: Console) -> None:
    field = console.page.get_by_label("GUID", exact=True)
    field.fill(GUID.lower())
    field.press("Enter")
    expect(console.page.get_by_role("cell", name="Ann")).to_be_visible()


@pytest.mark.parametrize(
    ("pasted", "said"),
    [
        (GUID[1:], "A GUID has 32 digits; this has 31 digits."),
        ("A", "this has 1 digit."),
        (f"{GUID}0", "this has 33 digits."),
        (GUID.replace("E", "G"), "this has “G”."),
        ("", "Paste a GUID"),
    ],
)
def test_what_is_no_guid_is_told_what_it_lacks(console: Console, pasted: str, said: str) -> None:
    field = console.page.get_by_label("GUID", exact=True)
    field.fill(pasted)
    field.press("Enter")
    expect(console.page.locator("#meant")).to_contain_text(said)
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    field.fill(GUID)
    expect(field).not_to_have_attribute("aria-invalid", "true")


def test_a_link_to_a_guid_in_another_form_offers_the_right_one(console: Console) -> None:
    console.open(f"/record/{GUID.lower()}")
    expect(console.page.get_by_role("heading", name="Not a GUID")).to_be_visible()
    console.page.get_by_role("link", name=f"View {GUID}").click()
    expect(console.page.get_by_role("cell", name="Ann")).to_be_visible()


def test_a_guid_without_a_record_can_be_created(console: Console) -> None:
    console.service.client.delete(f"/guid/{GUID}")
    console.open(f"/record/{GUID}")
    expect(console.page.get_by_role("heading", name="No live record")).to_be_visible()
    console.page.get_by_role("link", name="Create it").click()
    expect(console.page.get_by_label("GUID", exact=True)).to_have_value(GUID)


@pytest.mark.parametrize("word", ["%", "%2F..", "<b>", "Ü"])
def test_a_link_to_anything_else_is_told_so(console: Console, word: str) -> None:
    console.open(f"/record/{word}")
    expect(console.page.get_by_role("heading", name="Not a GUID")).to_be_visible()


def test_a_guid_is_copied_without_gaps(console: Console) -> None:
    console.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    console.open(f"/record/{GUID}")
    console.page.get_by_role("button", name="Copy the GUID").click()
    expect(console.page.get_by_role("button", name="Copied")).to_be_visible()
    assert console.page.evaluate("navigator.clipboard.readText()") == GUID


def test_the_address_is_the_place_and_back_goes_back(console: Console) -> None:
    page = console.page
    page.get_by_role("link", name="Records").click()
    expect(page.get_by_role("heading", name="Records")).to_be_visible()
    page.get_by_role("link", name=GUID).click()
    expect(page).to_have_title(f"{GUID} – Guidkeep")
    expect(page.get_by_role("link", name="Records")).to_have_attribute("aria-current", "page")
    page.go_back()
    expect(page).to_have_title("Records – Guidkeep")
    page.go_back()
    expect(page).to_have_title("Find a GUID – Guidkeep")
    console.open("/nowhere")
    expect(page.get_by_role("heading", name="There is nothing at this address")).to_be_visible()
