"""The tables of a MySQL store: made if they are missing, else checked.

Nodes may start at the same time: every statement that makes something does nothing if it exists
already. The table with the schema's version is made first, so a `record` without it belongs to
another program.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from guidkeep.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from guidkeep.stores.mysql.adapter import Rows
    from guidkeep.stores.remote.pool import Pool

    Ask = Callable[[str], Awaitable[Sequence[tuple[Any, ...]]]]
    """Runs a statement and returns its rows."""

log = structlog.get_logger(__name__)

SCHEMA_VERSION = 1

# All columns are numbers or bytes, so no character set and no collation applies.
_SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS guidkeep_schema (
    id      TINYINT PRIMARY KEY,
    version INT NOT NULL
) ENGINE = InnoDB
""",
    f"INSERT IGNORE INTO guidkeep_schema (id, version) VALUES (1, {SCHEMA_VERSION})",  # noqa: S608 - constants
    """
CREATE TABLE IF NOT EXISTS record (
    guid     BINARY(16) NOT NULL PRIMARY KEY,
    expire   BIGINT     NOT NULL COMMENT 'Unix time, seconds',
    version  BIGINT     NOT NULL COMMENT 'milliseconds << 21, and random bits',
    user     LONGBLOB   NULL     COMMENT 'the metadata''s user, UTF-8, for listing',
    user_key BINARY(16) NULL     COMMENT 'BLAKE2b of user; an index takes no more than 3 KB',
    metadata LONGBLOB   NOT NULL COMMENT 'a JSON object, as it came, UTF-8',
    KEY record_by_expire (expire),
    KEY record_by_user (user_key, guid)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC
""",
)
_TABLES = ("guidkeep_schema", "record")
_COLUMNS = {
    "guid": "binary",
    "expire": "bigint",
    "version": "bigint",
    "user": "longblob",
    "user_key": "binary",
    "metadata": "longblob",
}
_FOUND_TABLES = """
SELECT TABLE_NAME, ENGINE FROM information_schema.TABLES
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN ('guidkeep_schema', 'record')
"""
_VERSION = "SELECT version FROM guidkeep_schema"
_FOUND_COLUMNS = """
SELECT COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'record'
"""
_names = ", ".join(_COLUMNS)
_PROBES = (
    f"SELECT {_names} FROM record WHERE guid = x''",  # noqa: S608 - constants
    f"INSERT INTO record ({_names}) SELECT {_names} FROM record WHERE guid = x''",  # noqa: S608 - constants
    "UPDATE record SET version = version + 1 WHERE guid = x''",
    "DELETE FROM record WHERE guid = x''",
)
"""One statement for each privilege; none finds a row."""

_BREAKING: Mapping[str, Collection[str]] = {
    "innodb_flush_log_at_trx_commit": ("0", "2"),
    "innodb_doublewrite": ("off", "0", "detect_only"),
    "innodb_flush_method": ("nosync", "littlesync", "o_direct_no_fsync"),
}
"""Values with which a power cut may lose acknowledged writes. Two more cases: with a binary log, a
crash rolls back each commit that the log lacks, so the log must be on the disk too (sync_binlog).
Without one, InnoDB shows others a commit before it is on the disk and acknowledged."""
_SETTINGS = f"""
SHOW GLOBAL VARIABLES WHERE Variable_name IN
('log_bin', 'sync_binlog', 'wsrep_on', 'max_allowed_packet', {", ".join(map(repr, _BREAKING))})
"""


async def prepare(pool: Pool[str, Rows], *, place: str, deadline: float) -> int:
    """Makes or checks the tables, and warns of settings that break durability.

    Args:
        pool: the connections.
        place: the store's URL without its password.
        deadline: the event loop's time at which it is given up.

    Returns:
        Bytes of a statement at most: the server's max_allowed_packet.

    Raises:
        StartupError: the tables are not Guidkeep's, or of a newer Guidkeep.
        Failure: a statement failed.
    """

    async def ask(statement: str) -> Sequence[tuple[Any, ...]]:
        return (await pool.run(statement, deadline)).rows

    engine = await _make_tables(ask, place)
    await _require_tables(ask, place, engine)
    settings = {_text(name): _text(value) for name, value in await ask(_SETTINGS)}
    _warn(settings)
    return int(settings["max_allowed_packet"])


async def _make_tables(ask: Ask, place: str) -> str:
    """Makes the tables if they are missing; returns the storage engine of the table `record`."""
    engines = await _engines(ask)
    if "record" in engines and "guidkeep_schema" not in engines:
        raise StartupError(
            f"{place} has a table named record that is not Guidkeep's (or a guidkeep_schema that "
            "this user may not see): give it a database of its own."
        )
    are_there = len(engines) == len(_TABLES)
    versions = await ask(_VERSION) if are_there else ()
    if not versions:
        for statement in _SCHEMA:
            await ask(statement)
        engines = await _engines(ask)
        versions = await ask(_VERSION)
    [[version]] = versions
    if version > SCHEMA_VERSION:
        raise StartupError(
            f"{place} was written by a newer Guidkeep (schema {version}; this one knows "
            f"{SCHEMA_VERSION}): start that version, or a newer one."
        )
    return engines["record"]


async def _engines(ask: Ask) -> dict[str, str]:
    """Returns the storage engine of each of Guidkeep's tables that exists."""
    return {_text(name): _text(engine or "a view") for name, engine in await ask(_FOUND_TABLES)}


async def _require_tables(ask: Ask, place: str, engine: str) -> None:
    """Raises StartupError unless `record` can hold records, and Failure unless the user may."""
    if engine.lower() != "innodb":
        raise StartupError(
            f"{place}: the table record has the engine {engine}; Guidkeep needs InnoDB, "
            "which does a statement wholly or not at all."
        )
    columns = {_text(name).lower(): _text(kind).lower() for name, kind in await ask(_FOUND_COLUMNS)}
    if not _COLUMNS.items() <= columns.items():
        raise StartupError(f"{place}: the table record does not have the columns Guidkeep made.")
    for probe in _PROBES:
        await ask(probe)


def _warn(settings: Mapping[str, str]) -> None:
    breaking = [
        name for name, values in _BREAKING.items() if settings.get(name, "").lower() in values
    ]
    has_binary_log = settings.get("log_bin") == "ON"
    if has_binary_log and settings["sync_binlog"] != "1":
        breaking.append("sync_binlog")
    for name in breaking:
        log.warning("a power cut may lose acknowledged writes", setting=name, value=settings[name])
    # The other nodes of a Galera cluster have each commit, so a crash of one loses nothing.
    if not has_binary_log and settings.get("wsrep_on") != "ON":
        log.warning("a crash may undo what a read has shown", setting="log_bin", value="OFF")


def _text(value: str | bytes) -> str:
    """Returns a name as text; some servers send bytes."""
    return value.decode() if isinstance(value, bytes) else value
