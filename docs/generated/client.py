"""The reference of the Python client, from its docstrings: for docs/client.md."""

from __future__ import annotations

import inspect
import re
import textwrap
from typing import TYPE_CHECKING, Any

import guidkeep
from guidkeep import errors
from guidkeep.client import models

if TYPE_CHECKING:
    from types import ModuleType

WIDTH = 90
"""Characters of a signature on one line at most."""

_sections = re.compile(r"^(Args|Attributes|Raises):\n((?: {4}.*\n?|\n)+)", re.MULTILINE)
_entry = re.compile(r"^(\w[\w, ]*)(?:: (.*(?:\n +.*)*))?", re.MULTILINE)


def reference() -> str:
    """Returns the reference as Markdown."""
    parts = ["## `guidkeep.Client`", _text(guidkeep.Client)]
    parts += [_method(name) for name in vars(guidkeep.Client) if not name.startswith("_")]
    parts += ["## `guidkeep.AsyncClient`", _text(guidkeep.AsyncClient), "## What they return"]
    for kind in _public(models):
        parts += [f"### `guidkeep.{kind.__name__}`", _text(kind), _properties(kind)]
    parts.append("## What they raise")
    for kind in _public(errors):
        parts += [f"### `guidkeep.{kind.__name__}`", _text(kind)]
        parts.append(_properties(kind) if kind is errors.GuidkeepError else "")
    return "\n\n".join(part for part in parts if part)


def _public(module: ModuleType) -> list[type]:
    """Returns the public classes of a module in its order, errors before what they hold."""
    found = [kind for name, kind in vars(module).items() if name in guidkeep.__all__]
    return sorted(found, key=lambda kind: module is errors and not issubclass(kind, Exception))


def _method(name: str) -> str:
    method = getattr(guidkeep.Client, name)
    return f"### `{name}`\n\n```py\n{_signature(name, method)}\n```\n\n{_text(method)}"


def _signature(name: str, method: Any) -> str:
    """Returns the signature without self, in several lines if one is too long."""
    signature = inspect.signature(method)
    given = list(signature.parameters.values())[1:]
    shown = (
        str(signature.replace(parameters=given))
        .replace("'", "")
        .replace("<_Keep.KEEP: KEEP>", "KEEP")
        .replace("<_Any.ANY: ANY>", "ANY")
    )
    shown = shown.replace('"', "")
    if len(shown) + len(name) <= WIDTH:
        return f"{name}{shown}"
    inner, _, result = shown[1:].rpartition(") -> ")
    words = re.split(r", (?![^\[]*\])", inner)
    return f"{name}(\n" + "".join(f"    {word},\n" for word in words) + f") -> {result}"


def _properties(kind: type) -> str:
    """Returns the properties of a class, each with its docstring; empty: it has none."""
    found = [
        f"- `{name}`: {inspect.getdoc(value)}"
        for name, value in vars(kind).items()
        if isinstance(value, property)
    ]
    return "\n".join(found)


def _text(thing: Any) -> str:
    """Returns a docstring as Markdown: its sections become lists."""
    text = inspect.getdoc(thing) or ""
    if text.startswith(f"{getattr(thing, '__name__', '')}("):  # a docstring made by dataclass
        return ""
    return re.sub("\n{3,}", "\n\n", _sections.sub(_listed, f"{text}\n")).strip()


def _listed(section: re.Match[str]) -> str:
    title = {"Args": "Arguments", "Attributes": "It has", "Raises": "Raises"}[section[1]]
    body = textwrap.dedent(section[2]).strip()
    entries = []
    for entry in _entry.finditer(body):
        names = ", ".join(f"`{name}`" for name in entry[1].split(", "))
        about = " ".join((entry[2] or "").split())
        entries.append(f"- {names}: {about}" if about else f"- {names.rstrip('.')}")
    return f"{title}:\n\n" + "\n".join(entries) + "\n\n"
