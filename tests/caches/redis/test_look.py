"""The messages of a start about an unusable cache; it goes on without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from guidkeep.caches import first_look
from guidkeep.caches.first_look import look_at
from servers import redis
from servers.processes import free_port
from tests.caches.redis.test_connection import certificate
from tests.engines import here
from tests.server.processes import serving
from tests.server.wire import record, wired
from tests.support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servers.redis import Redis
    from tests.caches.redis.conftest import Opener
    from tests.engines import Engines

PASSWORD = "s3cret"  # noqa: S105 - of a server of the tests


@pytest.fixture(scope="module")
def locked(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """A server with a password."""
    engines.get("redis")  # skips, or fails, if it is not installed
    with here(redis.started(tmp_path_factory.mktemp("locked"), password=PASSWORD)) as server:
        yield server


async def said(open_at: Opener, url: str) -> list[tuple[str, str]]:
    """Returns the levels and reasons that a look at the cache leaves in the log."""
    with capture_logs() as logs:
        await look_at(open_at(url), url)
    messages = [line for line in logs if line["event"].startswith("cache ")]
    assert PASSWORD not in str(logs)
    return [(line["log_level"], line["error"]) for line in messages if "cache" in line]


@pytest.mark.parametrize(
    ("login", "path", "reason"),
    [
        ("", "", "NOAUTH"),
        (":wrong@", "", "WRONGPASS"),
        (f"ann:{PASSWORD}@", "", "WRONGPASS"),
        (f":{PASSWORD}@", "/99", "DB index is out of range"),
    ],
)
async def test_a_url_that_redis_refuses_is_an_error(
    locked: Redis, open_at: Opener, login: str, path: str, reason: str
) -> None:
    [(level, error)] = await said(open_at, f"redis://{login}127.0.0.1:{locked.port}{path}")
    assert level == "error"
    assert reason in error


async def test_a_cache_that_works_is_not_logged(locked: Redis, open_at: Opener) -> None:
    assert await said(open_at, f"redis://:{PASSWORD}@127.0.0.1:{locked.port}") == []


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
async def test_a_cache_that_is_away_is_a_warning(open_at: Opener, scheme: str) -> None:
    [(level, error)] = await said(open_at, f"{scheme}://127.0.0.1:{free_port()}")
    assert level == "warning"
    assert "onnect" in error


async def test_a_cluster_that_refuses_is_an_error(locked: Redis, open_at: Opener) -> None:
    [(level, error)] = await said(open_at, f"redis+cluster://127.0.0.1:{locked.port}")
    assert (level, error.partition(" ")[0]) == ("error", "Redis")


async def test_a_port_for_tls_alone_is_named_as_one(
    engines: Engines, tmp_path: Path, open_at: Opener
) -> None:
    engines.get("redis")
    port = free_port()
    flags = [*certificate(tmp_path), "--tls-port", str(port)]
    with here(redis.started(tmp_path, flags=flags)):
        [(level, error)] = await said(open_at, f"redis://127.0.0.1:{port}")
    assert level == "warning"
    assert "if it accepts TLS only, the URL begins with rediss://" in error


async def test_a_cache_that_does_not_answer_is_not_waited_for(
    locked: Redis, open_at: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_look, "LOOK_SECONDS", 0.0)
    [(level, error)] = await said(open_at, f"redis://127.0.0.1:{locked.port}")
    assert (level, error) == ("warning", "no response within 0 s")


def test_a_server_with_a_wrong_cache_url_says_so_and_serves(locked: Redis, tmp_path: Path) -> None:
    log = tmp_path / "log"
    cache = f"redis://:wrong@127.0.0.1:{locked.port}"
    with serving(tmp_path / "a.db", "--cache", cache, log=log) as server:
        wait_until(lambda: '"cache refuses the URL"' in log.read_text())
        with wired(server.address) as wire:
            assert wire.ask("POST", "/guid", record()).status == 201
        assert server.stop() == 0
    assert f'"cache": "redis://127.0.0.1:{locked.port}"' in log.read_text()
