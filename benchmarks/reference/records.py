"""Records: validation, the store (MariaDB) and the cache (Redis)."""

from __future__ import annotations

import json
import re
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit

import asyncmy
from redis.asyncio import Redis
from tornado.web import HTTPError

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_LIFETIME = 30 * 86_400
MAX_EXPIRE = 253_402_300_799
MAX_USER = 255
CACHE_SECONDS = 3600
"""How long a response stays in the cache, unless its record expires before."""
CONNECTIONS = 32
"""Connections to MariaDB; the fastest of 4, 8, 16, 32 and 64."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS guid (
    guid BINARY(16) PRIMARY KEY,
    expire BIGINT NOT NULL,
    metadata TEXT CHARACTER SET utf8mb4 NOT NULL
) ENGINE = InnoDB
"""
INSERT = "INSERT INTO guid (guid, expire, metadata) VALUES (UNHEX(%s), %s, %s)"
PUT = f"{INSERT} ON DUPLICATE KEY UPDATE expire = VALUES(expire), metadata = VALUES(metadata)"
SELECT = "SELECT expire, metadata FROM guid WHERE guid = UNHEX(%s) AND expire > %s"
DELETE = "DELETE FROM guid WHERE guid = UNHEX(%s) AND expire > %s"

_is_guid = re.compile("[0-9A-F]{32}").fullmatch

Record = dict[str, Any]


class Invalid(HTTPError):
    """The request is not valid; the message says why."""

    def __init__(self, message: str) -> None:
        super().__init__(HTTPStatus.BAD_REQUEST, message)


def check_guid(guid: str) -> str:
    """Returns the GUID if it is valid; raises Invalid."""
    if not _is_guid(guid):
        raise Invalid("A GUID is 32 hexadecimal digits, all upper-case.")
    return guid


def members(body: bytes) -> Record:
    """The members of a JSON object, each checked; raises Invalid."""
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        raise Invalid("The body is not valid JSON.") from None
    if not isinstance(found, dict):
        raise Invalid("The body is not a JSON object.")
    if "expire" in found:
        found["expire"] = _expire(found["expire"])
    if "user" in found:
        user = found["user"]
        if not isinstance(user, str) or not user.strip() or len(user) > MAX_USER:
            raise Invalid(f"user is a text of 1 to {MAX_USER} characters.")
    return found


def _expire(given: object) -> str:
    text = str(given)
    if not (text.isascii() and text.isdigit() and time.time() < int(text) <= MAX_EXPIRE):
        raise Invalid("expire is a Unix time in seconds, in the future.")
    return text


def whole(guid: str, found: Record) -> Record:
    """The record from a request's members; raises Invalid if one is missing."""
    if "user" not in found:
        raise Invalid("user is missing.")
    first = {"guid": guid, "expire": str(int(time.time()) + DEFAULT_LIFETIME)}
    return first | found | {"guid": guid}


class Records:
    """Cache-aside: reads and writes fill the cache."""

    def __init__(self, pool: asyncmy.Pool, redis: Redis) -> None:
        self._pool = pool
        self._redis = redis

    @classmethod
    async def open(cls, store: str, cache: str) -> Self:
        """Connects to both and creates the table."""
        url = urlsplit(store)
        pool = await asyncmy.create_pool(
            host=url.hostname,
            port=url.port or 3306,
            user=unquote(url.username or ""),
            password=unquote(url.password or ""),
            database=url.path.removeprefix("/"),
            charset="utf8mb4",
            autocommit=True,
            minsize=CONNECTIONS,
            maxsize=CONNECTIONS,
        )
        self = cls(pool, Redis.from_url(cache))
        await self._execute(SCHEMA, ())
        return self

    async def read(self, guid: str) -> bytes | None:
        """The response: the record as JSON."""
        cached = await self._redis.get(f"guid:{guid}")
        if isinstance(cached, bytes):
            return cached
        async with self._pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute(SELECT, (guid, int(time.time())))
            row = await cursor.fetchone()
        if row is None:
            return None
        return await self._cache({"guid": guid, "expire": str(row[0]), **json.loads(row[1])})

    async def create(self, record: Record) -> bytes:
        """Stores a record with a new GUID; returns the response."""
        return await self._write(INSERT, record)

    async def put(self, record: Record) -> bytes:
        """Stores a record, new or not; returns the response."""
        return await self._write(PUT, record)

    async def delete(self, guid: str) -> bool:
        """Deletes a record; False: there was none."""
        deleted = await self._execute(DELETE, (guid, int(time.time())))
        await self._redis.delete(f"guid:{guid}")
        return deleted > 0

    async def _write(self, statement: str, record: Record) -> bytes:
        metadata = {name: record[name] for name in record if name not in ("guid", "expire")}
        values = (record["guid"], int(record["expire"]), json.dumps(metadata))
        await self._execute(statement, values)
        return await self._cache(record)

    async def _execute(self, statement: str, values: Sequence[object]) -> int:
        async with self._pool.acquire() as connection, connection.cursor() as cursor:
            affected: int = await cursor.execute(statement, values)
            return affected

    async def _cache(self, record: Record) -> bytes:
        answer = json.dumps(record).encode()
        left = int(record["expire"]) - int(time.time())
        if left > 0:
            await self._redis.set(f"guid:{record['guid']}", answer, ex=min(CACHE_SECONDS, left))
        return answer
