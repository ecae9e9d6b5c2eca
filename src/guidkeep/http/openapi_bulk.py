"""What the OpenAPI document says of many records at once: `/bulk`, `/export`, `/stats`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from guidkeep.http.openapi_parts import conditions, content_json, failures, query, ref
from guidkeep.jsontext.lines import NDJSON
from guidkeep.registry.census import DAYS

if TYPE_CHECKING:
    from collections.abc import Mapping

_COUNT = {"type": "integer", "minimum": 0}
_COUNT_OR_NULL = {"type": ["integer", "null"], "minimum": 0}


def paths(example: Mapping[str, str]) -> dict[str, Any]:
    """The three addresses."""
    return {"/bulk": _bulk(example), "/export": _export(example), "/stats": _stats()}


def schemas() -> dict[str, Any]:
    """Of their contents; that of a line is what `text` has, decoded."""
    return {"BulkAnswer": _bulk_answer(), "Stats": _figures()}


def _bulk(example: Mapping[str, str]) -> dict[str, Any]:
    answer = {"line": 1, "status": 201, "guid": example["guid"], "etag": '"1427736345000000"'}
    return {
        "post": {
            "tags": ["Records"],
            "operationId": "bulk",
            "summary": "Create or update many records",
            "description": "NDJSON, a JSON object a line, each of which is treated as `POST /guid` "
            "would; blank lines are skipped. Answered line by line, in order, while the request "
            "is still read: each line of the answer is a `BulkAnswer`. A condition holds for "
            "every line.",
            "parameters": conditions(),
            "requestBody": {"content": _any_lines(example, {"user": "Cylance, Inc."})},
            "responses": {
                "200": {"description": "What became of each line", "content": _lines(answer)},
                **failures(400, 415, 503),
            },
        },
    }


def _export(example: Mapping[str, str]) -> dict[str, Any]:
    return {
        "get": {
            "tags": ["Records"],
            "operationId": "export",
            "summary": "All live records in GUID order, one a line",
            "parameters": [
                query("after", "Only GUIDs after this one.", ref("schemas", "Guid")),
                query("user", "Only records whose `user` is this.", {"type": "string"}),
            ],
            "responses": {
                "200": {
                    "description": "NDJSON: each line is a `Record`",
                    "content": _lines(example),
                },
                **failures(400, 503),
            },
        },
    }


def _stats() -> dict[str, Any]:
    return {
        "get": {
            "tags": ["Service"],
            "operationId": "stats",
            "summary": "How many records there are, when they expire, and how the service fares",
            "responses": {
                "200": {
                    "description": "The figures",
                    "content": content_json(ref("schemas", "Stats")),
                },
                **failures(503),
            },
        },
    }


def _lines(*examples: Mapping[str, Any]) -> dict[str, Any]:
    text = "".join(f"{json.dumps(example)}\n" for example in examples)
    return {NDJSON: {"schema": {"type": "string"}, "example": text}}


def _any_lines(*examples: Mapping[str, Any]) -> dict[str, Any]:
    """Lines of which any may be wrong: that is said in its own line of the answer."""
    schema = {"description": "Any text; each line should be a `Change`"}
    return {NDJSON: {**_lines(*examples)[NDJSON], "schema": schema}}


def _bulk_answer() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "What became of one line; `etag` if it was done, else `problem`. After many "
        "short lines that were refused, `problem` is empty and `guid` missing.",
        "required": ["line", "status"],
        "properties": {
            "line": {"type": "integer", "minimum": 1, "description": "From 1, blank ones too"},
            "status": {"type": "integer"},
            "guid": {"oneOf": [ref("schemas", "Guid"), {"type": "null"}]},
            "etag": {"type": "string"},
            "problem": {
                "anyOf": [ref("schemas", "Problem"), {"type": "object", "maxProperties": 0}]
            },
        },
    }


def _figures() -> dict[str, Any]:
    day = _object(date={"type": "string", "format": "date"}, expire=_COUNT)
    counts = {"type": "array", "items": _COUNT}
    kind = _object(
        route={"type": "string"},
        method={"type": "string"},
        status={"type": "integer"},
        count=_COUNT,
        seconds={"type": "number", "description": "Of all of them together"},
        counts={**counts, "description": "By `bounds`; the last: longer than all of them"},
    )
    return _object(
        as_of={"type": "string", "description": "Unix time at which the count of records began"},
        live={**_COUNT, "description": "Records that were live"},
        forecast={
            "type": "array",
            "items": day,
            "minItems": DAYS,
            "maxItems": DAYS,
            "description": "Records that expire on each of the next days (UTC), today first",
        },
        later={**_COUNT, "description": "Records that expire after those"},
        cache=_object(
            url={"type": "string"},
            hits=_COUNT,
            misses=_COUNT,
            entries=_COUNT_OR_NULL,
            bytes=_COUNT_OR_NULL,
        ),
        reclaimed={**_COUNT, "description": "Expired records whose room was given back"},
        requests=_object(
            bounds={"type": "array", "items": {"type": "number"}, "description": "In seconds"},
            kinds={"type": "array", "items": kind},
        ),
    )


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}
