"""`guidkeep health`: a container's health check of the server on this machine.

It reads the server's address from the same variables as `guidkeep serve`, so a changed port is set
in one place. It uses no proxy of the environment: http.client supports none.
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
"""Seconds to wait for the response; less than a health check allows."""
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - connected to, not bound
"""Wildcard addresses that a server listens on, and the address to connect to instead."""


def run(options: dict[str, Any]) -> int:
    """Requests `/livez`; returns the exit code."""
    chosen = settings.load(options)
    if not chosen.port:
        raise StartupError("--port 0 means any free port: give the server's actual port.")
    fault = _fault(chosen)
    if fault is None:
        return 0
    complain(f"The server at {chosen.host}, port {chosen.port}, {fault}.")
    return exits.UNAVAILABLE


def _fault(chosen: Settings) -> str | None:
    """Returns the fault; None if the server is alive."""
    host = EVERYWHERE.get(chosen.host, chosen.host)
    with closing(HTTPConnection(host, chosen.port, timeout=PATIENCE)) as connection:
        try:
            connection.request("GET", "/livez")
            status = connection.getresponse().status
        except OSError as error:
            return f"can't be reached: {error.strerror or error}"
        except HTTPException:
            return "does not speak HTTP"
    return None if status == HTTPStatus.OK else f"responds with {status}"
