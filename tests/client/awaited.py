"""Both clients behind one interface: every call is awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from guidkeep import Client

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from guidkeep import AsyncClient


class Awaited:
    """A client whose methods are all awaited; iterators become lists."""

    def __init__(self, client: Client | AsyncClient) -> None:
        self.client = client

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self.client, name)

        async def call(*arguments: Any, **options: Any) -> Any:
            if isinstance(self.client, Client):
                return await asyncio.to_thread(_whole, method, arguments, options)
            result = method(*arguments, **options)
            if isinstance(result, AsyncIterator):
                return [item async for item in result]
            return await result

        return call


def _whole(method: Callable[..., Any], arguments: Any, options: Any) -> Any:
    result = method(*arguments, **options)
    return list(result) if isinstance(result, Iterator) else result
