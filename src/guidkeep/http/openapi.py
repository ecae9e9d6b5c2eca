"""The OpenAPI 3.1 document: `openapi.json` with its holes filled.

The file is itself a valid document. It has a hole for each part that varies:

- `{{NAME}}` in a text stands for a value, and `{"x-hole": NAME}` for a value of any type;
- `"x-problems"` among the responses of an operation lists the codes of its own errors, if it has
  any. The errors of any request, and the responses with problems, are added from the table of
  problems.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from guidkeep.http.routes import HEALTH
from guidkeep.system.version import VERSION
from guidkeep.wire.media_types import PROBLEM
from guidkeep.wire.problems import PROBLEMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from guidkeep.schema import MetadataSchema
    from guidkeep.settings import Settings

HOST_IS_WRONG = "misdirected-request"
"""An error of any request, except those for the service's health."""

_hole = re.compile(r"\{\{(\w+)\}\}")


def template() -> dict[str, Any]:
    """Returns the document with its holes."""
    text = files(__package__).joinpath("openapi.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def document(schema: MetadataSchema, settings: Settings) -> dict[str, Any]:
    """Returns the document for clients of this server, with the metadata schema."""
    holes = {
        "version": VERSION,
        "lifetime": f"{settings.lifetime:g}",
        "max_body": settings.max_body,
        "max_headers": settings.max_headers,
        "metadata_schema": schema.document,
    }
    made: dict[str, Any] = filled(template(), holes)
    statuses: set[int] = set()
    for path, item in made["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                own = operation["responses"]
                codes = {*own.pop("x-problems", ()), *_of_any_request(path)}
                failures = {PROBLEMS[code].status for code in codes}
                operation["responses"] = own | dict(_failures(method, failures))
                statuses |= failures
    components = made["components"]
    components["responses"] = {
        f"Problem{status}": _problem(status, components["headers"]) for status in sorted(statuses)
    }
    return made


def filled(part: Any, holes: Mapping[str, Any]) -> Any:
    """Returns a part of the document with its holes filled. The values have no holes."""
    if isinstance(part, dict):
        if part.keys() == {"x-hole"}:
            return holes[part["x-hole"]]
        return {name: filled(value, holes) for name, value in part.items()}
    if isinstance(part, list):
        return [filled(value, holes) for value in part]
    if isinstance(part, str):
        return _hole.sub(lambda hole: str(holes[hole[1]]), part)
    return part


def _failures(method: str, statuses: Iterable[int]) -> Iterator[tuple[str, Any]]:
    """Yields the problems of an operation, by their status."""
    for status in sorted(statuses):
        if method == "head":
            yield str(status), {"description": "As GET, without the content"}
        else:
            yield str(status), {"$ref": f"#/components/responses/Problem{status}"}


def _of_any_request(path: str) -> Iterable[str]:
    codes = {code for code, problem in PROBLEMS.items() if problem.of_any_request}
    return codes - {HOST_IS_WRONG} if path in HEALTH else codes


def _problem(status: int, headers: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the response with that status: all that may be its cause, and its headers."""
    kinds = [problem for problem in PROBLEMS.values() if problem.status == status]
    sent = {name for problem in kinds for name in problem.headers}
    if any(problem.is_logged for problem in kinds):
        sent.add("x-request-id")
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        "description": "\n\n".join(f"{problem.title}: {problem.when}." for problem in kinds),
        "headers": {
            name: {"$ref": f"#/components/headers/{name}"}
            for name in headers
            if name.lower() in sent
        },
        "content": {PROBLEM: {"schema": schema}},
    }
