"""Create: expiry presets, the editor of metadata, and errors where they belong."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.console.browser import NOVEMBER_2026, Console, opened_console, serving
from tests.support import GUID

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Dialog, Locator, Route

    from tests.support import Clock

DAY = 86_400


@pytest.fixture
def console(console: Console) -> Console:
    console.open("/new")
    return console


def guid_field(console: Console) -> Locator:
    return console.page.get_by_label("GUID", exact=True)


def member(console: Console, name: str) -> Locator:
    """The line of that member."""
    return console.page.locator(".member").filter(
        has=console.page.get_by_label(f"Value of {name}", exact=True)
    )


def value(console: Console, name: str) -> Locator:
    return console.page.get_by_label(f"Value of {name}", exact=True)


def create(console: Console) -> None:
    console.page.get_by_role("button", name="Create", exact=True).click()


def add(console: Console, name: str, text: str, kind: str = "JSON") -> None:
    """Adds a member."""
    console.page.get_by_role("button", name="Add a member").click()
    line = console.page.locator(".member").last
    expect(line.get_by_label("Name of the member")).to_be_focused()
    line.get_by_label("Name of the member").fill(name)
    line.get_by_label("Kind of value").select_option(label=kind)
    value(console, name).fill(text)


def created(console: Console) -> dict[str, object]:
    """The created record, once the page shows it."""
    expect(console.page).to_have_url(re.compile("#/record/[0-9A-F]{32}$"))
    guid = console.page.url.rpartition("/")[2]
    text = console.service.text(guid)
    assert text
    record: dict[str, object] = json.loads(text)
    return record


def test_without_a_guid_one_is_made(console: Console) -> None:
    value(console, "user").fill("Ann")
    create(console)
    record = created(console)
    assert record["user"] == "Ann"
    assert record["expire"] == str(NOVEMBER_2026 + 30 * DAY)  # the service's default
    expect(console.page.get_by_role("cell", name="Ann")).to_be_visible()


def test_a_guid_of_ones_own_is_put_right_before_it_is_sent(console: Console) -> None:
    guid_field(console).fill("9094e4c9-80c7-4043-a4b5-86b420e69ddf")
    value(console, "user").fill("Ann")
    expect(guid_field(console)).to_have_value(GUID)
    create(console)
    assert created(console)["guid"] == GUID


@pytest.mark.parametrize(
    ("preset", "seconds"),
    [
        ("1 hour", 3600),
        ("1 day", DAY),
        ("7 days", 7 * DAY),
        ("30 days", 30 * DAY),
        ("1 year", 365 * DAY),
    ],
)
def test_a_preset_counts_from_now(console: Console, preset: str, seconds: int) -> None:
    expire = NOVEMBER_2026 + seconds
    console.page.get_by_label(preset, exact=True).check()
    shown = datetime.fromtimestamp(expire, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    expect(console.page.get_by_text(shown)).to_be_visible()
    value(console, "user").fill("Ann")
    create(console)
    assert created(console)["expire"] == str(expire)


def test_a_preset_counts_by_the_clock_of_the_service(
    browser: Browser, tmp_path: Path, clock: Clock
) -> None:
    with (
        serving(tmp_path, clock) as service,
        opened_console(browser, service, ahead=5 * DAY) as console,
    ):
        console.open("/new")
        console.page.get_by_label("1 hour", exact=True).check()
        value(console, "user").fill("Ann")
        create(console)
        expire = int(str(created(console)["expire"]))
        assert abs(expire - NOVEMBER_2026 - 3600) <= 2  # to the precision of a date


def test_a_time_is_taken_by_the_browsers_zone(console: Console) -> None:
    console.page.get_by_label("at a date and time").check()
    create(console)
    at = console.page.get_by_label("Your time (UTC+01:00)")
    expect(at).to_have_attribute("aria-invalid", "true")
    expect(console.page.get_by_text("Give a date and a time.")).to_be_visible()
    at.fill("2026-12-24T18:00:00")
    expect(console.page.get_by_text("2026-12-24 17:00:00 UTC")).to_be_visible()
    value(console, "user").fill("Ann")
    create(console)
    assert created(console)["expire"] == str(
        int(datetime(2026, 12, 24, 17, tzinfo=UTC).timestamp())
    )


def test_a_time_in_the_past_is_refused_at_its_field(console: Console) -> None:
    console.page.get_by_label("at a date and time").check()
    at = console.page.get_by_label("Your time (UTC+01:00)")
    at.fill("2020-01-01T00:00:00")
    value(console, "user").fill("Ann")
    create(console)
    expect(at).to_be_focused()
    expect(console.page.get_by_text("expire must lie in the future")).to_be_visible()


def test_values_are_sent_digit_for_digit(console: Console) -> None:
    value(console, "user").fill('Ann "the" Ünique')
    add(console, "serial", "12345678901234567890123")
    add(console, "price", "1.50")
    add(console, "owner", '{"team": "A",\n "floor": 3}')
    add(console, "note", "1.50", kind="text")
    add(console, "nothing", "null")
    create(console)
    guid = created(console)["guid"]
    text = console.service.text(str(guid))
    assert text
    assert text.endswith(
        '"user":"Ann \\"the\\" Ünique","serial":12345678901234567890123,"price":1.50,'
        '"owner":{"team": "A",\n "floor": 3},"note":"1.50","nothing":null}'
    )
    for shown in ("12345678901234567890123", "1.50"):
        expect(console.page.get_by_role("cell", name=shown, exact=True).first).to_be_visible()


def test_every_error_of_the_service_stands_at_its_member(console: Console) -> None:
    create(console)  # the schema that is shipped asks for a user
    line = member(console, "user")
    expect(line.locator(".fault")).to_contain_text("shorter than 1 character")
    expect(value(console, "user")).to_have_attribute("aria-invalid", "true")
    expect(value(console, "user")).to_be_focused()
    expect(console.page.get_by_role("alert")).to_have_text("Correct one field.")
    value(console, "user").fill("Ann")
    expect(line.locator(".fault")).to_be_empty()


def test_an_error_within_a_member_names_the_place(
    browser: Browser, tmp_path: Path, clock: Clock
) -> None:
    schema = tmp_path / "schema.json"
    floor = {"type": "integer", "description": "The floor as a number."}
    schema.write_text(
        json.dumps(
            {
                "required": ["a/b", "owner"],
                "properties": {
                    "a/b": {"type": "boolean"},
                    "owner": {"type": "object", "properties": {"floor": floor}},
                },
            }
        )
    )
    with (
        serving(tmp_path, clock, metadata_schema=schema) as service,
        opened_console(browser, service) as console,
    ):
        console.open("/new")
        expect(member(console, "a/b").get_by_text("Required by the schema.")).to_be_visible()
        member(console, "owner").get_by_label("Kind of value").select_option(label="JSON")
        value(console, "owner").fill('{"floor": "third"}')
        create(console)
        expect(member(console, "a/b").locator(".fault")).to_contain_text("boolean")
        expect(member(console, "owner").locator(".fault")).to_contain_text("At floor:")
        expect(console.page.get_by_role("alert")).to_have_text("Correct 2 fields.")
        member(console, "owner").get_by_role("button", name="Remove owner").click()
        create(console)
        expect(member(console, "owner").locator(".fault")).to_contain_text("required")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("plan", "gold", "This is not JSON"),
        ("plan", "", "This is not JSON"),
        ("plan", '{"a": 1,}', "This is not JSON"),
        ("user", "1", "There are two members named user"),
        ("guid", "1", "guid is not metadata"),
        ("expire", "1", "expire is not metadata"),
        ("ttl", "1", "ttl is not metadata"),
    ],
)
def test_what_is_wrong_at_sight_is_said_before_anything_is_sent(
    console: Console, name: str, text: str, said: str
) -> None:
    value(console, "user").fill("Ann")
    console.page.get_by_role("button", name="Add a member").click()
    line = console.page.locator(".member").last
    line.get_by_label("Name of the member").fill(name)
    line.get_by_label("Kind of value").select_option(label="JSON")
    line.locator("textarea").fill(text)
    console.page.on("request", lambda request: pytest.fail(request.url))
    create(console)
    expect(line.locator(".fault")).to_contain_text(said)
    expect(console.page.locator("[aria-invalid]").first).to_be_focused()


def test_a_member_without_a_name_is_asked_for_it(console: Console) -> None:
    value(console, "user").fill("Ann")
    console.page.get_by_role("button", name="Add a member").click()
    create(console)
    expect(console.page.get_by_text("Give the member a name.")).to_be_visible()
    expect(console.page.get_by_label("Name of the member")).to_be_focused()
    console.page.get_by_role("button", name="Remove the new member").click()
    expect(console.page.get_by_role("button", name="Add a member")).to_be_focused()
    create(console)
    assert created(console)["user"] == "Ann"


def test_what_is_no_guid_is_told_so_at_its_field(console: Console) -> None:
    guid_field(console).fill("9094")
    create(console)
    expect(console.page.get_by_text("A GUID has 32 digits; this has 4 digits.")).to_be_visible()
    expect(guid_field(console)).to_be_focused()
    guid_field(console).fill("")
    expect(console.page.get_by_text("this has 4 digits.")).to_be_hidden()


def test_a_record_that_is_there_is_not_written_over(console: Console) -> None:
    before = console.service.put(GUID, user="Ann").text
    guid_field(console).fill(GUID)
    value(console, "user").fill("Bob")
    create(console)
    expect(console.page.get_by_text("A live record of this GUID exists already")).to_be_visible()
    assert console.service.text(GUID) == before
    look_at(console, "view it")
    expect(console.page.get_by_role("cell", name="Ann")).to_be_visible()


@pytest.mark.parametrize("touched", ["GUID", "expiry", "value", "member", ""])
def test_a_form_with_something_typed_is_not_left_unasked(console: Console, touched: str) -> None:
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.accept()

    console.page.on("dialog", answer)
    if touched == "GUID":
        guid_field(console).fill(GUID)
    elif touched == "expiry":
        console.page.get_by_label("1 day", exact=True).check()
    elif touched == "value":
        value(console, "user").fill("Ann")
    elif touched == "member":
        add(console, "plan", "", kind="text")
    console.page.get_by_role("link", name="Service", exact=True).click()
    expect(console.page.get_by_role("heading", name="Service", exact=True)).to_be_visible()
    assert asked == (["Leave without saving your changes?"] if touched else [])


def test_a_link_whose_guid_is_on_two_lines_is_not_yet_something_typed(console: Console) -> None:
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.accept()

    console.open(f"/new?guid={GUID[:16]}%0A{GUID[16:]}")
    expect(guid_field(console)).to_have_value(GUID)
    console.page.on("dialog", answer)
    console.page.get_by_role("link", name="Service", exact=True).click()
    expect(console.page.get_by_role("heading", name="Service", exact=True)).to_be_visible()
    assert asked == []


def test_what_was_typed_stays_unless_it_is_given_up(console: Console) -> None:
    value(console, "user").fill("Ann")
    console.page.once("dialog", lambda dialog: dialog.dismiss())
    console.page.get_by_role("link", name="Service", exact=True).click()
    expect(value(console, "user")).to_have_value("Ann")
    console.page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    console.page.get_by_role("link", name="Cancel").click()
    expect(console.page.get_by_role("heading", name="Records", exact=True)).to_be_visible()


def look_at(console: Console, link: str) -> None:
    """Leaves the form for the existing record."""
    console.page.once("dialog", lambda dialog: dialog.accept())
    console.page.get_by_role("link", name=link).click()


def lose_one_answer(console: Console) -> None:
    """The next write is done, and its response never arrives."""

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    console.page.route("**/guid**", lose, times=1)


def fail_to_create(console: Console) -> None:
    lose_one_answer(console)
    create(console)
    expect(console.page.get_by_role("alert")).to_have_text("The service does not respond.")


def stored(console: Console) -> list[dict[str, object]]:
    records: list[dict[str, object]] = console.service.client.get("/guid").json()["guids"]
    return records


def test_a_save_whose_answer_was_lost_can_be_sent_again(console: Console) -> None:
    value(console, "user").fill("Ann")
    console.page.get_by_label("7 days", exact=True).check()
    fail_to_create(console)
    console.advance(5)  # the span counts from a new time, and is still the chosen one
    create(console)
    assert [created(console)] == stored(console)
    expect(console.page.locator(".note")).to_have_text("Your earlier save created it already.")


def test_a_save_that_never_came_is_done_when_it_is_sent_again(console: Console) -> None:
    value(console, "user").fill("Ann")
    console.page.route("**/guid/*", lambda route: route.abort(), times=1)
    create(console)
    expect(console.page.get_by_role("alert")).to_have_text("The service does not respond.")
    value(console, "user").fill("Bob")
    create(console)
    assert created(console)["user"] == "Bob"


def test_what_was_changed_after_a_lost_answer_is_said_not_to_be_saved(console: Console) -> None:
    value(console, "user").fill("Ann")
    fail_to_create(console)
    value(console, "user").fill("Bob")
    create(console)
    expect(console.page.get_by_role("alert")).to_contain_text("created this record")
    expect(value(console, "user")).to_have_value("Bob")
    assert [record["user"] for record in stored(console)] == ["Ann"]
    look_at(console, "this record")
    expect(console.page.get_by_role("cell", name="Ann")).to_be_visible()


def test_a_gateways_error_leaves_it_open_whether_a_record_was_created(console: Console) -> None:
    def lose(route: Route) -> None:
        route.fetch()
        route.fulfill(status=504, body="<h1>Late</h1>")

    value(console, "user").fill("Ann")
    console.page.route("**/guid/*", lose, times=1)
    create(console)
    expect(console.page.get_by_role("alert")).to_contain_text("504")
    value(console, "user").fill("Bob")
    create(console)
    expect(console.page.get_by_role("alert")).to_contain_text("created this record")


def test_a_named_record_that_may_be_ones_own_is_said_to_be(console: Console) -> None:
    guid_field(console).fill(GUID)
    value(console, "user").fill("Ann")
    fail_to_create(console)
    create(console)
    expect(console.page.get_by_text("from your earlier save")).to_be_visible()
    expect(console.page.get_by_role("link", name="view it")).to_be_visible()


def test_what_is_too_large_is_said_above_the_form(console: Console) -> None:
    value(console, "user").fill("Ann")
    add(console, "note", "x" * 70_000, kind="text")
    create(console)
    expect(console.page.get_by_role("alert")).to_contain_text("65536 bytes")
    expect(value(console, "note")).to_have_value("x" * 70_000)
