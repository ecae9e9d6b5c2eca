"""The tables in PostgreSQL: made, or checked, when the store is opened.

    CREATE TABLE record (...)            one row a record
    CREATE TABLE guidkeep_schema (version ...)  one row: which schema that is

Nodes that start together on an empty database all try to make them, in one transaction each. One
succeeds; the others fail on a name that is taken, and find the tables made.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

import structlog

from guidkeep.errors import StartupError
from guidkeep.stores.postgresql.pool import asyncpg, is_answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from guidkeep.urls import Address

log = structlog.get_logger("guidkeep.stores.postgresql")

SCHEMA_VERSION = 1
START_SECONDS = 15.0
"""How long a server that can't be reached at the start is waited for."""
FIRST_PAUSE = 0.05
LAST_PAUSE = 1.0
"""Seconds between two tries: doubled each time, up to this."""

# "user" is bytes, for a text can't hold U+0000. It may be longer than an index entry, so it is
# found by its hash, and compared itself.
_CREATE = """
CREATE TABLE guidkeep_schema (version INTEGER PRIMARY KEY);
CREATE TABLE record (
    guid BYTEA PRIMARY KEY CHECK (octet_length(guid) = 16),
    expire BIGINT NOT NULL,
    version BIGINT NOT NULL,
    "user" BYTEA,
    metadata TEXT NOT NULL
);
CREATE INDEX record_by_expire ON record (expire);
CREATE INDEX record_by_user ON record (sha256("user"), guid) WHERE "user" IS NOT NULL;
INSERT INTO guidkeep_schema (version) VALUES (1);
"""
_PROBE = """
SELECT guid, expire, version, "user", metadata FROM record WHERE expire < 0 LIMIT 1
"""
_MISSING_RIGHTS = """
SELECT needed.name FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS needed (name)
WHERE NOT has_table_privilege('record', needed.name)
"""
_SETTINGS = """
SELECT name, setting FROM pg_settings WHERE name IN (
    'fsync', 'full_page_writes', 'synchronous_commit', 'synchronous_standby_names',
    'server_encoding', 'transaction_read_only'
)
"""

_NOT_YET = {"53300", "57P03", "57P01", "08P01", "08006", "08001", "08003", "08004"}
"""Codes with which a server or a proxy turns one away that may be welcome in a moment."""
_ADVICE = {
    "28000": ". If it takes encrypted connections alone, say ?sslmode=verify-full, or require."
}
_TAKEN = {"23505", "42P06", "42P07", "42710", "40001", "40P01"}
"""Codes of a name that is taken: by another node's tables, or by what is none of ours."""
_UNDEFINED = {"42P01", "42703", "42883"}


async def reached(
    connect: Callable[[float], Awaitable[Any]], address: Address, timeout: float
) -> Any:
    """A first connection; a server that can't be reached is waited for.

    Raises:
        StartupError: it did not come, or lets nobody in who logs in like that.
    """
    loop = asyncio.get_running_loop()
    until, pause = loop.time() + START_SECONDS, FIRST_PAUSE
    while True:
        try:
            return await connect(timeout)
        except Exception as error:
            if not _may_pass(error):
                advice = _ADVICE.get(getattr(error, "sqlstate", ""), "")
                raise StartupError(f"{address} can't be used: {_told(error)}{advice}") from error
            if loop.time() + pause > until:
                raise StartupError(f"{address} can't be reached: {_told(error)}") from error
            log.warning("waiting for postgresql", url=str(address), error=_told(error))
        await asyncio.sleep(pause)
        pause = min(2 * pause, LAST_PAUSE)


async def prepare(connection: Any, address: Address, timeout: float) -> None:
    """Makes the tables, or checks those that are there; warns of settings that lose writes.

    Raises:
        StartupError: they are a newer version's, or none of ours, or may not be used; or the
            server did not say so within so many seconds.
    """
    try:
        async with asyncio.timeout(timeout):
            settings = dict(await connection.fetch(_SETTINGS))
            _require_utf8(settings, address)
            version = await _version(connection)
            if version is None:
                version = await _create(connection, address)
            _require_version(version, address)
            await _require_use(connection, address)
    except TimeoutError as error:
        raise StartupError(
            f"{address} can't be used: it did not answer within {timeout:g} s. It may be "
            "overloaded, or another session holds a lock on Guidkeep's tables."
        ) from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StartupError(f"{address} can't be used: {_told(error)}") from error
    _warn(settings, address)


async def _version(connection: Any) -> int | None:
    """Which schema the tables have, None if there are none; 0: there is no saying."""
    if await connection.fetchval("SELECT to_regclass('guidkeep_schema')::text") is None:
        return None
    try:
        version = await connection.fetchval("SELECT max(version) FROM guidkeep_schema")
    except asyncpg.UndefinedColumnError:
        return 0
    return version if isinstance(version, int) else 0


async def _create(connection: Any, address: Address) -> int:
    try:
        await connection.execute(_CREATE)  # without parameters: all of it in one transaction
    except asyncpg.PostgresError as error:
        if error.sqlstate == "42501":
            raise StartupError(
                f"{address}: this user may not create tables ({_told(error)}). Grant it CREATE "
                "on the schema, or start once as a user who may."
            ) from error
        if error.sqlstate not in _TAKEN:
            raise
        version = await _version(connection)
        if version is None:
            raise StartupError(
                f"{address} has a table of another program's ({_told(error)}). Guidkeep needs a "
                "database, or a schema, of its own."
            ) from error
        return version
    log.info("tables made", url=str(address))
    return SCHEMA_VERSION


def _require_version(version: int, address: Address) -> None:
    if version > SCHEMA_VERSION:
        raise StartupError(
            f"{address} was written by a newer version of Guidkeep (its schema is {version}, "
            f"this one knows {SCHEMA_VERSION})."
        )
    if version < SCHEMA_VERSION:
        raise StartupError(
            f"{address}: the table guidkeep_schema is not Guidkeep's, or was emptied."
        )


def _require_utf8(settings: dict[str, str], address: Address) -> None:
    encoding = settings.get("server_encoding", "UTF8")
    if encoding != "UTF8":
        raise StartupError(
            f"{address} is in the encoding {encoding}: Guidkeep needs one in UTF8 "
            "(CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0)."
        )


async def _require_use(connection: Any, address: Address) -> None:
    """Raises StartupError unless the table has its columns and all may be done with it."""
    try:
        await connection.fetch(_PROBE)
        missing = [name for [name] in await connection.fetch(_MISSING_RIGHTS)]
    except asyncpg.PostgresError as error:
        if error.sqlstate in _UNDEFINED:
            raise StartupError(
                f"{address}: the table record is not Guidkeep's ({_told(error)})."
            ) from error
        raise
    if missing:
        raise StartupError(f"{address}: this user lacks {', '.join(missing)} on the table record.")


def _warn(settings: dict[str, str], address: Address) -> None:
    url = str(address)
    for name in ("fsync", "full_page_writes"):
        if settings.get(name) == "off":
            log.warning("a power cut may damage the database", url=url, setting=f"{name}=off")
    commit = settings.get("synchronous_commit")
    if commit == "off":
        log.warning("a crash may lose answered writes", url=url, setting="synchronous_commit=off")
    if commit == "local" and settings.get("synchronous_standby_names"):
        log.warning(
            "a failover may lose answered writes", url=url, setting="synchronous_commit=local"
        )
    if settings.get("transaction_read_only") == "on":
        log.warning("the server is read-only: writes will fail", url=url)


def _may_pass(error: Exception) -> bool:
    """Whether it may be well again in a moment: not a wrong password, or file."""
    if isinstance(error, FileNotFoundError | PermissionError | ssl.SSLError):
        return False
    if isinstance(error, asyncpg.PostgresError):
        return error.sqlstate in _NOT_YET
    return isinstance(error, OSError)


def _told(error: Exception) -> str:
    """An error of the driver's in one line, for an operator; it holds no password."""
    text = str(error) if is_answer(error) else f"{type(error).__name__} {error}"
    return " ".join(text.split())
