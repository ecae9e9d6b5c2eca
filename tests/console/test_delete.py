"""Delete: after a confirmation, and only the version that the user has seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.support import GUID

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.console.browser import Console


@pytest.fixture
def console(console: Console) -> Console:
    console.service.put(GUID)
    console.open(f"/record/{GUID}")
    return console


def dialog(console: Console) -> Locator:
    console.page.get_by_role("button", name="Delete", exact=True).click()
    opened = console.page.get_by_role("dialog", name="Delete this record?")
    expect(opened.get_by_role("button", name="Keep it")).to_be_focused()
    return opened


def test_a_record_is_deleted_once_that_is_confirmed(console: Console) -> None:
    dialog(console).get_by_role("button", name="Delete it").click()
    expect(console.page.get_by_role("heading", name="Records")).to_be_visible()
    expect(console.page.get_by_text("There are no live records.")).to_be_visible()
    assert console.service.text(GUID) is None


@pytest.mark.parametrize("how", ["button", "key"])
def test_it_is_kept_unless_that_is_confirmed(console: Console, how: str) -> None:
    opened = dialog(console)
    if how == "button":
        opened.get_by_role("button", name="Keep it").click()
    else:
        console.page.keyboard.press("Escape")
    expect(opened).to_be_hidden()
    expect(console.page.get_by_role("button", name="Delete", exact=True)).to_be_focused()
    assert console.service.text(GUID)


def test_what_was_changed_meanwhile_is_not_deleted(console: Console) -> None:
    opened = dialog(console)
    console.service.client.patch(f"/guid/{GUID}", json={"user": "Eve"})
    opened.get_by_role("button", name="Delete it").click()
    expect(opened.get_by_role("alert")).to_contain_text(
        "The record has changed since you opened it"
    )
    expect(opened.get_by_role("button", name="Delete it")).to_be_disabled()
    opened.get_by_role("button", name="View the new version").click()
    expect(console.page.get_by_role("cell", name="Eve")).to_be_visible()
    expect(opened).to_be_hidden()
    assert console.service.text(GUID)


def test_what_is_gone_already_is_said_to_be(console: Console) -> None:
    opened = dialog(console)
    console.service.client.delete(f"/guid/{GUID}")
    opened.get_by_role("button", name="Delete it").click()
    expect(opened.get_by_role("alert")).to_contain_text("no longer exists")
