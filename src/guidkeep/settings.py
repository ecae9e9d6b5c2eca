"""The table of settings. Flags, environment variables, help and docs are made from it."""

from __future__ import annotations

import dataclasses
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guidkeep import caches, stores
from guidkeep.backends import listed
from guidkeep.errors import StartupError
from guidkeep.record import DEFAULT_LIFETIME, DEFAULT_MAX_RECORD, shortened
from guidkeep.system.environment import PREFIX, unknown, without_injected
from guidkeep.units import parse_duration, parse_size
from guidkeep.wire.origins import read_hosts, read_origins

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

LOG_FORMATS = ("auto", "text", "json")
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_GUIDS = ("prefix", "full", "off")
MOST_WORKERS = 256
REQUEST_COST = 8 * 1024
"""Bytes of `--max-memory` that every request takes while it is processed."""
BODY_COST = 6
"""Bytes of `--max-memory` for each byte of a body, which exists as received, decoded, as a record,
encoded, and as sent."""
LEAST_MEMORY = 6 << 20
"""Minimum of `--max-memory` in bytes. With less, every page of a list or the largest file of /docs
would always be refused."""


def _text(text: str) -> str:
    if not text.strip():
        raise StartupError("It must not be empty.")
    return text


def _port(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or int(text) > 65_535:  # noqa: PLR2004 - a port
        raise StartupError(f"{shortened(text)!r} is not a port; write a number from 0 to 65535.")
    return int(text)


def _count(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) < 1:
        raise StartupError(
            f"{shortened(text)!r} is not a number above 0 (and of nine digits at most)."
        )
    return int(text)


def _count_or_none(text: str) -> int:
    return 0 if text == "0" else _count(text)


def _workers(text: str) -> int:
    count = _count(text)
    if count > MOST_WORKERS:
        raise StartupError(f"{count} workers are too many; about one per core is enough.")
    return count


def positive_duration(text: str) -> float:
    """Returns the seconds of a duration above 0.

    Raises:
        StartupError: the text is not a duration, or 0.
    """
    seconds = parse_duration(text)
    if seconds <= 0:
        raise StartupError(f"{text!r} is zero; write a duration above 0.")
    return seconds


def _lifetime(text: str) -> float:
    seconds = parse_duration(text)
    if seconds < 1:
        raise StartupError(f"{text!r} is too short; write at least one second.")
    return seconds


def _positive_size(text: str) -> int:
    size = parse_size(text)
    if size < 1:
        raise StartupError(f"{text!r} is zero; write a size above 0.")
    return size


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def _switch(text: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True}
    words |= {"0": False, "false": False, "no": False, "off": False, "": False}
    if text.lower() not in words:
        raise StartupError(f"{text!r} is neither on nor off.")
    return words[text.lower()]


def _one_of(words: Sequence[str]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise StartupError(f"{text!r} is not one of {', '.join(words)}.")
        return text

    return parse


def _setting(default: str, parse: Callable[[str], Any], metavar: str, about: str) -> Any:
    """A row: the default as text, its parser, its placeholder, its help."""
    row = {"default": default, "parse": parse, "metavar": metavar, "help": about}
    return field(default_factory=lambda: parse(default), metadata=row)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting, with its default. Durations are seconds, sizes bytes."""

    host: str = _setting("127.0.0.1", _text, "ADDRESS", "Address to listen on.")
    port: int = _setting("8080", _port, "PORT", "Port to listen on; 0 takes a free one.")
    workers: int = _setting(
        "1",
        _workers,
        "N",
        "Processes that serve the port; several need a store and a cache on servers.",
    )
    store: str = _setting(
        stores.DEFAULT_URL,
        _text,
        "URL",
        f"Where records are kept: {listed(stores.BACKENDS, 'or')}.",
    )
    cache: str = _setting(
        caches.DEFAULT_URL,
        _text,
        "URL",
        f"Cache of records: {listed(caches.BACKENDS, 'or')}.",
    )
    cache_max_age: float = _setting(
        "60s", positive_duration, "DURATION", "Maximum age of a cache entry."
    )
    cache_timeout: float = _setting(
        f"{caches.DEFAULT_TIMEOUT * 1000:g}ms",
        positive_duration,
        "DURATION",
        "How long a read waits for a cache on another machine; after that it asks the store.",
    )
    cache_write_timeout: float = _setting(
        f"{caches.DEFAULT_PATIENCE:g}s",
        positive_duration,
        "DURATION",
        "How long a write waits for a cache on another machine; after that it goes on, and other "
        "nodes may serve the former record until this one reaches the cache again.",
    )
    lifetime: float = _setting(
        f"{DEFAULT_LIFETIME // 86_400}d",
        _lifetime,
        "DURATION",
        "How long a record lives when it is created without expire.",
    )
    metadata_schema: Path | None = _setting(
        "", _path, "FILE", "JSON Schema (2020-12) for metadata, in place of the one shipped."
    )
    max_body: int = _setting(
        f"{DEFAULT_MAX_RECORD // 1024}KiB",
        _positive_size,
        "SIZE",
        "Largest body of a request, and largest metadata of a record.",
    )
    max_headers: int = _setting(
        "32KiB", _positive_size, "SIZE", "Largest request line and headers together."
    )
    max_connections: int = _setting("20000", _count, "N", "Connections open at once.")
    max_connections_per_client: int = _setting(
        "1000",
        _count_or_none,
        "N",
        "Connections open at once from one address (of IPv6, from one /64); 0, for a service "
        "behind a proxy: no such limit.",
    )
    max_pending: int = _setting(
        "10000", _count, "N", "Requests in progress at once; one more gets 429."
    )
    max_streams: int = _setting(
        "64",
        _count,
        "N",
        "Requests to /bulk and /export at once, a quarter of them from one address; one more gets "
        "429.",
    )
    max_memory: int = _setting(
        "256MiB",
        _positive_size,
        "SIZE",
        "Memory for all requests in progress: bodies, waiting work, responses not yet read.",
    )
    request_timeout: float = _setting(
        "20s", positive_duration, "DURATION", "How long a request may take to arrive."
    )
    idle_timeout: float = _setting(
        "75s", positive_duration, "DURATION", "How long a connection may be idle."
    )
    write_timeout: float = _setting(
        "20s", positive_duration, "DURATION", "How long a client may leave its response unread."
    )
    store_timeout: float = _setting(
        "5s", positive_duration, "DURATION", "How long the store may take; after that, 503."
    )
    drain_timeout: float = _setting(
        "30s", positive_duration, "DURATION", "How long SIGTERM waits for requests to finish."
    )
    sweep_interval: float = _setting(
        "10s", positive_duration, "DURATION", "How often expired records are deleted."
    )
    sweep_margin: float = _setting(
        "1h",
        positive_duration,
        "DURATION",
        "How long an expired record is kept before it is deleted. Nothing is deleted in the same "
        "time after the start, or after the clock was set.",
    )
    sweep_batch: int = _setting("200", _count, "N", "Expired records deleted in one step.")
    allow_host: tuple[str, ...] = _setting(
        "",
        read_hosts,
        "NAME",
        "Hosts that requests may name, separated by commas; on a loopback address localhost is "
        "always one. Others get 421.",
    )
    allow_origin: tuple[str, ...] = _setting(
        "",
        read_origins,
        "ORIGIN",
        "Origins whose browser pages may read and write, separated by commas.",
    )
    access_log: bool = _setting(
        "off", _switch, "on|off", "Log every request; this makes cache hits slower."
    )
    log_format: str = _setting(
        "auto", _one_of(LOG_FORMATS), "|".join(LOG_FORMATS), "auto: text on a terminal, else JSON."
    )
    log_level: str = _setting(
        "info", _one_of(LOG_LEVELS), "|".join(LOG_LEVELS), "The lowest level that is logged."
    )
    log_guids: str = _setting(
        "prefix",
        _one_of(LOG_GUIDS),
        "|".join(LOG_GUIDS),
        "GUIDs in logs: whole, their first eight digits, or none. A GUID is as good as a secret.",
    )


ROWS = dataclasses.fields(Settings)


def flag(name: str) -> str:
    """Returns the flag of a setting."""
    return "--" + name.replace("_", "-")


def variable(name: str) -> str:
    """Returns the environment variable of a setting."""
    return PREFIX + name.upper()


def load(flags: Mapping[str, str | None], environment: Mapping[str, str] = os.environ) -> Settings:
    """Returns the settings. A flag takes precedence over its variable, and that over the default.

    Raises:
        StartupError: a value is wrong; the message names it and says what would be right.
    """
    values = {}
    environment = without_injected(environment)
    for row in ROWS:
        source, text = flag(row.name), flags.get(row.name)
        if text is None:
            source, text = variable(row.name), environment.get(variable(row.name))
        if text is None:
            continue
        try:
            values[row.name] = row.metadata["parse"](text)
        except StartupError as error:
            raise StartupError(f"{source}: {error}") from error
    settings = Settings(**values)
    # One body more, for the part of the response that the client has not read yet.
    least = max(LEAST_MEMORY, REQUEST_COST + (BODY_COST + 1) * settings.max_body)
    if settings.max_memory < least:
        raise StartupError(
            f"{flag('max_memory')}: one request, with a body of {settings.max_body} bytes "
            f"({flag('max_body')}), may take {least} bytes; write at least that."
        )
    return settings


def unknown_variables(
    environment: Mapping[str, str] = os.environ,
) -> Iterator[tuple[str, str | None]]:
    """See `guidkeep.system.environment.unknown`."""
    return unknown(environment, [variable(row.name) for row in ROWS])
