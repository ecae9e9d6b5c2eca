"""Starting and stopping `guidkeep serve` as a process."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from guidkeep.settings import Settings
from tests.http.helpers import Api

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator

PROGRAM = Path(sys.executable).with_name("guidkeep")


@asynccontextmanager
async def started(
    folder: Path, *arguments: str, **environment: str
) -> AsyncIterator[tuple[Process, Api]]:
    """A server in that folder, stopped at the end, and a client of it."""
    inherited = {name: v for name, v in os.environ.items() if not name.startswith("GUIDKEEP_")}
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        "serve",
        *arguments,
        cwd=folder,
        env=inherited | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with Api(await address(process)) as api:
            yield process, api
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(30):
            await process.communicate()


async def address(process: Process) -> str:
    """Returns the address in its start line."""
    assert process.stdout
    async with asyncio.timeout(30):
        line = (await process.stdout.readline()).decode()
    found = re.search(r"http://\S+", line)
    assert found, line
    return found[0]


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = Settings()
    assert settings.host == "127.0.0.1"
    assert settings.port == 8080
    assert settings.store == "sqlite:///guidkeep.db"
    assert settings.cache == "memory://"
    assert settings.lifetime == 30 * 24 * 60 * 60
    assert settings.max_body == 64 * 1024
    assert settings.cache_max_age == 60


async def test_a_free_port_is_taken_and_printed_when_requests_are_accepted(tmp_path: Path) -> None:
    async with started(tmp_path, "--port", "0") as (process, api):
        assert str(api.base_url).startswith("http://127.0.0.1:")
        assert api.base_url.port
        answer = await api.post("/guid", json={"user": "Ann"})  # at once, without a second try
        assert answer.status_code == 201
        assert (tmp_path / "guidkeep.db").exists()
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def test_a_port_that_is_taken_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = await asyncio.create_subprocess_exec(
            PROGRAM, "serve", "--port", port, cwd=tmp_path, stderr=asyncio.subprocess.PIPE
        )
        _, said = await process.communicate()
    assert process.returncode == 2
    assert port in said.decode()
    assert "--port 0" in said.decode()


async def test_sigterm_lets_a_request_that_has_begun_finish(tmp_path: Path) -> None:
    async with started(tmp_path, "--port", "0") as (process, api):
        body = b'{"user": "Ann"}'
        head = b"POST /guid HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
        reader, writer = await asyncio.open_connection(api.base_url.host, api.base_url.port)
        writer.write(head + body[:5])
        assert (await api.get("/livez")).status_code == 200  # so the server has read the above
        process.terminate()
        async with asyncio.timeout(30):
            while await accepts(api):  # noqa: ASYNC110 - another process gives no notice
                await asyncio.sleep(0.01)
            writer.write(body[5:])
            assert b" 201 " in await reader.readline()
            writer.close()
            assert await process.wait() == 0


async def accepts(api: Api) -> bool:
    """Returns whether the server accepts new connections."""
    try:
        _, writer = await asyncio.open_connection(api.base_url.host, api.base_url.port)
    except ConnectionError:
        return False
    writer.close()
    return True


async def test_an_answered_write_survives_a_kill_at_once(tmp_path: Path, guid: str) -> None:
    async with started(tmp_path, "--port", "0") as (process, api):
        made = await api.put(f"/guid/{guid}", json={"user": "Ann"})
        gone = await api.post("/guid", json={"user": "Bea"})
        await api.delete(gone.headers["location"])
        process.kill()
        await process.wait()
    async with started(tmp_path, "--port", "0") as (_, api):
        again = await api.get(f"/guid/{guid}")
        assert (again.text, again.headers["etag"]) == (made.text, made.headers["etag"])
        assert (await api.get(gone.headers["location"])).status_code == 404


async def test_every_flag_has_an_environment_variable_and_wins_over_it(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text('{"required": ["owner"]}')
    environment = {
        "GUIDKEEP_HOST": "localhost",
        "GUIDKEEP_PORT": "0",
        "GUIDKEEP_STORE": "sqlite:///other.db",
        "GUIDKEEP_CACHE": "none://",
        "GUIDKEEP_LIFETIME": "1h",
        "GUIDKEEP_MAX_BODY": "100",
        "GUIDKEEP_METADATA_SCHEMA": "schema.json",
        "GUIDKEEP_ALLOW_ORIGIN": "https://friend.example",
    }
    async with started(tmp_path, "--max-body", "200", **environment) as (_, api):
        assert (tmp_path / "other.db").exists()
        assert not (tmp_path / "guidkeep.db").exists()
        made = await api.post("/guid", json={"owner": "x" * 100, "expire": None})
        lifetime = int(made.json()["expire"]) - time.time()
        assert lifetime == pytest.approx(3600, abs=2)
        assert (await api.post("/guid", json={"user": "Ann"})).status_code == 400
        assert (await api.post("/guid", json={"owner": "x" * 200})).status_code == 413
        headers = {"Origin": "https://friend.example"}
        answer = await api.post("/guid", json={"owner": "Ann"}, headers=headers)
        assert answer.headers["access-control-allow-origin"] == "https://friend.example"


async def test_an_empty_schema_means_free_form(tmp_path: Path, guid: str) -> None:
    (tmp_path / "free.json").write_text("{}")
    arguments = ["--port", "0", "--metadata-schema", "free.json"]
    async with started(tmp_path, *arguments) as (_, api):
        made = await api.post(f"/guid/{guid}", json={})
        assert (made.status_code, list(made.json())) == (201, ["guid", "expire"])
        assert (await api.patch(f"/guid/{guid}", json={"user": [1, 2]})).status_code == 200
        assert (await api.patch(f"/guid/{guid}", json={"user": None})).json() == made.json()
