"""The shared parts of commands: the client, and the conversion of errors to exit codes."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from guidkeep.cli import exits, interrupts
from guidkeep.cli.output import Output, complain, failed
from guidkeep.client import AsyncClient, Client, transport
from guidkeep.errors import GuidkeepError, StartupError
from guidkeep.settings import positive_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Options = dict[str, Any]
    Work = Callable[[Client, Options, Output], int]

AnyClient = TypeVar("AnyClient", Client, AsyncClient)

ATTEMPTS = 5
"""Attempts for each request of an interactive command."""
GOES_ON = " Run it again: it resumes there."


def with_client(work: Work) -> Callable[[Options], int]:
    """Makes a command from a function that takes a client, the options and an output."""

    def run(options: Options) -> int:
        return guarded(lambda: _run(work, options))

    return run


def guarded(work: Callable[[], int], *, again: str | Callable[[], str] = "") -> int:
    """Does the work; an error becomes a message and an exit code.

    Args:
        work: returns the exit code.
        again: a further sentence, for work that stopped before its end.
    """

    def left() -> str:
        return again if isinstance(again, str) else again()

    try:
        with interrupts.raised():
            code = work()
            sys.stdout.flush()
    except GuidkeepError as error:
        message = exits.sentence_of(error)
        if not isinstance(error, StartupError) and (more := left()):  # else it has not begun
            message = f"It stopped before the end: {message}{more}"
        complain(message)
        return exits.code_of(error)
    except OSError as error:
        return failed(error, left())
    except KeyboardInterrupt:
        complain(f"Interrupted.{left()}")
        return exits.INTERRUPTED
    return code


@contextmanager
def connected(options: Options) -> Iterator[Client]:
    """Yields a client for the service that the options name.

    Raises:
        StartupError: the options are invalid.
    """
    with client_of(Client, options) as client:
        yield client


def client_of(kind: type[AnyClient], options: Options, *, attempts: int = ATTEMPTS) -> AnyClient:
    """Returns a client for the service that the options name, which the caller must close.

    Args:
        kind: the client's class.
        options: the command's options.
        attempts: attempts for each request, within the timeout.

    Raises:
        StartupError: the options are invalid.
    """
    address, timeout = address_of(options), timeout_of(options)
    try:
        return kind(address, timeout=timeout, attempts=attempts)
    except (ValueError, ImportError) as error:
        raise StartupError(f"The proxy of the environment can't be used: {error}") from error


def address_of(options: Options) -> str:
    """Returns the address of the service.

    Raises:
        StartupError: it is not a valid address.
    """
    try:
        return transport.address_of(options["url"])
    except ValueError as error:
        source = "--url" if options["url"] else transport.URL_VARIABLE
        raise StartupError(f"{source}: {error}") from error


def timeout_of(options: Options) -> float:
    """Returns the timeout for a call, in seconds.

    Raises:
        StartupError: `--timeout` is not a duration.
    """
    try:
        return positive_duration(options["timeout"])
    except StartupError as error:
        raise StartupError(f"--timeout: {error}") from error


def _run(work: Work, options: Options) -> int:
    output = Output(options.get("form"))
    with connected(options) as client:
        return work(client, options, output)
