"""The two clients: how they are created and used, and that they are alike."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import guidkeep
from guidkeep import AsyncClient, Client, errors
from guidkeep import client as clients
from guidkeep.errors import UnknownAnswer
from tests.client.awaited import Awaited


async def test_addresses_below_a_path_are_asked_there(
    kind: type[Client | AsyncClient], client: Awaited
) -> None:
    other = Awaited(kind(f"{client.client.url}/below/"))
    with pytest.raises(UnknownAnswer, match="a wrong path"):
        await other.stats()
    await other.close()


async def test_asynchronous_lines_will_do_for_the_asynchronous_client(
    client: Awaited, guid: str
) -> None:
    if isinstance(client.client, AsyncClient):

        async def lines() -> Any:
            yield {"guid": guid, "user": "Ann"}

        assert [line.guid async for line in client.client.bulk(lines())] == [guid]


async def test_they_are_context_managers(running: Any) -> None:
    with Client(running.address) as client:
        assert client.check() == "ok"
    async with AsyncClient(running.address) as other:
        assert await other.check() == "ok"


def test_both_clients_have_the_same_operations_with_the_same_arguments() -> None:
    ours = {name for name in vars(Client) if not name.startswith("_")}
    assert ours | {"write"} == {name for name in vars(AsyncClient) if not name.startswith("_")}
    for name in ours - {"bulk"}:
        one, other = (inspect.signature(getattr(kind, name)) for kind in (Client, AsyncClient))
        assert one.parameters == other.parameters, name
        assert getattr(AsyncClient, name).__doc__ == f"As `Client.{name}`."


def test_the_clients_are_imported_when_they_are_asked_for() -> None:
    assert guidkeep.Client is Client
    assert {*guidkeep.__all__} <= {*dir(guidkeep)}
    assert {*clients.__all__} <= {*guidkeep.__all__}
    for name in guidkeep.__all__:
        home = clients if name in clients.__all__ else errors
        assert getattr(guidkeep, name) is getattr(home, name)
    with pytest.raises(AttributeError, match="nothing"):
        guidkeep.nothing  # noqa: B018 - the access is the test
