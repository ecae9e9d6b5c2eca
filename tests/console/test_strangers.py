"""A page of another site in a real browser can change nothing, and learns nothing."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import GUID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from tests.console.browser import Service

ABSENT = "0" * 32
EMBED = """
([tag, name, url]) => new Promise((resolve) => {
  const element = document.createElement(tag);
  element.onload = () => resolve(`load ${element.contentDocument?.body?.innerText ?? ""}`);
  element.onerror = () => resolve("error");
  element[name] = url;
  document.body.append(element);
})
"""
FETCH = """
([url, options]) => fetch(url, options).then(
  async (answer) => `${answer.type} ${answer.status} ${await answer.text()}`,
  () => "refused",
)
"""


class Hello(BaseHTTPRequestHandler):
    """A site of its own."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><body>hello")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stranger(browser: Browser, service: Service) -> Iterator[Page]:
    """A page of another site on this machine. Chromium itself blocks sites on other machines."""
    service.put(GUID)
    with ThreadingHTTPServer(("127.0.0.1", 0), Hello) as site:
        serving = Thread(target=site.serve_forever)
        serving.start()
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"http://localhost:{site.server_port}/")
        yield page
        context.close()
        site.shutdown()
        serving.join()


def embedded(page: Page, tag: str, name: str, url: str) -> Any:
    return page.evaluate(EMBED, [tag, name, url])


@pytest.mark.parametrize(
    ("tag", "name"),
    [("object", "data"), ("iframe", "src"), ("img", "src"), ("script", "src"), ("embed", "src")],
)
def test_what_it_embeds_does_not_tell_whether_there_is_a_record(
    stranger: Page, service: Service, tag: str, name: str
) -> None:
    found = [
        embedded(stranger, tag, name, f"{service.address}/guid/{guid}") for guid in (GUID, ABSENT)
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize("mode", ["cors", "no-cors"])
@pytest.mark.parametrize("path", [f"/guid/{GUID}", "/guid", "/export", "/stats"])
def test_it_reads_nothing(stranger: Page, service: Service, mode: str, path: str) -> None:
    assert stranger.evaluate(FETCH, [f"{service.address}{path}", {"mode": mode}]) == "refused"


def test_it_writes_nothing(stranger: Page, service: Service) -> None:
    before = service.text(GUID)
    for method in ("POST", "PUT", "DELETE"):
        for mode in ("cors", "no-cors"):
            options = {"method": method, "mode": mode, "body": '{"user":"Eve"}'}
            stranger.evaluate(FETCH, [f"{service.address}/guid/{GUID}", options])
    assert service.text(GUID) == before


def test_a_link_that_it_has_can_be_followed(stranger: Page, service: Service) -> None:
    stranger.set_content(f'<a href="{service.address}/guid/{GUID}">there</a>')
    stranger.get_by_text("there").click()
    stranger.wait_for_url(f"{service.address}/guid/{GUID}")
    assert GUID in stranger.inner_text("body")


def test_a_name_that_is_rebound_to_this_machine_reaches_nothing(
    browser: Browser, service: Service
) -> None:
    """It has a name under localhost, which browsers resolve without DNS."""
    service.put(GUID)
    rebound = service.address.replace("127.0.0.1", "stranger.localhost")
    context = browser.new_context()
    page = context.new_page()
    answer = page.goto(f"{rebound}/livez")
    assert answer is not None
    assert answer.status == 200, "it leads there"
    for options in ({}, {"method": "PUT", "body": '{"user":"Eve"}'}, {"method": "DELETE"}):
        said = page.evaluate(FETCH, [f"/guid/{GUID}", options])
        assert said.startswith("basic 421 ")
        assert "Ann" not in said
    assert '"Ann"' in (service.text(GUID) or "")
    context.close()


def test_no_page_of_the_service_is_shown_in_a_frame(browser: Browser, service: Service) -> None:
    """Not even by a page of its own origin."""
    service.put(GUID)
    context = browser.new_context()
    page = context.new_page()
    page.route(
        f"{service.address}/livez", lambda route: route.fulfill(body="<!doctype html><body>")
    )
    page.goto(f"{service.address}/livez")
    for path in ("/console", "/docs", f"/guid/{GUID}", "/guid"):
        assert "Ann" not in embedded(page, "iframe", "src", f"{service.address}{path}")
        assert page.evaluate("document.querySelector('iframe').contentDocument") is None
        page.evaluate("document.querySelector('iframe').remove()")
    context.close()
