"""The way to MongoDB: the URL read and checked, and the database made ready.

What a URL may say is told in `guidkeep.stores.mongodb.store`.
"""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qsl

import structlog

from guidkeep.errors import StartupError
from guidkeep.stores.remote.failures import Unreached
from guidkeep.stores.remote.starting import connections_of, started
from guidkeep.urls import driver, redacted, require_whole, split

driver("pymongo", extra="mongodb")  # says what installs it, if it is not there

import pymongo  # noqa: E402 - after the line above
from pymongo.errors import (  # noqa: E402 - `driver` names a missing one first
    ConfigurationError,
    DuplicateKeyError,
    InvalidURI,
    OperationFailure,
    PyMongoError,
)
from pymongo.read_concern import ReadConcern  # noqa: E402 - `driver` names a missing one first

from guidkeep.stores.mongodb.failures import CODES  # noqa: E402 - the same

if TYPE_CHECKING:
    from pymongo.asynchronous.collection import AsyncCollection
    from pymongo.asynchronous.database import AsyncDatabase

log = structlog.get_logger("guidkeep.stores.mongodb")

Document: TypeAlias = dict[str, Any]

DATABASE = "guidkeep"
CONNECTIONS = "connections"
"""The parameter that bounds their number in any store's URL; the driver's own is maxPoolSize."""
SCHEMA = 1
CLOSE_SECONDS = 1.0


async def connect(
    url: str, *, timeout: float, connections: int
) -> tuple[pymongo.AsyncMongoClient[Document], AsyncCollection[Document]]:
    """Connects, and makes what is not there yet: the schema's marker and the indexes.

    A server that is away is waited for; several nodes may start at once.

    Args:
        url: as it was given. It goes to the driver, but for the parameter `connections`.
        timeout: seconds for each attempt, and for each later wait for a server.
        connections: to each server at most, unless the URL says otherwise.

    Returns:
        The client, to be closed, and the collection of the records.

    Raises:
        StartupError: no server answers, the URL is wrong, or the database is of a newer
            Guidkeep. The message has the URL without its password.
    """
    url, size = _own_parameters(url)
    client = _client(url, timeout, size or connections)

    async def attempt(until: float) -> AsyncCollection[Document]:
        left = until - asyncio.get_running_loop().time()
        try:
            with pymongo.timeout(max(left, 0.001)):  # 0 would be: no end
                return await _prepare(client.get_default_database(DATABASE))
        except PyMongoError as error:
            why = _why(error, timeout)
            raise Unreached(type(error).__name__, again=error.timeout, detail=why) from error

    try:
        _check(client, url)
        return client, await started(
            attempt, codes=CODES, place=redacted(url), timeout=timeout, advice=lambda _: ""
        )
    except BaseException:
        await close(client)
        raise


def _own_parameters(url: str) -> tuple[str, int | None]:
    """The URL without the parameter `connections`, and its value; None: there is none."""
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


async def close(client: pymongo.AsyncMongoClient[Document]) -> None:
    """Closes it. A look at a server that has just begun is not waited for: it takes a time-out.

    Nor is the goodbye to a server that hangs: then a second call does what came after that.
    """
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await client.close()
    except TimeoutError:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await client.close()


def _client(url: str, timeout: float, connections: int) -> pymongo.AsyncMongoClient[Document]:
    """A client, not yet connected. Raises StartupError if the URL is wrong."""
    milliseconds = max(1, int(timeout * 1000))
    defaults: dict[str, Any] = {
        "w": "majority",
        "journal": True,
        "readConcernLevel": "majority",
        "maxPoolSize": connections,
        "serverSelectionTimeoutMS": milliseconds,
        # Bounds the driver's own looks at the servers; operations have their deadlines. Not the
        # same: its next look would begin just when a start is given up, and a client that is
        # closed in that instant (PyMongo 4.20) leaves the new socket to the garbage collector.
        "connectTimeoutMS": milliseconds * 3 // 2,
        "appname": "guidkeep",
    }
    given = {name.lower() for name, _ in parse_qsl(split(url).query, keep_blank_values=True)}
    options = {name: value for name, value in defaults.items() if name.lower() not in given}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of parameters that are unknown or wrong
            return pymongo.AsyncMongoClient(url, **options)
    except InvalidURI:
        # The text is not shown, nor the driver's message: where the password is can't be told.
        raise StartupError(
            "The store's mongodb:// URL can't be read: user name and password must be "
            "percent-encoded, and hosts separated by commas."
        ) from None
    except (ConfigurationError, ValueError, TypeError, Warning) as error:
        # Not in the driver's words, which may have a secret's value in them.
        named = sorted((name for name in given if name in str(error).lower()), key=len)
        wrong = f"its parameter {named[-1]}" if named else "its hosts and parameters"
        raise StartupError(f"{redacted(url)} is wrong: look at {wrong}.") from None


def _check(client: pymongo.AsyncMongoClient[Document], url: str) -> None:
    """Refuses a URL that would make answers wrong; warns of one that makes writes less durable."""
    reads, writes = client.read_concern.level, client.write_concern
    faults = [
        (not writes.acknowledged, "w=0: nobody would know whether a write happened"),
        (client.read_preference.mode != 0, "readPreference: reads go to the primary"),
        (reads not in ("majority", "linearizable"), "readConcernLevel: majority or linearizable"),
        (bool(client.options.direct_connection), "directConnection: a member may be no primary"),
    ]
    for is_wrong, what in faults:
        if is_wrong:
            raise StartupError(f"{redacted(url)} can't be used as it is: {what}.")
    concern = writes.document
    if concern.get("w") != "majority" or concern.get("j") is not True:
        log.warning(
            "write concern is weaker than w=majority and journal=true: a power cut or a fail-over "
            "may take answered writes",
            store=redacted(url),
            write_concern=concern,
        )


async def _prepare(database: AsyncDatabase[Document]) -> AsyncCollection[Document]:
    # Locally: another node that starts now may have put it there a moment ago.
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
    # One by one: FerretDB 1.24 hangs up on a request that has several which are there already.
    await records.create_index([("expire", 1)], name="by_expire")
    await records.create_index([("user", 1), ("_id", 1)], name="by_user")
    return records


def _why(error: PyMongoError, timeout: float) -> str:
    if error.timeout:
        return (
            f"no server that takes writes answered within {timeout:g} s. One that takes TLS alone "
            "does not answer without ?tls=true"
        )
    if isinstance(error, OperationFailure) and error.code in (13, 18):
        return "the server refuses this user and password, or the user may not write there"
    return f"the driver says {type(error).__name__}, the log says more"
