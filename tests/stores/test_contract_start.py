"""The promises of every store on a server at the start."""

from __future__ import annotations

import asyncio
import socket
import traceback
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from guidkeep.errors import StartupError
from guidkeep.metrics import Metrics
from guidkeep.stores import open_store
from servers.processes import free_port
from tests.engines import SINGLE
from tests.stores.mongodb.conftest import no_socket_is_left
from tests.stores.records import guid_of, make_record

if TYPE_CHECKING:
    from guidkeep.stores import Store
    from tests.stores.outage import Outage

__all__ = ["no_socket_is_left"]

SECRET = "sword-fish"  # noqa: S105 - no account has it


async def refusal(url: str, timeout: float) -> str:
    """Returns the error of a store that can't be opened; nothing shows the secret."""
    with capture_logs() as logs, pytest.raises(StartupError) as refused:
        await open_store(url, timeout=timeout, metrics=Metrics())
    assert SECRET not in "".join(traceback.format_exception(refused.value)) + repr(logs)
    return str(refused.value)


def with_login(url: str, login: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}").geturl()


@pytest.mark.waits
@pytest.mark.parametrize("name", SINGLE)
async def test_a_server_that_is_away_is_waited_for_and_then_named(name: str) -> None:
    port = free_port()
    said = await refusal(f"{name}://ann:{SECRET}@127.0.0.1:{port}/guidkeep", 0.1)
    assert f"Can't use the store {name}://127.0.0.1:{port}/guidkeep, tried for 0.3 s: " in said


@pytest.mark.waits
@pytest.mark.parametrize("name", SINGLE)
async def test_a_server_that_accepts_and_says_nothing_is_given_up(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"{name}://ann:{SECRET}@127.0.0.1:{mute.getsockname()[1]}/guidkeep"
        assert "tried for 0.3 s: " in await refusal(url, 0.1)


async def test_a_server_that_comes_late_is_waited_for(outage: Outage) -> None:
    outage.proxy.cut()
    opening = asyncio.ensure_future(open_store(outage.url, timeout=20.0, metrics=Metrics()))
    await asyncio.sleep(0)
    outage.proxy.heal()
    store = await opening
    assert await store.insert(make_record())
    await store.close()


async def test_a_login_that_is_refused_is_not_tried_again(outage: Outage) -> None:
    said = await refusal(with_login(outage.url, f"nobody:{SECRET}"), 1000.0)
    assert "tried for" not in said


async def test_many_nodes_may_start_at_once(outage: Outage) -> None:
    opening = (open_store(outage.url, timeout=60.0, metrics=Metrics()) for _ in range(5))
    stores: list[Store] = await asyncio.gather(*opening)
    rivals = [make_record(user=f"user {number}") for number in range(5)]
    done = [await store.insert(rival) for store, rival in zip(stores, rivals, strict=True)]
    assert done == [True, *[False] * 4]
    for store in stores:
        assert await store.get(guid_of(1)) == rivals[0]
        await store.close()
