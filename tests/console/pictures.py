"""`make screenshots`: takes the pictures of the console tour; real server, real browser.

The records are the same each time, and so is the time; only how fast the server was differs.
"""

from __future__ import annotations

import random
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.console.browser import (
    NARROW,
    NOVEMBER_2026,
    browser_program,
    opened_browser,
    opened_console,
    serving,
)
from tests.support import GUID, Clock

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.console.browser import Console, Service

SIZE = (1200, 760)
RECORDS = 900
DAY = 86_400
USERS = (
    "Cylance, Inc.",
    "Ann Ogunleye",
    "Bäckerei Süß",
    "Initech",
    "Ørsted Wind",
    "Vandelay Industries",
    "Marta Kowalczyk",
)
FIRST_LIVES = (40, 75, 9 * DAY, 26 * DAY, 7 * 60, 3 * 3600, 29 * DAY, 4 * DAY, 400 * DAY)
LIVES = (DAY, 7 * DAY, 7 * DAY, 30 * DAY, 30 * DAY, 60 * DAY, 85 * DAY)
REST: tuple[dict[str, object], ...] = (
    {},
    {"plan": "gold", "seats": 12},
    {"owner": {"team": "A", "floor": 3}},
    {"licence": "GK-2231-A"},
)
TOUR = (
    '{"expire": "%d", "user": "Cylance, Inc.", "seats": 12.50, "serial": 12345678901234567890123,'
    '"owner": {"team": "A", "floor": 3}, "note": "Renewed twice.\\nSee the letter of 4 May."}'
)


def main(folder: Path) -> None:
    """Takes all pictures into that folder."""
    program = browser_program()
    if program is None:
        sys.exit("There is no Chromium; `make servers` installs it.")
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as data,
        serving(Path(data), Clock(NOVEMBER_2026), log_level="warning") as service,
        opened_browser(program) as browser,
    ):
        chance = random.Random(3)  # noqa: S311 - for pictures
        guids = fill(service, chance)
        for picture in (find, records, record, create, conflict, remove):
            take(browser, service, picture, folder / f"{picture.__name__}.png")
        for scheme in ("light", "dark"):
            with opened_console(browser, service, size=SIZE, color_scheme=scheme) as console:
                dashboard(console, chance, guids)
                save(console.page, folder / f"service-{scheme}.png")
        with opened_console(browser, service, size=NARROW, color_scheme="dark") as console:
            records(console)
            save(console.page, folder / "telephone.png")


def fill(service: Service, chance: random.Random) -> list[str]:
    """Stores the records; returns their GUIDs."""
    guids = [f"{chance.getrandbits(128):032X}" for _ in range(RECORDS)]
    for number, guid in enumerate(sorted(guids)):
        spread = chance.choice((-1, 0, 0, 1)) * chance.randrange(18 * DAY)
        life = abs(chance.choice(LIVES) + spread) + 3600
        if number < len(FIRST_LIVES):
            life = FIRST_LIVES[number]
        expire = NOVEMBER_2026 + life
        service.put(guid, expire=expire, user=chance.choice(USERS), **chance.choice(REST))
    service.put_text(GUID, TOUR % (NOVEMBER_2026 + 26 * DAY + 7 * 3600))
    return guids


def take(browser: Browser, service: Service, picture: object, path: Path) -> None:
    """One picture of the wide and light console."""
    assert callable(picture)
    with opened_console(browser, service, size=SIZE) as console:
        picture(console)
        save(console.page, path)


def save(page: Page, path: Path) -> None:
    """The page as it is, without a blinking caret."""
    page.screenshot(path=path, animations="disabled", caret="hide")
    print(path)  # noqa: T201 - it is a command


def find(console: Console) -> None:
    console.open("/")
    console.page.locator(".counts dd").first.wait_for()
    pasted = "-".join(re.findall("(.{8})(.{4})(.{4})(.{4})(.{12})", GUID.lower())[0])
    console.page.get_by_label("GUID", exact=True).fill(pasted)


def records(console: Console) -> None:
    console.open("/records")
    console.page.locator("tbody tr").first.wait_for()
    console.page.clock.run_for(42_000)


def record(console: Console) -> None:
    console.open(f"/record/{GUID}")


def create(console: Console) -> None:
    console.open("/new")
    console.page.get_by_label("7 days", exact=True).check()
    console.page.get_by_role("button", name="Add a member").click()
    console.page.get_by_label("Name of the member").fill("seats")
    console.page.get_by_label("Kind of value").last.select_option(label="JSON")
    console.page.get_by_label("Value of seats").fill("12")
    console.page.get_by_role("button", name="Create", exact=True).click()
    console.page.get_by_text("shorter than 1 character").wait_for()


def conflict(console: Console) -> None:
    console.open(f"/record/{GUID}/edit")
    console.page.get_by_label("Value of user").fill("Cylance GmbH")
    console.page.get_by_label("Value of seats").fill("25")
    console.service.client.patch(f"/guid/{GUID}", json={"user": "BlackBerry", "plan": "gold"})
    console.page.get_by_role("button", name="Save").click()
    console.page.get_by_role("heading", name="Somebody else changed this record").wait_for()


def remove(console: Console) -> None:
    console.open(f"/record/{GUID}")
    console.page.get_by_role("button", name="Delete", exact=True).click()


def dashboard(console: Console, chance: random.Random, guids: list[str]) -> None:
    console.open("/service")
    client = console.service.client
    for turn in range(60):
        for _ in range(int(30 + turn / 2 + 14 * chance.random())):
            client.get(f"/guid/{chance.choice(guids)}")
        for _ in range(chance.randrange(6)):
            client.get(f"/guid/{chance.getrandbits(128):032X}")
        if chance.random() < 1 / 2:
            client.post("/guid", json={"user": "Initech", "expire": NOVEMBER_2026 + 30 * DAY})
        if turn % 10 == 0:
            client.get("/guid?limit=100")
        console.refresh_dashboard()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
