"""Edit: only changes are sent, and they apply only to the version that the user has seen."""

from __future__ import annotations

import json
import re
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.console.browser import NOVEMBER_2026, Service, opened_console
from tests.console.test_create import add, lose_one_answer, member, value
from tests.proxies import compressed
from tests.support import GUID

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Dialog, Request

    from tests.console.browser import Console
    from tests.support import Clock

EXPIRE = NOVEMBER_2026 + 86_400
STORED = (
    f'{{"guid":"{GUID}","expire":"{EXPIRE}","user":"Ann","serial":12345678901234567890123,'
    '"price":1.50,"tab":"a\\u0009b","name":"\\u00c4","owner":{"team": "A", "floor": 3.0}}'
)


@pytest.fixture
def console(console: Console) -> Console:
    console.service.put_text(GUID, STORED)
    console.open(f"/record/{GUID}/edit")
    return console


def save(console: Console) -> None:
    console.page.get_by_role("button", name="Save", exact=True).click()


def saved(console: Console) -> str:
    """The stored record after the save, once the page shows it."""
    expect(console.page).to_have_url(re.compile(f"#/record/{GUID}$"))
    text = console.service.text(GUID)
    assert text
    return text


def with_changes(*changes: tuple[str, str]) -> str:
    """The record with those pieces of its text replaced."""
    text = STORED
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


def writes(console: Console) -> list[Request]:
    """The requests that write, as they are sent."""
    sent: list[Request] = []
    console.page.on(
        "request", lambda request: sent.append(request) if request.method != "GET" else None
    )
    return sent


def test_only_what_was_changed_is_sent_and_with_the_version(console: Console) -> None:
    etag = console.service.client.get(f"/guid/{GUID}").headers["etag"]
    sent = writes(console)
    value(console, "price").fill("1.60")
    save(console)
    assert saved(console) == with_changes(("1.50", "1.60"))
    [request] = sent
    assert (request.method, request.post_data) == ("PATCH", '{"price":1.60}')
    assert request.headers["if-match"] == etag


def test_members_are_added_removed_and_restored(console: Console) -> None:
    add(console, "plan", "gold", kind="text")
    member(console, "price").get_by_role("button", name="Remove price").click()
    member(console, "serial").get_by_role("button", name="Remove serial").click()
    expect(value(console, "serial")).not_to_be_editable()
    member(console, "serial").get_by_role("button", name="Restore serial").click()
    save(console)
    assert saved(console) == with_changes(('"price":1.50,', ""), ("3.0}", '3.0},"plan":"gold"'))


def test_a_text_that_is_not_written_plainly_is_edited_as_json(console: Console) -> None:
    expect(value(console, "user")).to_have_value("Ann")
    expect(value(console, "tab")).to_have_value('"a\\u0009b"')
    expect(value(console, "name")).to_have_value('"\\u00c4"')


@pytest.mark.parametrize(
    ("name", "kind", "text", "written"),
    [
        ("owner", "JSON", '{"team": "B"}', '"owner":{"team": "B"}'),  # a merge would keep the floor
        (
            "owner",
            "JSON",
            '{"team": null}',
            '"owner":{"team": null}',
        ),  # it would take the team away
        ("owner", "JSON", "null", '"owner":null'),  # it would take the owner away
        ("owner", "JSON", '[{"team": null}]', '"owner":[{"team": null}]'),
        ("owner", "text", "null", '"owner":"null"'),
    ],
)
def test_what_is_stored_is_what_was_written(
    console: Console, name: str, kind: str, text: str, written: str
) -> None:
    member(console, name).get_by_label("Kind of value").select_option(label=kind)
    value(console, name).fill(text)
    save(console)
    assert saved(console) == with_changes(('"owner":{"team": "A", "floor": 3.0}', written))


def test_an_object_is_stored_as_it_was_written_and_known_again(console: Console) -> None:
    value(console, "price").fill('{ "net" : 1.50 }')
    lose_one_answer(console)
    save(console)
    expect(console.page.get_by_role("alert")).to_have_text("The service does not respond.")
    save(console)
    assert saved(console) == with_changes(("1.50", '{ "net" : 1.50 }'))
    expect(console.page.locator(".note")).to_have_text("Your earlier save has succeeded.")


def test_the_keyboard_stays_in_a_form_whose_save_failed(console: Console) -> None:
    value(console, "user").fill("Bob")
    console.page.route("**/guid/*", lambda route: route.fulfill(status=503), times=1)
    save(console)
    expect(console.page.get_by_role("alert")).to_contain_text("503")
    expect(console.page.get_by_role("button", name="Save", exact=True)).to_be_focused()


def test_what_is_nested_too_deeply_is_refused_by_the_service(console: Console) -> None:
    value(console, "price").fill('{"a":' * 9000 + "1" + "}" * 9000)
    save(console)
    expect(console.page.get_by_role("alert")).to_contain_text("nested")


def test_the_expiry_is_changed_alone(console: Console) -> None:
    sent = writes(console)
    console.page.get_by_label("7 days", exact=True).check()
    save(console)
    assert saved(console) == with_changes((str(EXPIRE), str(NOVEMBER_2026 + 7 * 86_400)))
    assert sent[0].post_data == f'{{"expire":"{NOVEMBER_2026 + 7 * 86_400}"}}'


def test_a_span_that_is_sent_again_asks_for_the_same_instant(console: Console) -> None:
    """The first save succeeded, and its response was lost."""
    console.page.get_by_label("7 days", exact=True).check()
    lose_one_answer(console)
    save(console)
    expect(console.page.get_by_role("alert")).to_have_text("The service does not respond.")
    console.advance(5)
    save(console)
    assert saved(console) == with_changes((str(EXPIRE), str(NOVEMBER_2026 + 7 * 86_400)))
    expect(console.page.locator(".note")).to_have_text("Your earlier save has succeeded.")


@pytest.mark.parametrize("how", ["another is chosen", "it is refused"])
def test_a_span_that_was_sent_counts_anew_once(console: Console, how: str) -> None:
    console.page.get_by_label("1 hour", exact=True).check()
    console.page.route("**/guid/*", lambda route: route.fulfill(status=504), times=1)
    save(console)
    expect(console.page.get_by_role("alert")).to_contain_text("504")
    if how == "another is chosen":
        console.page.get_by_label("1 day", exact=True).check()
        console.page.get_by_label("1 hour", exact=True).check()
        console.advance(5)
        passed = 5
    else:
        console.advance(3600)
        save(console)
        expect(console.page.get_by_text("expire must lie in the future")).to_be_visible()
        passed = 3600
    save(console)
    expire = str(NOVEMBER_2026 + passed + 3600)
    assert saved(console) == with_changes((str(EXPIRE), expire))


def test_nothing_changed_is_nothing_sent(console: Console) -> None:
    sent = writes(console)
    value(console, "user").fill("Bob")
    value(console, "user").fill("Ann")
    save(console)
    assert saved(console) == STORED
    assert sent == []


@pytest.mark.parametrize("touched", [True, False])
def test_a_page_with_changes_is_not_closed_unasked(console: Console, touched: bool) -> None:
    if touched:
        value(console, "user").fill("Bob")
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    console.page.on("dialog", answer)
    console.page.reload()
    expect(value(console, "user")).to_have_value("Ann")
    assert asked == (["beforeunload"] if touched else [])


@pytest.mark.parametrize("way", ["link", "back"])
def test_a_form_with_changes_is_not_left_unasked(console: Console, way: str) -> None:
    page = console.page
    console.open(f"/record/{GUID}")
    page.get_by_role("link", name="Edit", exact=True).click()
    value(console, "user").fill("Bob")
    asked: list[str] = []
    answers = iter([False, True])

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.accept() if next(answers) else dialog.dismiss()

    def leave() -> None:
        if way == "link":
            page.get_by_role("link", name="Records", exact=True).click()
        else:
            page.evaluate("history.back()")

    page.on("dialog", answer)
    with page.expect_event("dialog"):
        leave()
    expect(page).to_have_url(re.compile("/edit$"))
    expect(value(console, "user")).to_have_value("Bob")
    with page.expect_event("dialog"):
        leave()
    heading = "Records" if way == "link" else GUID
    expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    assert asked == ["Leave without saving your changes?"] * 2


@pytest.mark.parametrize("touched", [True, False])
def test_leaving_on_purpose_or_without_changes_asks_nothing(
    console: Console, touched: bool
) -> None:
    console.page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    if touched:
        value(console, "user").fill("Bob")
    console.page.get_by_role("link", name="Cancel" if touched else "Records", exact=True).click()
    expect(console.page.get_by_role("cell", name="Ann", exact=True)).to_be_visible()


def test_what_the_service_refuses_stands_at_its_member(console: Console) -> None:
    member(console, "user").get_by_role("button", name="Remove user").click()
    save(console)
    expect(member(console, "user").locator(".fault")).to_contain_text("required")
    expect(value(console, "user")).to_be_focused()
    member(console, "user").get_by_role("button", name="Restore user").click()
    value(console, "user").fill(" ")
    save(console)
    expect(member(console, "user").locator(".fault")).to_contain_text("does not match")
    expect(value(console, "user")).to_be_focused()
    assert console.service.text(GUID) == STORED


@pytest.fixture
def broken(console: Console) -> str:
    """The record, with a value on several lines whose breaks no form of a browser keeps."""
    text = (
        f'{{"guid":"{GUID}","expire":"{EXPIRE}","user":"Ann","o":{{\r\n"a":1,\r"b":2\r\n}},"n":1}}'
    )
    console.service.put_text(GUID, text)
    console.open(f"/record/{GUID}/edit")
    return text


def test_line_breaks_that_the_browser_has_otherwise_are_no_change(
    console: Console, broken: str
) -> None:
    sent = writes(console)
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.accept()

    console.page.on("dialog", answer)
    value(console, "o").fill("{}")
    value(console, "o").fill('{\n"a":1,\n"b":2\n}')
    console.page.get_by_role("link", name="Records", exact=True).click()
    expect(console.page.get_by_role("cell", name="Ann", exact=True)).to_be_visible()
    assert asked == []
    console.open(f"/record/{GUID}/edit")
    save(console)
    assert saved(console) == broken
    expect(console.page.locator(".note")).to_have_text("Nothing was changed.")
    assert sent == []


def test_a_value_with_other_line_breaks_keeps_them_beside_a_change(
    console: Console, broken: str
) -> None:
    sent = writes(console)
    value(console, "n").fill("2")
    console.service.client.patch(f"/guid/{GUID}", json={"o": 3})
    save(console)
    expect(console.page.get_by_text("both changes can be kept")).to_be_visible()
    console.page.get_by_role("button", name="Save as chosen").click()
    assert saved(console) == broken.replace('{\r\n"a":1,\r"b":2\r\n}', "3").replace(
        '"n":1', '"n":2'
    )
    assert [request.post_data for request in sent] == ['{"n":2}'] * 2


@pytest.mark.parametrize("name", ["", " ", "\ufeff", "\r\n"])
def test_a_member_that_was_read_may_have_no_name_to_see(console: Console, name: str) -> None:
    text = STORED.replace("}}", f'}},{json.dumps(name)}:1,"n":1}}')
    console.service.put_text(GUID, text)
    console.open(f"/record/{GUID}/edit")
    value(console, "n").fill("2")
    save(console)
    assert saved(console) == text.replace('"n":1', '"n":2')
    console.open(f"/record/{GUID}/edit")
    value(console, "the member with a blank name").fill("3")
    save(console)
    assert saved(console) == text.replace('"n":1', '"n":2').replace(":1,", ":3,")


def test_it_is_saved_through_a_proxy_that_compresses_and_so_weakens_the_version(
    browser: Browser, console: Console, tmp_path: Path, clock: Clock
) -> None:
    folder = tmp_path / "nginx"
    folder.mkdir()
    with compressed(folder, console.service.address) as address:
        service = Service(address, clock)
        answer = service.client.get(f"/guid/{GUID}")
        assert answer.headers["etag"].startswith('W/"'), "it does what it is there for"
        with closing(service.client), opened_console(browser, service) as behind:
            for user in ("Bob", "Eve"):
                behind.open(f"/record/{GUID}/edit")
                value(behind, "user").fill(user)
                save(behind)
                assert json.loads(saved(behind))["user"] == user
            behind.page.get_by_role("button", name="Delete", exact=True).click()
            behind.page.get_by_role("button", name="Delete it").click()
            expect(behind.page.get_by_text("There are no live records.")).to_be_visible()
    assert console.service.text(GUID) is None
