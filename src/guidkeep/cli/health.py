"""`guidkeep health`: whether the server of this machine lives, as a container's health check asks.

It finds the server as `guidkeep serve` is told where to listen, by the same variables, so that a
change of the port needs no second one elsewhere. No proxy of the environment is asked: http.client
knows none.
"""

from __future__ import annotations

from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any

from guidkeep import settings
from guidkeep.cli import exits
from guidkeep.cli.output import complain
from guidkeep.errors import StartupError

if TYPE_CHECKING:
    from guidkeep.settings import Settings

PATIENCE = 2.0
"""Seconds that the answer is waited for; less than health checks give it."""
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what is asked, not bound
"""Addresses that a server listens on but nobody can ask, and what to ask instead."""


def run(options: dict[str, Any]) -> int:
    """Asks `/livez`; returns the exit code."""
    chosen = settings.load(options)
    if not chosen.port:
        raise StartupError("--port 0 is a free port, which nobody else knows: name the port.")
    fault = _fault(chosen)
    if fault is None:
        return 0
    complain(f"The server at {chosen.host}, port {chosen.port}, {fault}.")
    return exits.UNAVAILABLE


def _fault(chosen: Settings) -> str | None:
    """What is wrong; None: nothing."""
    host = EVERYWHERE.get(chosen.host, chosen.host)
    with closing(HTTPConnection(host, chosen.port, timeout=PATIENCE)) as connection:
        try:
            connection.request("GET", "/livez")
            status = connection.getresponse().status
        except OSError as error:
            return f"can't be asked: {error.strerror or error}"
        except HTTPException:
            return "does not speak HTTP"
    return None if status == HTTPStatus.OK else f"answers {status}"
