"""Structured logs on standard error: readable on a terminal, JSON otherwise.

Every event passes the processors below, events of libraries included, so no call can bypass them. A
GUID is as good as a secret, and is shown as `--log-guids` says. In text, unprintable characters are
shown as escape sequences, so that no path or message can control a terminal or forge a line.
Logging never waits for the reader of standard error (`guidkeep.system.writer`).
"""

from __future__ import annotations

import ast
import contextlib
import logging
import os
import re
import sys
from typing import TYPE_CHECKING, Any

import structlog

from guidkeep.system.writer import BackgroundWriter

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

LIBRARIES = ("uvicorn", "httpx2")
"""Libraries whose messages below WARNING are not logged: Guidkeep logs starts and requests
itself."""
FLUSH_SECONDS = 2.0
"""Seconds that the end of the process waits until the log is read."""

_GUID = re.compile(r"(?i)([0-9a-f]{8})(?:-?[0-9a-f]){24,}")
"""GUIDs, UUIDs with dashes, and longer runs of hexadecimal digits."""
_BYTES = re.compile(r"""(?i)b(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")
"""A bytes literal of Python. In an exception's text it may be a GUID in a store's binary form."""
_LENGTH = 16
_EXEMPT = frozenset(("request_id",))
"""A request id may come from a proxy; it must match the id in the proxy's log."""
_MULTILINE = ("exception", "stack")


class Handler(logging.Handler):
    """Writes events to a descriptor in the background; never blocks."""

    def __init__(self, descriptor: int, encoding: str) -> None:
        super().__init__()
        self._encoding = encoding
        self._writer = BackgroundWriter(descriptor, self._lost)

    def emit(self, record: logging.LogRecord) -> None:
        """Hands the event to the background writer."""
        try:
            line = self._line(record)
        except Exception as error:  # noqa: BLE001 - a library's event may fail in any way
            name = type(error).__name__
            line = self._made(record.name, "an event could not be logged", error=name)
        self._writer.write(line)

    def flush(self) -> None:
        """Waits until all events are written, for `FLUSH_SECONDS` at most."""
        self._writer.flush(FLUSH_SECONDS)

    def close(self) -> None:
        """Writes the events that are left, and closes the descriptor."""
        self._writer.close()
        super().close()

    def _lost(self, count: int) -> bytes:
        return self._made(__name__, "log lines lost", lines=count)

    def _made(self, logger: str, event: str, **values: Any) -> bytes:
        record = logging.LogRecord(logger, logging.WARNING, "", 0, event, None, None)
        record.__dict__.update(values)
        return self._line(record)

    def _line(self, record: logging.LogRecord) -> bytes:
        return f"{self.format(record)}\n".encode(self._encoding, "backslashreplace")


def configure(*, form: str, level: str, guids: str = "prefix") -> None:
    """Sets up logging for the process, libraries included.

    Args:
        form: "text", "json", or "auto": text on a terminal, else JSON.
        level: the least severity that is logged.
        guids: how GUIDs are shown: "full", "prefix" (the first eight digits) or "off".
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    readable = form == "text" or (form == "auto" and sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = _handler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *(_as_text(guids) if readable else _as_json(guids)),
            ],
        )
    )
    root = logging.getLogger()
    for former in root.handlers:
        if isinstance(former, Handler):
            former.close()  # ends its thread and closes its descriptor
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for library in LIBRARIES:
        logging.getLogger(library).setLevel(max(logging.WARNING, root.level))


def flush() -> None:
    """Waits until all events are written; see `Handler.flush`."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def _handler() -> logging.Handler:
    try:
        return Handler(sys.stderr.fileno(), sys.stderr.encoding)
    except OSError:  # a buffer in memory, which never blocks
        return logging.StreamHandler(sys.stderr)


def _as_text(guids: str) -> list[Processor]:
    return [
        structlog.processors.format_exc_info,
        _guarded(guids),
        _escaped,
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty() and not os.environ.get("NO_COLOR"),
            exception_formatter=structlog.dev.plain_traceback,
            repr_native_str=True,  # escapes unprintable characters
        ),
    ]


def _as_json(guids: str) -> list[Processor]:
    return [
        # Without local variables, which hold bodies and headers of requests.
        structlog.processors.ExceptionRenderer(
            structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        ),
        _guarded(guids),
        structlog.processors.JSONRenderer(),  # in ASCII
    ]


def _guarded(guids: str) -> Processor:
    """Returns a processor that shortens GUIDs in every name and value of an event."""
    instead = {"prefix": "\\1\N{HORIZONTAL ELLIPSIS}", "off": "\N{HORIZONTAL ELLIPSIS}"}.get(guids)

    def shown(text: str) -> str:
        if instead is None or len(text) < _LENGTH:
            return text
        if "\\" in text:
            text = _BYTES.sub(_as_hex, text)
        return _GUID.sub(instead, text)

    def guard(value: Any) -> Any:
        match value:
            case str():
                return shown(value)
            case None | bool() | int() | float():
                return value
            case dict():
                return {guard(key): guard(item) for key, item in value.items()}
            case list() | tuple() | set() | frozenset():
                return [guard(item) for item in value]
            case _:
                return shown(repr(value))

    def process(_: Any, __: str, event: EventDict) -> EventDict:
        return {
            shown(name): value if name in _EXEMPT else guard(value) for name, value in event.items()
        }

    return process


def _as_hex(literal: re.Match[str]) -> str:
    """A bytes literal that may be a GUID, as hexadecimal digits; any other literal unchanged."""
    with contextlib.suppress(ValueError, SyntaxError):
        value: bytes = ast.literal_eval(literal[0])
        if len(value) >= _LENGTH and "\\" in literal[0]:
            return value.hex()
    return literal[0]


def _escaped(_: Any, __: str, event: EventDict) -> EventDict:
    """Escapes the parts that the renderer prints unchanged: names, the event, and tracebacks."""
    escaped = {_printable(name): value for name, value in event.items()}
    escaped["event"] = _printable(str(event["event"]))
    for name in _MULTILINE:
        if name in event:
            # Indented, so that no line of it looks like an event.
            escaped[name] = "\n".join(f"  {_printable(line)}" for line in event[name].split("\n"))
    return escaped


def _printable(text: str) -> str:
    return "".join(
        character if character.isprintable() else repr(character)[1:-1] for character in text
    )
