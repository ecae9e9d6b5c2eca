"""The dashboard: the present load, the forecast, and missing values."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.console.browser import NOVEMBER_2026
from tests.support import GUID

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.console.browser import Console, Service

DAY = 86_400
TODAY = datetime.fromtimestamp(NOVEMBER_2026, UTC)


def metric(console: Console, name: str) -> Locator:
    return console.page.locator(f"[data-value={name}] dd").first


def test_requests_latencies_and_the_hit_rate_move(service: Service, console: Console) -> None:
    service.put(GUID)
    console.open("/service")
    for name in ("rate", "median", "slowest", "hitRate"):
        expect(metric(console, name)).to_have_text("–")
    for _ in range(30):
        service.client.get(f"/guid/{GUID}")
    for number in range(10):
        service.client.get(f"/guid/{number:032X}")  # each has to ask the store
    console.refresh_dashboard()
    expect(metric(console, "rate")).to_have_text("20.0")
    expect(metric(console, "hitRate")).to_have_text("75.0 %")
    for name in ("median", "slowest"):
        expect(metric(console, name)).to_have_text(re.compile(r"^\d[\d.]* (µs|ms|s)$"))
    console.refresh_dashboard()
    expect(metric(console, "rate")).to_have_text("10.0")  # 40 in the four seconds so far
    expect(console.page.locator("[data-value=rate] polyline")).to_have_count(1)
    for _ in range(5):
        console.refresh_dashboard()
    expect(metric(console, "rate")).to_have_text("0.00")  # ten seconds without any
    expect(metric(console, "hitRate")).to_have_text("–")


def test_requests_are_told_apart_by_what_they_ask(service: Service, console: Console) -> None:
    service.put(GUID)
    service.client.get(f"/guid/{GUID}")
    service.client.get("/guid/nothing")
    console.open("/service")
    rows = {
        row.locator("th").inner_text(): row.locator("td").all_inner_texts()[:3]
        for row in console.page.locator(".kinds tbody tr").all()
    }
    assert rows == {"GET /guid/{guid}": ["2", "1", "0"], "PUT /guid/{guid}": ["1", "0", "0"]}


def test_the_forecast_is_a_chart_and_a_table(service: Service, console: Console) -> None:
    for number, days in enumerate((0, 1, 1, 1, 30, 89, 200)):
        service.put(f"{number:032X}", expire=NOVEMBER_2026 + 60 + days * DAY)
    console.open("/service")
    page = console.page
    said = "6 expire within 90 days, 1 later."
    expect(page.locator(".readout")).to_have_text(said)
    expect(page.get_by_role("img", name=f"Forecast: {said}")).to_be_visible()
    bars = page.locator(".bar").evaluate_all("all => all.map(one => one.getAttribute('height'))")
    heights = [float(height) for height in bars]
    assert len(heights) == 90
    assert {at for at, height in enumerate(heights) if height} == {0, 1, 30, 89}
    assert round(heights[1] / heights[0]) == 3
    page.get_by_text("The same as a table").click()
    shown = [
        (TODAY + timedelta(days=days)).strftime("%a %-d %b").replace("Sep", "Sept")
        for days in (0, 1, 30, 89)
    ]
    assert page.locator("details tbody th").all_inner_texts() == shown
    assert page.locator("details tbody td").all_inner_texts() == ["1", "3", "1", "1"]
    assert ["Live records", "7"] in [
        row.split("\n") for row in page.locator(".facts > div").all_inner_texts()
    ]


def test_a_day_of_the_forecast_tells_its_count_and_leads_to_the_records(
    service: Service, console: Console
) -> None:
    for number in range(3):
        service.put(f"{number:032X}", expire=NOVEMBER_2026 + number * DAY + 60)
    console.open("/service")
    day = console.page.locator(".day").nth(1)
    day.hover()
    expect(console.page.locator(".readout")).to_have_text("Tue 24 Nov: 1 expire.")
    console.page.mouse.move(0, 0)
    expect(console.page.locator(".readout")).to_have_text("3 expire within 90 days, 0 later.")
    day.hover()
    console.page.evaluate("document.querySelector('.day').id = 'old'")
    console.page.clock.run_for(10_000)
    console.page.locator("#old").wait_for(state="detached")  # it is drawn again under the pointer
    expect(console.page.locator(".readout")).to_have_text("Tue 24 Nov: 1 expire.")
    console.page.mouse.down()
    console.page.mouse.up()
    expect(console.page.locator("tbody tr")).to_have_count(2)
    console.page.go_back()
    console.page.get_by_text("The same as a table").click()
    console.page.get_by_role("link", name="Mon 23 Nov").click()
    expect(console.page.locator("tbody tr")).to_have_count(1)


def test_the_chart_is_drawn_anew_for_another_width(service: Service, console: Console) -> None:
    service.put(GUID)
    console.open("/service")
    chart = console.page.locator(".plot svg")
    wide = chart.bounding_box()
    console.page.set_viewport_size({"width": 500, "height": 700})
    assert wide
    expect(chart).not_to_have_attribute("width", str(int(wide["width"])))
    narrow = chart.bounding_box()
    assert narrow
    assert narrow["width"] < 500 < wide["width"]


def test_an_empty_registry_has_an_empty_forecast(console: Console) -> None:
    console.open("/service")
    expect(console.page.locator(".readout")).to_have_text("0 expire within 90 days, 0 later.")
    expect(console.page.get_by_text("as of 13:00:00")).to_be_visible()
    expect(console.page.get_by_text("counted at 13:00:00")).to_be_visible()
    console.open("/")
    expect(console.page.locator(".counts dd").first).to_have_text("0")


def test_a_page_that_nobody_looks_at_asks_nothing(console: Console) -> None:
    console.open("/service")
    console.page.evaluate(
        "Object.defineProperty(document, 'visibilityState', {value: 'hidden', configurable: true})"
    )
    asked: list[str] = []
    console.page.on("request", lambda request: asked.append(request.url))
    console.page.clock.run_for(20_000)
    assert asked == []
    console.page.evaluate("delete document.visibilityState")
    console.refresh_dashboard()
    assert asked


def test_a_view_that_was_left_asks_nothing(console: Console) -> None:
    console.open("/service")
    console.page.get_by_role("link", name="New record").click()
    expect(console.page.get_by_role("heading", name="New record")).to_be_visible()
    asked: list[str] = []
    console.page.on("request", lambda request: asked.append(request.url))
    console.page.clock.run_for(20_000)
    assert asked == []


def test_the_load_is_shown_while_records_cannot_be_counted(
    service: Service, console: Console
) -> None:
    console.page.route("**/stats", lambda route: route.fulfill(status=503, body="{}"))
    console.open("/service")
    for _ in range(4):
        service.client.get(f"/guid/{GUID}")
    console.refresh_dashboard()
    expect(metric(console, "rate")).to_have_text("2.00")
    expect(console.page.get_by_text("Some values are missing.")).to_be_visible()


def test_figures_that_the_service_refuses_are_said_to_be_missing(console: Console) -> None:
    problem = {"detail": "The store can't be read just now.", "status": 503}
    console.page.route(
        "**/stats", lambda route: route.fulfill(status=503, body=json.dumps(problem))
    )
    console.open("/service")
    expect(console.page.get_by_text("The store can't be read just now.")).to_be_visible()
    console.page.unroute("**/stats")
    console.page.clock.run_for(10_000)
    expect(console.page.get_by_text("The store can't be read just now.")).to_be_hidden()
    expect(console.page.locator(".readout")).to_have_text("0 expire within 90 days, 0 later.")
