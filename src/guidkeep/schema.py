"""Metadata is checked against a JSON Schema (2020-12): the one shipped, or the operator's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from guidkeep.errors import Fault, StartupError
from guidkeep.jsonfaults import explained

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from guidkeep.jsontext import Member

DIALECT = "https://json-schema.org/draft/2020-12/schema"

DEFAULT: dict[str, Any] = {
    "$schema": DIALECT,
    "title": "Metadata",
    "type": "object",
    "required": ["user"],
    "properties": {
        "user": {
            "description": "Whom the GUID belongs to: a string of 1 to 255 characters, not blank.",
            "type": "string",
            "minLength": 1,
            "maxLength": 255,
            "pattern": "\\S",
        }
    },
}


class MetadataSchema:
    """Finds what is wrong with metadata.

    Args:
        schema: a JSON Schema of the 2020-12 dialect. References outside itself are refused:
            nothing is fetched.

    Raises:
        StartupError: it is no schema, or of another dialect.
    """

    def __init__(self, schema: Any = DEFAULT) -> None:
        if not isinstance(schema, dict | bool):
            raise StartupError("The metadata schema must be a JSON object, or true or false.")
        dialect = schema.get("$schema", DIALECT) if isinstance(schema, dict) else DIALECT
        if dialect not in (DIALECT, f"{DIALECT}#"):
            raise StartupError(
                f"The metadata schema is of the dialect {dialect}; Guidkeep reads {DIALECT}."
            )
        try:
            self._validator = jsonschema_rs.Draft202012Validator(schema, offline=True)
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            reason = str(error).splitlines()[0]
            raise StartupError(f"The metadata schema is not a valid one: {reason}.") from error
        self.document = schema
        named = schema if isinstance(schema, dict) else {}
        self.declared = frozenset([*named.get("properties", ()), *named.get("required", ())])
        """Names of members that the schema declares, in its own `properties` or `required`."""
        if "ttl" in self.declared:
            raise StartupError(
                "The metadata schema declares a member ttl, which is the record's own: it says in "
                "how many seconds the record expires, and is not stored. Name the member otherwise."
            )

    @classmethod
    def from_file(cls, path: Path) -> MetadataSchema:
        """Reads the schema of `--metadata-schema FILE`.

        Raises:
            StartupError: the file can't be read, is not JSON, or holds no schema.
        """
        try:
            schema = json.loads(path.read_bytes())
            json.dumps(schema, allow_nan=False)  # refuses 1e400, which would be Infinity when shown
            return cls(schema)
        except OSError as error:
            raise StartupError(f"Can't read the metadata schema: {error}.") from error
        except (json.JSONDecodeError, RecursionError) as error:
            raise StartupError(
                f"The metadata schema {path} is not JSON: {explained(error)}."
            ) from error
        except UnicodeDecodeError as error:
            raise StartupError(f"The metadata schema {path} is not UTF-8.") from error
        except ValueError as error:
            raise StartupError(
                f"The metadata schema {path} has a number that is none of JSON's, or too large."
            ) from error

    def faults(self, metadata: Mapping[str, Member]) -> list[Fault]:
        """All that is wrong with `metadata`, each with its place and what would be right."""
        values = {name: member.value for name, member in metadata.items()}
        if self._validator.is_valid(values):
            return []
        return [self._fault(error) for error in self._validator.iter_errors(values)]

    def _fault(self, error: jsonschema_rs.ValidationError) -> Fault:
        place = list(error.instance_path)
        if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Required):
            place.append(error.kind.property)
        sentences = [f"{error.message}."]
        if about := self._description(place):
            sentences.append(about)
        return Fault(" ".join(sentences), pointer=pointer(place))

    def _description(self, place: list[str | int]) -> str | None:
        """What the schema says of that place, when it says it plainly."""
        schema: Any = self.document
        for step in place:
            schema = schema.get("properties", {}).get(step) if isinstance(schema, dict) else None
        about = schema.get("description") if isinstance(schema, dict) else None
        return about if isinstance(about, str) else None


def pointer(path: list[str | int]) -> str:
    """A JSON Pointer (RFC 6901)."""
    steps = [str(step).replace("~", "~0").replace("/", "~1") for step in path]
    return "".join(f"/{step}" for step in steps)
