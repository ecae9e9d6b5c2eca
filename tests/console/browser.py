"""A real browser on the console of a real server. Both use the same test clock."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import httpx2
import uvicorn
from playwright.sync_api import expect, sync_playwright

from tests.support import NO_TLS, Clock, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page

PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The first draws without a GPU process: a third of the CPU time of the others."""
PATIENCE = 10_000
"""Milliseconds that the browser is waited for; a busy machine is no failure."""
NOVEMBER_2026 = 1_795_435_200
"""2026-11-23T12:00:00Z: the time at which these tests begin."""
NARROW, WIDE = (360, 740), (1280, 800)
TICK = 0.005
"""Seconds between a server's checks whether to stop, and updates of the date."""


def browser_program() -> str | None:
    """Where Chromium is, or None."""
    named = os.environ.get("GUIDKEEP_TEST_CHROMIUM")
    return named or next(filter(None, map(shutil.which, PROGRAMS)), None)


@contextmanager
def opened_browser(program: str) -> Iterator[Browser]:
    """Chromium, without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox"] if os.geteuid() == 0 else [],
        )
        try:
            yield browser
        finally:
            browser.close()


class Service:
    """A server under test, and a client that does what others do to its records."""

    def __init__(self, address: str, clock: Clock) -> None:
        self.address = address
        self.clock = clock
        self.client = httpx2.Client(base_url=address, trust_env=False, verify=NO_TLS)

    def put(self, guid: str, **members: Any) -> httpx2.Response:
        """Stores a record; its user is Ann and by default it lives for a day."""
        record = {"expire": int(self.clock.now) + 86_400, "user": "Ann"} | members
        return self.put_text(guid, json.dumps(record))

    def put_text(self, guid: str, text: str) -> httpx2.Response:
        """Stores a record whose JSON is exactly that."""
        answer = self.client.put(f"/guid/{guid}", content=text.encode())
        assert answer.is_success, answer.text
        return answer

    def text(self, guid: str) -> str | None:
        """The stored text; None: there is no live record."""
        answer = self.client.get(f"/guid/{guid}")
        return answer.text if answer.is_success else None

    def advance(self, seconds: float) -> None:
        """Lets time pass until responses have the new date."""
        self.clock.advance(seconds)
        wanted = formatdate(self.clock.now, usegmt=True)
        deadline = time.monotonic() + PATIENCE / 1000
        while self.client.get("/livez").headers["date"] != wanted:
            assert time.monotonic() < deadline, "the server's date does not follow its clock"


@contextmanager
def serving(folder: Path, clock: Clock, **settings: Any) -> Iterator[Service]:
    """A whole server; the dates of its responses follow that clock too."""
    settings = {"store": f"sqlite:///{folder}/guidkeep.db"} | settings
    with brisk(clock), served(clock, **settings) as running:
        service = Service(running.address, clock)
        service.advance(0)
        with contextlib.closing(service.client):
            yield service


@contextmanager
def brisk(clock: Clock) -> Iterator[None]:
    """uvicorn by that clock, and without its pauses: by itself it writes the date once a second,
    and looks ten times a second whether it is to end and whether its connections have.
    """
    on_tick = uvicorn.Server.on_tick

    async def sleep(_: float) -> None:
        await asyncio.sleep(TICK)

    async def date_each_time(server: uvicorn.Server, _: int) -> bool:
        return await on_tick(server, 0)

    with (
        patch("uvicorn.server.time", SimpleNamespace(time=clock)),
        patch("uvicorn.server.asyncio", SimpleNamespace(**(vars(asyncio) | {"sleep": sleep}))),
        patch("uvicorn.Server.on_tick", date_each_time),
        patch("guidkeep.server.server.DRAIN_GRACE", TICK),
        patch("guidkeep.http.connection.protocol.DRAIN_GRACE", TICK),
    ):
        yield


class Console:
    """A page of the console; it fails a test on anything that the browser complains of."""

    def __init__(self, page: Page, service: Service) -> None:
        self.page = page
        self.service = service
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._hear)

    def _hear(self, message: Any) -> None:
        # The browser itself logs each error response; tests cause these on purpose.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def open(self, place: str = "/") -> None:
        """Opens that view, as from a link."""
        if self.page.url != "about:blank":
            # Else only the fragment changes, and the old view is there yet.
            self.page.goto("about:blank")
        self.page.goto(f"{self.service.address}/console#{place}")
        self.settle()

    def settle(self) -> None:
        """Waits until the view is there."""
        self.page.locator("main:not([aria-busy]) h1").first.wait_for()

    def advance(self, seconds: float) -> None:
        """Lets time pass for the server and then for the page, all of whose timers run."""
        self.service.advance(seconds)
        self.page.clock.run_for(int(seconds * 1000))

    def pass_time_until(self, fulfilled: Callable[[], bool]) -> None:
        """Lets time pass for the page alone, second by second, until the condition is true.

        The page handles a response a moment after the test has seen it, so the test can't run out
        in one go a timer that the page starts then.
        """
        deadline = time.monotonic() + PATIENCE / 1000
        while not fulfilled():
            assert time.monotonic() < deadline, "it does not come to pass"
            self.page.clock.run_for(1000)

    def refresh_dashboard(self) -> None:
        """Lets the dashboard read again, and waits until it shows the response."""
        time = self.page.get_by_text("as of ")
        before = time.inner_text()
        self.page.clock.run_for(2000)
        expect(time).not_to_have_text(before)


@contextmanager
def opened_console(
    browser: Browser,
    service: Service,
    *,
    size: tuple[int, int] = WIDE,
    ahead: float = 0,
    **options: Any,
) -> Iterator[Console]:
    """A new page, whose clock stands until the test moves it.

    Args:
        browser: see there.
        service: whose console it is.
        size: of the window, in pixels.
        ahead: seconds by which the browser's clock is ahead of the server's.
        options: of the browser's context.
    """
    context = opened_context(browser, size, options)
    page = context.new_page()
    start = datetime.fromtimestamp(service.clock.now + ahead, UTC)
    page.clock.install(time=start - timedelta(minutes=1))  # it runs until it is paused
    page.clock.pause_at(start)
    console = Console(page, service)
    try:
        yield console
    finally:
        context.close()
    assert console.complaints == []


def opened_context(
    browser: Browser, size: tuple[int, int], options: dict[str, Any]
) -> BrowserContext:
    """A fresh browser; its time zone is Berlin by default."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        **{"timezone_id": "Europe/Berlin", "locale": "en-GB", **options},
    )
    context.set_default_timeout(PATIENCE)
    return context
