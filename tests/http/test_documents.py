"""/openapi.json and /docs."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis

from guidkeep.http import docs, openapi
from guidkeep.http.requests import LIST_PARAMETERS
from guidkeep.http.routes import routes
from guidkeep.record import DEFAULT_LIMIT, FORECAST_DAYS, LAST_EXPIRE, MAX_LIMIT
from guidkeep.schema import MetadataSchema
from guidkeep.settings import Settings
from guidkeep.wire.media_types import NDJSON
from guidkeep.wire.problems import PROBLEMS
from tests.http.helpers import DOCUMENT, lines_of
from tests.support import GUID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.http.helpers import Api

HEALTH = {403, 408, 429, 431, 500}
ANY = HEALTH | {421}
SHARED = ANY | {400, 503}
READ = SHARED | {200, 304, 404, 412}
WRITE = SHARED | {412, 413, 415}
# Written by hand: made from the document, it could not fail.
OPERATIONS = {
    ("/guid", "get"): SHARED | {200},
    ("/guid", "post"): WRITE | {200, 201},
    ("/guid/{guid}", "get"): READ,
    ("/guid/{guid}", "head"): READ,
    ("/guid/{guid}", "post"): WRITE | {200, 201},
    ("/guid/{guid}", "put"): WRITE | {200, 201},
    ("/guid/{guid}", "patch"): WRITE | {200, 404},
    ("/guid/{guid}", "delete"): SHARED | {204, 404, 412},
    ("/bulk", "post"): (WRITE - {412, 413}) | {200},
    ("/export", "get"): SHARED | {200},
    ("/stats", "get"): (SHARED - {400}) | {200},
    ("/livez", "get"): HEALTH | {200},
    ("/readyz", "get"): HEALTH | {200, 503},
    ("/metrics", "get"): ANY | {200},
    ("/stats/service", "get"): ANY | {200},
    ("/openapi.json", "get"): ANY | {200},
    ("/docs", "get"): ANY | {200, 304},
    ("/console", "get"): ANY | {200, 304},
}
METHODS = {"get", "head", "post", "put", "patch", "delete", "options", "trace"}


async def test_the_document_is_valid_openapi_3_1(api: Api) -> None:
    answer = await api.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    assert document["openapi"].startswith("3.1.")
    schemathesis.openapi.from_dict(document).validate()


async def test_the_document_names_every_route_and_every_status() -> None:
    named = {
        (path, method): {int(status) for status in item[method]["responses"]}
        for path, item in DOCUMENT["paths"].items()
        for method in METHODS & item.keys()
    }
    assert named == OPERATIONS


def test_the_document_has_the_routes_of_the_table_and_their_methods() -> None:
    named = {path: {*METHODS & item.keys()} - {"head"} for path, item in DOCUMENT["paths"].items()}
    assert named == {
        route.path: {method.lower() for method in route.methods}
        for route in routes()
        if route.is_documented
    }


async def test_every_reference_in_the_document_leads_somewhere() -> None:
    for reference in re.findall(r'"\$ref": "([^"]*)"', json.dumps(DOCUMENT)):
        place: Any = DOCUMENT
        assert reference.startswith("#/")
        for step in reference[2:].split("/"):
            place = place[step]


async def test_the_document_says_what_the_operator_has_set() -> None:
    schema = {"type": "object", "required": ["owner"]}
    document = openapi.document(MetadataSchema(schema), Settings(max_body=12_345, lifetime=777.0))
    assert document["components"]["schemas"]["Metadata"] == schema
    text = json.dumps(document)
    assert "12345 bytes" in text
    assert document["x-max-body"] == 12_345
    assert "777 seconds" in text


def holes(part: Any) -> Iterator[str]:
    """Returns the names of the holes in a part of the template."""
    if isinstance(part, dict):
        if part.keys() == {"x-hole"}:
            yield part["x-hole"]
        else:
            for value in part.values():
                yield from holes(value)
    elif isinstance(part, list):
        for value in part:
            yield from holes(value)
    elif isinstance(part, str):
        yield from re.findall(r"\{\{(.*?)\}\}", part)


def test_the_template_is_a_document_itself_with_these_holes() -> None:
    template = openapi.template()
    schemathesis.openapi.from_dict(template).validate()
    assert set(holes(template)) == {
        "version", "lifetime", "max_body", "max_headers", "metadata_schema",
    }  # fmt: skip
    text = json.dumps(DOCUMENT)
    assert "{{" not in text
    assert "x-hole" not in text
    assert "x-problems" not in text


def test_what_is_filled_in_has_no_holes() -> None:
    schema = {"properties": {"a": {"const": "{{max_body}}"}, "b": {"x-hole": "version"}}}
    document = openapi.document(MetadataSchema(schema), Settings())
    assert document["components"]["schemas"]["Metadata"] == schema


def test_a_hole_that_nothing_fills_is_no_text() -> None:
    with pytest.raises(KeyError, match="unknown"):
        openapi.filled({"a": ["{{unknown}}"]}, {})


def test_the_limits_in_the_template_are_those_of_the_code() -> None:
    [limit, *others] = DOCUMENT["paths"]["/guid"]["get"]["parameters"]
    assert (limit["schema"]["default"], limit["schema"]["maximum"]) == (DEFAULT_LIMIT, MAX_LIMIT)
    assert (limit["name"], *(other["name"] for other in others)) == LIST_PARAMETERS
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["Change"]["properties"]["ttl"]["oneOf"][0]["maximum"] == LAST_EXPIRE
    forecast = schemas["Stats"]["allOf"][1]["properties"]["forecast"]
    assert forecast["minItems"] == forecast["maxItems"] == FORECAST_DAYS
    assert NDJSON in DOCUMENT["paths"]["/export"]["get"]["responses"]["200"]["content"]


def test_the_document_has_every_problem_but_those_of_no_route() -> None:
    named = {int(name.removeprefix("Problem")) for name in DOCUMENT["components"]["responses"]}
    assert named == {problem.status for problem in PROBLEMS.values()} - {405}


@pytest.mark.parametrize("code", sorted({*PROBLEMS} - {"method-not-allowed"}))
def test_the_document_describes_a_problem_as_the_table_does(code: str) -> None:
    problem = PROBLEMS[code]
    response = DOCUMENT["components"]["responses"][f"Problem{problem.status}"]
    assert f"{problem.title}: {problem.when}." in response["description"].split("\n\n")


async def test_every_example_can_be_sent_as_it_stands(live: Api, guid: str) -> None:
    sent = 0
    for path, item in DOCUMENT["paths"].items():
        for method in ("put", "post", "patch", "delete"):
            operation = item.get(method)
            if operation is None:
                continue
            content = operation.get("requestBody", {}).get("content", {})
            [example] = [kind["example"] for kind in content.values()] or [None]
            body = example if isinstance(example, str) or not example else json.dumps(example)
            url = path.replace("{guid}", GUID)
            answer = await live.request(method.upper(), url, content=body)
            assert answer.is_success
            assert path != "/bulk" or {line["status"] for line in lines_of(answer)} <= {200, 201}
            sent += 1
    assert sent == 6


class Assets(HTMLParser):
    """Returns the addresses in a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.urls: set[str] = set()
        self.inline: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.urls |= {url for name in ("src", "href") if (url := named.get(name))}
        if tag in ("script", "style") and "src" not in named:
            self.inline.append(tag)


async def test_everything_that_the_page_names_is_served_by_the_server_itself(live: Api) -> None:
    page = await live.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assets = Assets(page.text)
    assert {"/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"} <= assets.urls
    assert not assets.inline  # the policy forbids them
    for url in assets.urls:
        assert url.startswith("/")
        assert not url.startswith("//")
        answer = await live.get(url)
        assert (url, answer.status_code) == (url, 200)
        assert len(answer.content) > 10
    script = (await live.get("/docs/start.js")).text
    assert 'url: "/openapi.json"' in script


async def test_nothing_that_we_wrote_points_anywhere_else() -> None:
    for name in ("index.html", "start.js", "page.css", "icon.svg"):
        text = files(docs).joinpath(name).read_text()
        text = text.replace("http://www.w3.org/2000/svg", "")  # a name that is never fetched
        assert not re.search(
            r"https?:|//[a-z]|@import|url\(\s*['\"]?(?!data:)", text.replace("// ", "")
        )


@pytest.mark.parametrize("path", sorted(docs.pages()))
async def test_a_file_of_the_page_is_asked_about_before_each_use(api: Api, path: str) -> None:
    """After an update the page must not mix old and new files."""
    first = await api.get(path)
    assert first.headers["cache-control"] == "no-cache"
    again = await api.get(path, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await api.get(path, headers={"if-none-match": '"another"'})).status_code == 200


@pytest.mark.parametrize("path", sorted(docs.pages()))
async def test_a_policy_keeps_the_page_from_fetching_anything_else(api: Api, path: str) -> None:
    answer = await api.get(path)
    assert answer.status_code == 200
    assert answer.headers["x-content-type-options"] == "nosniff"
    directives = [part.split() for part in answer.headers["content-security-policy"].split(";")]
    policy = {name: sources for name, *sources in directives}
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == ["'self'"]
    assert policy["connect-src"] == ["'self'"]
    assert policy["frame-ancestors"] == ["'none'"]
    allowed = {"'self'", "'none'", "'unsafe-inline'", "data:"}
    assert {source for sources in policy.values() for source in sources} <= allowed
    assert "'unsafe-inline'" not in policy["script-src"]
