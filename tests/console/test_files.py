"""The files under /console: their headers, and no references to other servers."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING

import httpx2
import pytest

from guidkeep.http import console
from tests.support import NO_TLS, served

if TYPE_CHECKING:
    from collections.abc import Iterator

PATHS = sorted(console.pages())


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    store = f"sqlite:///{tmp_path_factory.mktemp('console')}/guidkeep.db"
    with (
        served(store=store) as running,
        httpx2.Client(base_url=running.address, trust_env=False, verify=NO_TLS) as client,
    ):
        yield client


@pytest.mark.parametrize("path", PATHS)
def test_a_file_is_asked_about_before_each_use_and_sent_once(
    client: httpx2.Client, path: str
) -> None:
    first = client.get(path)
    assert first.status_code == 200
    assert first.headers["cache-control"] == "no-cache"
    assert first.content
    etag = first.headers["etag"]
    for known in (etag, f'"another", W/{etag}', "*"):
        again = client.get(path, headers={"if-none-match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
    assert client.get(path, headers={"if-none-match": '"another"'}).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_the_policy_allows_only_what_the_service_itself_serves(
    client: httpx2.Client, path: str
) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    policy = dict(
        directive.strip().split(" ", 1)
        for directive in headers["content-security-policy"].split(";")
    )
    assert policy.pop("default-src") == "'none'"
    assert {policy.pop(name) for name in ("script-src", "style-src", "connect-src", "img-src")} == {
        "'self'"
    }
    assert policy == {"base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'"}


def test_each_kind_of_file_is_served_as_what_it_is(client: httpx2.Client) -> None:
    kinds = {path: client.get(path).headers["content-type"].partition(";")[0] for path in PATHS}
    assert kinds["/console"] == kinds["/console/"] == "text/html"
    assert kinds["/console/app.js"] == "text/javascript"
    assert kinds["/console/console.css"] == "text/css"
    assert kinds["/console/icon.svg"] == "image/svg+xml"
    assert client.get("/console/nothing.js").status_code == 404
    assert client.get("/console/__init__.py").status_code == 404


def test_every_import_leads_to_a_file_and_every_file_is_used() -> None:
    folder = files(console)
    named = {"index.html"}
    for file in folder.iterdir():
        if file.name.endswith((".js", ".html")):
            named |= set(re.findall(r'(?:from "\./|"/console/)([\w.]+)"', file.read_text()))
    there = {f.name for f in folder.iterdir() if f.name.endswith((".js", ".css", ".svg", ".html"))}
    assert named == there


def test_nothing_is_inline_and_nothing_points_anywhere_else() -> None:
    for file in files(console).iterdir():
        if not file.name.endswith((".js", ".css", ".svg", ".html")):
            continue
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")  # a name, never fetched
        assert not re.search(r"https?:|[\"'(]//|@import|url\(|[\"'(]data:", text), file.name
        assert not re.search(r"<style|<script(?![^>]*src=)|\sstyle=|\son\w+=\"", text), file.name
        assert "innerHTML" not in text, file.name
