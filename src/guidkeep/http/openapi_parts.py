"""What the OpenAPI document is put together from."""

from __future__ import annotations

from typing import Any

_ANY_REQUEST = (403, 408, 429, 431, 500)
_WRONG_HOST = 421


def failures(*statuses: int, any_host: bool = False) -> dict[str, Any]:
    """Those, and what any request may meet with; `any_host`: whatever host it is for."""
    own = statuses if any_host else (*statuses, _WRONG_HOST)
    return {
        str(status): ref("responses", f"Problem{status}")
        for status in sorted({*own, *_ANY_REQUEST})
    }


def conditions() -> list[dict[str, Any]]:
    """The headers `If-Match` and `If-None-Match`."""
    return [ref("parameters", "if_match"), ref("parameters", "if_none_match")]


def query(name: str, about: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter of the query."""
    # without a value, as in `?after=`, it counts as not given
    return {
        "name": name, "in": "query", "description": about,
        "schema": schema, "allowEmptyValue": True,
    }  # fmt: skip


def content_json(schema: dict[str, Any]) -> dict[str, Any]:
    """A content of JSON."""
    return {"application/json": {"schema": schema}}


def content_text(media_type: str) -> dict[str, Any]:
    """A content of text."""
    return {media_type: {"schema": {"type": "string"}}}


def ref(kind: str, name: str) -> dict[str, Any]:
    """A component of the document."""
    return {"$ref": f"#/components/{kind}/{name}"}


def header_refs(*names: str) -> dict[str, Any]:
    """Headers by their names."""
    return {name: ref("headers", name) for name in names}
