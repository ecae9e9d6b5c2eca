"""`guidkeep serve`: reads the settings, sets up the logs, and runs the server or its supervisor."""

from __future__ import annotations

from typing import Any

import structlog

from guidkeep import logs, settings
from guidkeep.cli import exits
from guidkeep.errors import StartupError
from guidkeep.server import stopping

log = structlog.get_logger(__name__)


def run(flags: dict[str, Any]) -> int:
    """Serves until it is stopped; returns the exit code."""
    with stopping.before_the_loop():
        chosen = settings.load(flags)
        logs.configure(form=chosen.log_format, level=chosen.log_level, guids=chosen.log_guids)
        for name, nearest in settings.unknown_variables():
            log.warning("unknown variable", variable=name, nearest=nearest)
        try:
            if chosen.workers > 1:
                from guidkeep.server import supervisor  # noqa: PLC0415 - the import is slow

                supervisor.run(chosen)
            else:
                from guidkeep.server import server  # noqa: PLC0415 - the same

                server.run(chosen)
        except StartupError:
            logs.flush()  # the message comes last, where it is looked for
            raise
        except Exception:
            log.exception("crashed")
            return exits.FAILED
    return exits.DONE
