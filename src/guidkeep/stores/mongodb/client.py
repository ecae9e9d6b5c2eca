"""The connection to MongoDB: reads and checks the URL, and prepares the database.

`guidkeep.stores.mongodb.store` describes the URL.
"""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import parse_qsl

import structlog

from guidkeep.backends import driver
from guidkeep.errors import StartupError
from guidkeep.stores.remote.starting import connections_of, started
from guidkeep.urls import redacted, require_whole, split

driver("pymongo", extra="mongodb")  # if it is missing, the error names the extra to install

import pymongo  # noqa: E402 - after the line above
from pymongo.errors import (  # noqa: E402 - `driver` names a missing one first
    ConfigurationError,
    DuplicateKeyError,
    InvalidURI,
    PyMongoError,
)
from pymongo.read_concern import ReadConcern  # noqa: E402 - `driver` names a missing one first

from guidkeep.stores.mongodb.failures import CODES, advice, failure_of  # noqa: E402 - the same

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from pymongo.asynchronous.collection import AsyncCollection
    from pymongo.asynchronous.database import AsyncDatabase

log = structlog.get_logger(__name__)

Document: TypeAlias = dict[str, Any]
Result = TypeVar("Result")

DATABASE = "guidkeep"
CONNECTIONS = "connections"
"""The parameter of every store for the number of connections; the driver's is maxPoolSize."""
SCHEMA = 1
CLOSE_SECONDS = 1.0


async def connect(
    url: str, *, timeout: float, connections: int
) -> tuple[pymongo.AsyncMongoClient[Document], AsyncCollection[Document]]:
    """Connects, and makes the marker of the schema and the indexes if they are missing.

    It waits for an unreachable server. Several nodes may start at once.

    Args:
        url: the store's URL. The driver gets it without the parameter `connections`.
        timeout: seconds for each attempt, and for each later wait for a server.
        connections: connections to each server at most, unless the URL has a number.

    Returns:
        The client, which the caller closes, and the collection of the records.

    Raises:
        StartupError: no server responds, the URL is wrong, or the database is of a newer
            Guidkeep. The message has the URL without its password.
    """
    url, size = _own_parameters(url)
    client = _client(url, timeout, size or connections)

    async def attempt(deadline: float) -> AsyncCollection[Document]:
        return await in_time(_prepare(client.get_default_database(DATABASE)), deadline)

    try:
        _check(client, url)
        return client, await started(
            attempt, codes=CODES, place=redacted(url), timeout=timeout, advice=advice
        )
    except BaseException:
        await close(client)
        raise


def _own_parameters(url: str) -> tuple[str, int | None]:
    """Returns the URL without the parameter `connections`, and its value; None: it has none."""
    require_whole(url)
    head, _, query = url.partition("?")
    parts = [part.partition("=") for part in query.split("&")]
    ours = [value for name, _, value in parts if name == CONNECTIONS]
    if not ours:
        return url, None
    rest = "&".join("".join(part) for part in parts if part[0] != CONNECTIONS)
    try:
        size = connections_of(ours[0])
    except ValueError as error:
        raise StartupError(f"{redacted(url)}: connections={ours[0]} is wrong. {error}") from None
    return f"{head}?{rest}" if rest else head, size


async def in_time(work: Awaitable[Result], deadline: float) -> Result:
    """Returns the result; the driver gives up at the deadline.

    Raises:
        Failure: it failed; the cause is the driver's error.
    """
    left = deadline - asyncio.get_running_loop().time()
    try:
        with pymongo.timeout(max(left, 0.001)):  # the driver takes 0 for "no timeout"
            return await work
    except PyMongoError as error:
        raise failure_of(error) from error


async def close(client: pymongo.AsyncMongoClient[Document]) -> None:
    """Closes the client; waits for neither a running server check nor a server that hangs.

    The driver's check of a server may take a whole timeout. If the first call of `close` ends
    early, the second closes what is left.
    """
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await client.close()
    except TimeoutError:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await client.close()


def _client(url: str, timeout: float, connections: int) -> pymongo.AsyncMongoClient[Document]:
    """Returns a client, not yet connected. Raises StartupError if the URL is wrong."""
    milliseconds = max(1, int(timeout * 1000))
    defaults: dict[str, Any] = {
        "w": "majority",
        "journal": True,
        "readConcernLevel": "majority",
        "maxPoolSize": connections,
        "serverSelectionTimeoutMS": milliseconds,
        # Bounds the driver's own checks of the servers; operations have their deadlines. With the
        # same value its next check would begin just when a start is given up, and a client that
        # closes in that instant (PyMongo 4.20) leaves the new socket to the garbage collector.
        "connectTimeoutMS": milliseconds * 3 // 2,
        "appname": "guidkeep",
    }
    given = {name.lower() for name, _ in parse_qsl(split(url).query, keep_blank_values=True)}
    options = {name: value for name, value in defaults.items() if name.lower() not in given}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # about unknown or wrong parameters
            return pymongo.AsyncMongoClient(url, **options)
    except InvalidURI:
        # Without the URL and the driver's message: the place of the password is unknown.
        raise StartupError(
            "The store's mongodb:// URL can't be read: user name and password must be "
            "percent-encoded, and hosts separated by commas."
        ) from None
    except (ConfigurationError, ValueError, TypeError, Warning) as error:
        # Without the driver's message, which may have the value of a secret.
        named = sorted((name for name in given if name in str(error).lower()), key=len)
        wrong = f"its parameter {named[-1]}" if named else "its hosts and parameters"
        raise StartupError(f"{redacted(url)} is wrong: look at {wrong}.") from None


def _check(client: pymongo.AsyncMongoClient[Document], url: str) -> None:
    """Refuses a URL that makes responses wrong; warns of one that makes writes less durable."""
    reads, writes = client.read_concern.level, client.write_concern
    faults = [
        (not writes.acknowledged, "w=0: the outcome of each write would be unknown"),
        (client.read_preference.mode != 0, "readPreference: reads go to the primary"),
        (reads not in ("majority", "linearizable"), "readConcernLevel: majority or linearizable"),
        (
            bool(client.options.direct_connection),
            "directConnection: it may not lead to the primary",
        ),
    ]
    for is_wrong, what in faults:
        if is_wrong:
            raise StartupError(f"{redacted(url)} can't be used as it is: {what}.")
    concern = writes.document
    if concern.get("w") != "majority" or concern.get("j") is not True:
        log.warning(
            "write concern is weaker than w=majority and journal=true: a power cut or a failover "
            "may lose acknowledged writes",
            store=redacted(url),
            write_concern=concern,
        )


async def _prepare(database: AsyncDatabase[Document]) -> AsyncCollection[Document]:
    # A local read: another node that starts now may have stored the marker a moment ago.
    markers = database["guidkeep"].with_options(read_concern=ReadConcern("local"))
    marker = await markers.find_one({"_id": "schema"})
    if marker is None:
        try:
            await markers.insert_one(marker := {"_id": "schema", "version": SCHEMA})
        except DuplicateKeyError:
            marker = await markers.find_one({"_id": "schema"}) or {}
    if marker.get("version") != SCHEMA:
        raise StartupError(
            f"The database {database.name} has the schema {marker.get('version')}, this Guidkeep "
            f"knows {SCHEMA}: a newer one made it, and is needed to use it."
        )
    records = database["record"]
    # One by one: FerretDB 1.24 hangs up on a request for several existing indexes.
    await records.create_index([("expire", 1)], name="by_expire")
    await records.create_index([("user", 1), ("_id", 1)], name="by_user")
    return records
