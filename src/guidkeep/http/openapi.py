"""The OpenAPI 3.1 document of the service, the operator's metadata schema included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guidkeep import __version__
from guidkeep.http import openapi_bulk
from guidkeep.http.openapi_parts import (
    conditions,
    content_json,
    content_text,
    failures,
    header_refs,
    query,
    ref,
)
from guidkeep.record import LAST_EXPIRE

if TYPE_CHECKING:
    from guidkeep.schema import MetadataSchema
    from guidkeep.settings import Settings

EXAMPLE_GUID = "9094E4C980C74043A4B586B420E69DDF"
EXAMPLE_RECORD = {"guid": EXAMPLE_GUID, "expire": "4102444800", "user": "Cylance, Inc."}
EXAMPLE_ETAG = '"1427736345000000"'

_STATUS = {"type": "object", "required": ["status"]}
_TAG = '(W/)?"[!#-~]*"'

ABOUT = """
Guidkeep keeps GUIDs and their metadata until they expire. A record is valid exactly while
`now < expire`; from that second on it does not exist, on any path.

Every example here can be sent as it stands.
"""


MEMBERS = (
    "The other members are metadata. A name that is likely meant for `guid`, `expire` or `ttl`, as "
    "`expires` or `TTL`, is refused unless the metadata schema declares it."
)


def document(schema: MetadataSchema, settings: Settings) -> dict[str, Any]:
    """The document, as a client of this server needs it."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Guidkeep",
            "version": __version__,
            "description": ABOUT.strip(),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": "Records"}, {"name": "Service"}],
        "paths": {
            "/guid": _collection(),
            "/guid/{guid}": _one(),
            **openapi_bulk.paths(EXAMPLE_RECORD),
            "/livez": _service("Whether the process answers", content_json(_STATUS), any_host=True),
            "/readyz": _service(
                "Whether requests can be served", content_json(_STATUS), 503, any_host=True
            ),
            "/metrics": _service("Figures for Prometheus", content_text("text/plain")),
            "/openapi.json": _service("This document", content_json({"type": "object"})),
            "/docs": _page("This document as a page"),
            "/console": _page("Records and figures as a page"),
        },
        "components": {
            "schemas": _schemas(schema, settings),
            "parameters": _parameters(),
            "headers": _headers(),
            "responses": _problems(settings),
        },
        "x-max-body": settings.max_body,
    }


def _collection() -> dict[str, Any]:
    return {
        "get": {
            "tags": ["Records"],
            "operationId": "list",
            "summary": "List live records in GUID order",
            "parameters": [
                query("limit", "At most so many.", {"type": "integer", "minimum": 1,
                                                     "maximum": 1000, "default": 100}),
                query("after", "Only GUIDs after this one.", ref("schemas", "Guid")),
                query("user", "Only records whose `user` is this.", {"type": "string"}),
                query("expires_before", "Only records that expire before this Unix time.",
                       {"type": "integer", "minimum": 0}),
            ],
            "responses": {
                "200": {
                    "description": "A part of the list, and where it goes on. There may be fewer "
                    "records than `limit`, or none, though there are more.",
                    "headers": {"Link": ref("headers", "Link")},
                    "content": content_json(ref("schemas", "Page")),
                },
                **failures(400, 503),
            },
        },
        "post": {
            "tags": ["Records"],
            "operationId": "create",
            "summary": "Create a record, its GUID generated",
            "description": "With a `guid` member it is `POST /guid/{guid}`.",
            "parameters": conditions(),
            "requestBody": _body("Change", {"ttl": 3600, "user": "Cylance, Inc."}),
            "responses": {**_written(), **failures(400, 412, 413, 415, 503)},
        },
    }  # fmt: skip


def _one() -> dict[str, Any]:
    update = {"expire": "4102531200"}
    return {
        "parameters": [ref("parameters", "guid")],
        "get": {
            "tags": ["Records"],
            "operationId": "read",
            "summary": "Read a record",
            "parameters": conditions(),
            "responses": {
                "200": _record("The live record"),
                "304": {"description": "The client's copy is still right",
                        "headers": _record_headers()},
                **failures(400, 404, 412, 503),
            },
        },
        "head": {
            "tags": ["Records"],
            "operationId": "head",
            "summary": "Read a record's headers",
            "parameters": conditions(),
            "responses": {
                "200": {"description": "There is a live record", "headers": _record_headers()},
                "304": {"description": "The client's copy is still right",
                        "headers": _record_headers()},
                **{status: {"description": "As GET, without the content"}
                   for status in failures(400, 404, 412, 503)},
            },
        },
        "post": {
            "tags": ["Records"],
            "operationId": "create_or_update",
            "summary": "Create a record, or update it if it is there",
            "description": "An update is a JSON merge patch (RFC 7396).",
            "parameters": conditions(),
            "requestBody": _body(
                "Change", {"expire": EXAMPLE_RECORD["expire"], "user": EXAMPLE_RECORD["user"]}
            ),
            "responses": {**_written("200", "201"), **failures(400, 412, 413, 415, 503)},
        },
        "put": {
            "tags": ["Records"],
            "operationId": "replace",
            "summary": "Create a record, or replace it whole",
            "parameters": conditions(),
            "requestBody": _body("NewRecord", {"user": "Cylance, Inc."}),
            "responses": {**_written("200", "201"), **failures(400, 412, 413, 415, 503)},
        },
        "patch": {
            "tags": ["Records"],
            "operationId": "update",
            "summary": "Update a record",
            "description": "A JSON merge patch (RFC 7396): members given replace, members left "
            "out stay, `null` removes.",
            "parameters": conditions(),
            "requestBody": _body("Change", update),
            "responses": {
                **_written("200"), **failures(400, 404, 412, 413, 415, 503)
            },
        },
        "delete": {
            "tags": ["Records"],
            "operationId": "delete",
            "summary": "Delete a record",
            "parameters": conditions(),
            "responses": {
                "204": {"description": "It is gone"},
                **failures(400, 404, 412, 503),
            },
        },
    }  # fmt: skip


def _schemas(schema: MetadataSchema, settings: Settings) -> dict[str, Any]:
    expire = (
        "Unix time in whole seconds; from then on the record does not exist. "
        f"Without it: now and {settings.lifetime:g} seconds."
    )
    guid = ref("schemas", "Guid")
    record = {
        "type": "object",
        "required": ["guid", "expire"],
        "properties": {
            "guid": guid,
            "expire": {"type": "string", "pattern": "^[0-9]{1,12}$", "description": expire},
        },
        "allOf": [ref("schemas", "Metadata")],
        "examples": [EXAMPLE_RECORD],
    }
    change = {
        "type": "object",
        "properties": {
            "guid": {**guid, "description": "If given, the same as the URL's."},
            "expire": {
                "description": expire,
                "oneOf": [
                    {"type": "string", "pattern": "^[0-9]{1,12}$"},
                    {"type": "integer", "minimum": 0, "maximum": LAST_EXPIRE},
                    {"type": "null"},
                ],
            },
            "ttl": {
                "description": "Instead of `expire`: the seconds from now in which the record "
                "expires. It is not stored.",
                "oneOf": [
                    {"type": "integer", "minimum": 1, "maximum": LAST_EXPIRE},
                    {"type": "string", "pattern": "^[0-9]{1,12}$"},
                    {"type": "null"},
                ],
            },
        },
    }
    return {
        "Guid": {
            "type": "string",
            "pattern": "^[0-9A-F]{32}$",
            "description": "32 upper-case hexadecimal digits",
            "examples": [EXAMPLE_GUID],
        },
        "Metadata": schema.document,
        "Record": record,
        "NewRecord": {**change, "allOf": [ref("schemas", "Metadata")]},
        "Change": {**change, "description": MEMBERS},
        "Page": {
            "type": "object",
            "required": ["guids", "next"],
            "properties": {
                "guids": {"type": "array", "items": ref("schemas", "Record")},
                "next": {"type": ["string", "null"], "format": "uri-reference"},
            },
        },
        "Problem": _problem_schema(),
        **openapi_bulk.schemas(),
    }


def _problem_schema() -> dict[str, Any]:
    fault = {
        "type": "object",
        "required": ["detail"],
        "properties": {
            "pointer": {"type": "string", "description": "JSON Pointer into the body"},
            "parameter": {"type": "string", "description": "Name of a path or query parameter"},
            "detail": {"type": "string"},
        },
    }
    return {
        "type": "object",
        "description": "RFC 9457 problem details",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "errors": {"type": "array", "items": fault},
            "request_id": {"type": "string"},
        },
    }


def _problems(settings: Settings) -> dict[str, Any]:
    about = {
        400: "Malformed or not valid; `errors` says what, all at once",
        403: "A page of another site can't read or write here",
        404: "There is no live record of that GUID",
        408: "The request took too long to arrive; nothing was done",
        412: "`If-Match` or `If-None-Match` does not hold; nothing was changed",
        413: f"The body has more than {settings.max_body} bytes",
        415: "The body has a `Content-Encoding`; send it as it is",
        421: "The server does not answer to the request's host",
        429: "More requests are waiting than this server takes on; nothing was done",
        431: f"Request line and headers have more than {settings.max_headers} bytes",
        500: "Something went wrong inside; `request_id` finds it in the log",
        503: "The store can't answer in time; `detail` says whether the outcome is unknown",
    }
    headers = {
        415: header_refs("Accept-Encoding"),
        429: header_refs("Retry-After"),
        500: header_refs("X-Request-ID"),
        503: header_refs("Retry-After", "X-Request-ID"),
    }
    content = {"application/problem+json": {"schema": ref("schemas", "Problem")}}
    return {
        f"Problem{status}": {
            "description": text, "headers": headers.get(status, {}), "content": content
        }
        for status, text in about.items()
    }  # fmt: skip


def _parameters() -> dict[str, Any]:
    def header(name: str, about: str) -> dict[str, Any]:
        tags = {"type": "string", "pattern": rf"^(\*|{_TAG}(, {_TAG})*)$"}
        return {"name": name, "in": "header", "description": about, "schema": tags}

    return {
        "guid": {
            "name": "guid",
            "in": "path",
            "required": True,
            "schema": ref("schemas", "Guid"),
            "example": EXAMPLE_GUID,
        },
        "if_match": header("If-Match", "Only if the record's ETag is one of these."),
        "if_none_match": header("If-None-Match", "Only if it is none; `*`: only if there is none."),
    }


def _headers() -> dict[str, Any]:
    def header(about: str, example: str) -> dict[str, Any]:
        return {"description": about, "schema": {"type": "string"}, "example": example}

    return {
        "ETag": header("The record's version", EXAMPLE_ETAG),
        "Sunset": header("The instant of `expire` (RFC 8594)", "Fri, 01 Jan 2100 00:00:00 GMT"),
        "Cache-Control": header("Copies may be kept, and must be asked about", "no-cache"),
        "Location": header("Where the record is", f"/guid/{EXAMPLE_GUID}"),
        "Link": header("The next part", f'</guid?limit=100&after={EXAMPLE_GUID}>; rel="next"'),
        "Accept-Encoding": header("How a body may be encoded: not at all", "identity"),
        "Retry-After": header("Seconds after which it is worth another try", "1"),
        "X-Request-ID": header("The request's id, as in the log", "6f1d2c3b4a596877"),
    }


def _service(
    about: str, content: dict[str, Any], *statuses: int, any_host: bool = False
) -> dict[str, Any]:
    return {
        "get": {
            "tags": ["Service"],
            "summary": about,
            "responses": {
                "200": {"description": "It answers", "content": content},
                **failures(*statuses, any_host=any_host),
            },
        }
    }


def _page(about: str) -> dict[str, Any]:
    page = _service(about, content_text("text/html"))
    page["get"]["responses"]["304"] = {"description": "The browser's copy is still right"}
    return page


def _written(*statuses: str) -> dict[str, Any]:
    answers = {
        "200": _record("It was there and is as the request says"),
        "201": _record("It was created", "Location"),
    }
    return {status: answers[status] for status in statuses or answers}


def _record(about: str, *headers: str) -> dict[str, Any]:
    return {
        "description": about,
        "headers": _record_headers(*headers),
        "content": content_json(ref("schemas", "Record")),
    }


def _record_headers(*more: str) -> dict[str, Any]:
    return header_refs("ETag", "Cache-Control", "Sunset", *more)


def _body(schema: str, example: dict[str, Any]) -> dict[str, Any]:
    content = {"schema": ref("schemas", schema), "example": example}
    return {"content": {"application/json": content}}
