"""The tables in PostgreSQL: made, or checked, when the store is opened.

    CREATE TABLE record (...)                   one row for each record
    CREATE TABLE guidkeep_schema (version ...)  one row: the version of the schema

Nodes that start together on an empty database all try to make the tables, in one transaction each.
One succeeds; the others fail because the names are taken, and find the tables made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from guidkeep.errors import StartupError
from guidkeep.stores.postgresql.adapter import Script, Statement
from guidkeep.stores.remote.failures import Failure, Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from guidkeep.stores.postgresql.adapter import Pool
    from guidkeep.urls import Address

    Ask = Callable[[str], Awaitable[Sequence[Any]]]
    """Runs a statement and returns its rows."""

log = structlog.get_logger(__name__)

SCHEMA_VERSION = 1

# "user" is bytes because a text can't hold U+0000. It may be too long for an index entry, so a
# statement finds it by its hash and then compares the bytes.
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

_ADVICE = {
    "28000": "If it accepts encrypted connections only, write ?sslmode=verify-full, or require."
}
_TAKEN = {"23505", "42P06", "42P07", "42710", "40001", "40P01"}
"""Codes for a name that is taken, by the tables of another node or of another program."""
_NO_COLUMN = "42703"
_UNDEFINED = {"42P01", _NO_COLUMN, "42883"}
_NO_RIGHT = "42501"


def advice(failure: Failure) -> str:
    """Returns the remedy for a failure at the start, or ""."""
    if failure.is_timeout:
        return "It may be overloaded, or another session holds a lock on Guidkeep's tables."
    return _ADVICE.get(failure.code, "")


async def prepare(pool: Pool, address: Address, deadline: float) -> None:
    """Makes the tables, or checks existing ones; warns of settings that lose writes.

    Raises:
        StartupError: the tables are of a newer Guidkeep or another program, or the user may not
            use them.
        Failure: a statement failed.
    """

    async def ask(text: str) -> Sequence[Any]:
        return await pool.run(Statement(text), deadline)

    settings = dict(await ask(_SETTINGS))
    _require_utf8(settings, address)
    version = await _version(ask)
    if version is None:
        version = await _create(pool, ask, address, deadline)
    _require_version(version, address)
    await _require_use(ask, address)
    _warn(settings, address)


async def _version(ask: Ask) -> int | None:
    """Returns the version of the schema; None: there are no tables; 0: the version is unknown."""
    [[name]] = await ask("SELECT to_regclass('guidkeep_schema')::text")
    if name is None:
        return None
    try:
        [[version]] = await ask("SELECT max(version) FROM guidkeep_schema")
    except Refused as refused:
        if refused.code != _NO_COLUMN:
            raise
        return 0
    return version if isinstance(version, int) else 0


async def _create(pool: Pool, ask: Ask, address: Address, deadline: float) -> int:
    try:
        await pool.run(Script(_CREATE), deadline)
    except Refused as refused:
        if refused.code == _NO_RIGHT:
            raise StartupError(
                f"{address}: this user may not create tables ({refused.detail}). Grant it CREATE "
                "on the schema, or start once as a user who may."
            ) from refused
        if refused.code not in _TAKEN:
            raise
        version = await _version(ask)
        if version is None:
            raise StartupError(
                f"{address} has a table of another program ({refused.detail}). Guidkeep needs a "
                "database, or a schema, of its own."
            ) from refused
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


async def _require_use(ask: Ask, address: Address) -> None:
    """Raises StartupError unless the table has its columns and the user has all rights to it."""
    try:
        await ask(_PROBE)
        missing = [name for [name] in await ask(_MISSING_RIGHTS)]
    except Refused as refused:
        if refused.code in _UNDEFINED:
            raise StartupError(
                f"{address}: the table record is not Guidkeep's ({refused.detail})."
            ) from refused
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
        log.warning(
            "a crash may lose acknowledged writes", url=url, setting="synchronous_commit=off"
        )
    if commit == "local" and settings.get("synchronous_standby_names"):
        log.warning(
            "a failover may lose acknowledged writes", url=url, setting="synchronous_commit=local"
        )
    if settings.get("transaction_read_only") == "on":
        log.warning("the server is read-only: writes will fail", url=url)
