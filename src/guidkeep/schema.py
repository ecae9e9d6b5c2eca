"""Validates metadata against a JSON Schema (2020-12): the built-in one, or the operator's."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from guidkeep.errors import Fault, StartupError
from guidkeep.jsontext.faults import explained

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
            "description": "The owner of the GUID: a string of 1 to 255 characters, not blank.",
            "type": "string",
            "minLength": 1,
            "maxLength": 255,
            "pattern": "\\S",
        }
    },
}


MANY = 500
"""The number of values above which only the first fault of metadata is reported."""
WORK = 1 << 22
"""The maximum of backtracking steps times text length for one record: some milliseconds."""
LONGEST_MESSAGE = 300
"""Maximum characters of the validator's message, which repeats the value."""
LONGEST_POINTER = 1024
"""Maximum characters of a pointer: a member's name can be as long as a body."""
FIRST_ONLY = f"Metadata with more than {MANY} values is checked only up to its first fault."
TOO_COMPLEX = (
    "Matching this text with the pattern of the metadata schema takes too many steps: make the "
    "text shorter."
)


class MetadataSchema:
    """Finds the faults of metadata.

    Args:
        schema: a JSON Schema of the 2020-12 dialect. References to other documents are refused:
            nothing is fetched.

    Raises:
        StartupError: it is not a schema, or of another dialect.
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
            self._validators = _Validators(schema)
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            reason = str(error).splitlines()[0]
            raise StartupError(f"The metadata schema is not a valid one: {reason}.") from error
        self.document = schema
        named = schema if isinstance(schema, dict) else {}
        self.declared = frozenset([*named.get("properties", ()), *named.get("required", ())])
        """Names of members in the schema's top-level `properties` and `required`."""
        if "ttl" in self.declared:
            raise StartupError(
                "The metadata schema declares a member ttl. This name is reserved: in a request, "
                "ttl sets the seconds until the record expires, and it is not stored. Rename the "
                "member."
            )

    @classmethod
    def from_file(cls, path: Path) -> MetadataSchema:
        """Reads the schema from the file of `--metadata-schema`.

        Raises:
            StartupError: the file can't be read, is not JSON, or is not a schema.
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
                f"The metadata schema {path} has a number that is not JSON, or too large."
            ) from error

    def faults(self, metadata: Mapping[str, Member]) -> list[Fault]:
        """Returns the faults of `metadata`, each with its place and what would be right.

        With more than `MANY` values the check stops at the first fault, because each fault costs
        microseconds.
        """
        values = {name: member.value for name, member in metadata.items()}
        validator = self._validators.for_text_of(metadata)
        if validator.is_valid(values):
            return []
        if sum(member.text.count(",") + 1 for member in metadata.values()) <= MANY:
            return [self._fault(error) for error in validator.iter_errors(values)]
        try:
            validator.validate(values)
        except jsonschema_rs.ValidationError as error:
            return [self._fault(error), Fault(FIRST_ONLY, pointer="")]
        return []  # pragma: no cover - is_valid() said that there is a fault

    def _fault(self, error: jsonschema_rs.ValidationError) -> Fault:
        place = list(error.instance_path)
        if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Required):
            place.append(error.kind.property)
        if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.BacktrackLimitExceeded):
            return Fault(TOO_COMPLEX, pointer=_bounded(place))
        message = error.message
        if len(message) > LONGEST_MESSAGE:  # it repeats the value, or lists many names
            message = f"{message[:100]}…{message[100 - LONGEST_MESSAGE :]}"
        sentences = [f"{message}."]
        if about := self._description(place):
            sentences.append(about)
        return Fault(" ".join(sentences), pointer=_bounded(place))

    def _description(self, place: list[str | int]) -> str | None:
        """The schema's `description` of that place, if `properties` alone lead there."""
        schema: Any = self.document
        for step in place:
            schema = schema.get("properties", {}).get(step) if isinstance(schema, dict) else None
        about = schema.get("description") if isinstance(schema, dict) else None
        return about if isinstance(about, str) else None


class _Validators:
    """The schema, compiled.

    A pattern without look-around and back-references is matched in linear time. A pattern with them
    is matched by backtracking. A few bytes can keep that busy for hours, so the number of steps is
    bounded. A step may read the whole text, so the bound is lower for a larger text: `WORK` is the
    product of the two.
    """

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._bounded: dict[int, jsonschema_rs.Draft202012Validator] = {}
        self._compile(jsonschema_rs.FancyRegexOptions())  # raises if the schema is wrong
        self._linear: jsonschema_rs.Draft202012Validator | None = None
        with suppress(ValueError):
            self._linear = self._compile(jsonschema_rs.RegexOptions())

    def for_text_of(self, metadata: Mapping[str, Member]) -> jsonschema_rs.Draft202012Validator:
        """Returns the validator for metadata of that size."""
        if self._linear is not None:
            return self._linear
        size = sum(len(member.key) + len(member.text) for member in metadata.values())
        bits = size.bit_length()
        if bits not in self._bounded:
            steps = max(WORK >> bits, 1)
            options = jsonschema_rs.FancyRegexOptions(backtrack_limit=steps)
            self._bounded[bits] = self._compile(options)
        return self._bounded[bits]

    def _compile(
        self, options: jsonschema_rs.RegexOptions | jsonschema_rs.FancyRegexOptions
    ) -> jsonschema_rs.Draft202012Validator:
        return jsonschema_rs.Draft202012Validator(
            self._schema, offline=True, pattern_options=options
        )


def _bounded(place: list[str | int]) -> str:
    """The pointer to that place, or if it is too long, to the nearest parent."""
    while len(found := pointer(place)) > LONGEST_POINTER:
        place = place[:-1]
    return found


def pointer(path: list[str | int]) -> str:
    """Returns the JSON Pointer (RFC 6901) of a path."""
    steps = [str(step).replace("~", "~0").replace("/", "~1") for step in path]
    return "".join(f"/{step}" for step in steps)
