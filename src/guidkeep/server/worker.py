"""One of several workers that serve one port: a process that the supervisor starts.

It reads its job from standard input. It writes one line of JSON to standard output: its address
once it accepts requests, or the error that prevents it. The input stays open while the supervisor
lives. When it ends for any reason, the worker drains as after SIGTERM.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import pickle
import socket
import sys
from typing import IO, TYPE_CHECKING, Any

import structlog

from guidkeep import logs
from guidkeep.errors import StartupError
from guidkeep.server import server
from guidkeep.server.stopping import before_the_loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from guidkeep.server.server import Running
    from guidkeep.server.supervisor import Job


def main(orders: IO[bytes], answers: IO[bytes]) -> int:
    """Serves until SIGTERM, or until `orders` ends; returns the exit code."""

    def say(**answer: Any) -> None:
        with contextlib.suppress(OSError):  # the supervisor is gone
            answers.write(json.dumps(answer).encode() + b"\n")
            answers.flush()

    job: Job = pickle.load(orders)  # noqa: S301 - from the process that started this one
    settings = job.settings
    structlog.contextvars.bind_contextvars(worker=job.number)
    logs.configure(form=settings.log_format, level=settings.log_level, guids=settings.log_guids)
    try:
        with before_the_loop():
            server.run(settings, lambda: _work(job, orders.fileno(), say))
    except StartupError as error:
        say(error=str(error))
        return 1
    return 0


async def _work(job: Job, orders: int, say: Callable[..., None]) -> None:
    stop: Callable[[], object]

    def up(running: Running) -> None:
        nonlocal stop
        stop = running.stop
        say(address=running.address)

    def over() -> None:
        loop.remove_reader(orders)
        stop()

    loop = asyncio.get_running_loop()
    with socket.socket(fileno=job.descriptor) as listener:
        share = server.Share(listener=listener, number=job.number, names=job.names)
        serving = asyncio.create_task(server.serve(job.settings, started=up, share=share))
        stop = serving.cancel
        loop.add_reader(orders, over)
        await asyncio.wait([serving])
        loop.remove_reader(orders)
    if not serving.cancelled():
        serving.result()


if __name__ == "__main__":  # pragma: no cover - a process of its own
    sys.exit(main(sys.stdin.buffer, sys.stdout.buffer))
