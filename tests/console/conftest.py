"""A browser for the tests of the console, and consoles opened in it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.alone import skip_if_alone
from tests.console.browser import (
    NOVEMBER_2026,
    PATIENCE,
    Console,
    browser_program,
    opened_browser,
    opened_console,
    serving,
)
from tests.engines import lack
from tests.support import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    from tests.console.browser import Service

    OpenConsole = Callable[..., Console]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One browser for all tests of this folder. It ends with the last of them, because Playwright
    keeps an event loop in this thread, and other tests could not run theirs.
    """
    skip_if_alone()
    program = browser_program()
    if program is None:
        lack("There is no Chromium")
    expect.set_options(timeout=PATIENCE)
    with opened_browser(str(program)) as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock(NOVEMBER_2026)


@pytest.fixture
def service(browser: Browser, tmp_path: Path, clock: Clock) -> Iterator[Service]:
    with serving(tmp_path, clock) as running:
        yield running


@pytest.fixture
def open_console(browser: Browser, service: Service) -> Iterator[OpenConsole]:
    """Opens a console at a place; see `opened_console` for the options."""
    with ExitStack() as stack:

        def opened(place: str | None = None, **options: Any) -> Console:
            console = stack.enter_context(opened_console(browser, service, **options))
            if place is not None:
                console.open(place)
            return console

        yield opened


@pytest.fixture
def console(open_console: OpenConsole) -> Console:
    """A console with no view open yet."""
    return open_console()
