"""No store puts metadata into a log or an error's text, even if its driver's error quotes it.

Each test makes a store fail with a driver error that quotes the record.
"""

from __future__ import annotations

import asyncio
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from guidkeep.errors import StoreUnavailable
from guidkeep.jsontext import Member
from guidkeep.record import Query, parse_change
from guidkeep.stores.mysql.statements import Row
from guidkeep.stores.postgresql import writes as postgresql
from guidkeep.stores.postgresql.adapter import Script, Statement
from guidkeep.stores.remote.base import Write
from tests.stores.records import NOW, make_record, newer, plant

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from guidkeep.stores import Store
    from guidkeep.testing.opening import Opener

SECRET = "of-the-client"  # noqa: S105 - the tests search for it
FINE = make_record(1, user="fine")
QUOTED = make_record(2, user=SECRET)

_QUOTE = f"""
CREATE FUNCTION quote() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.metadata LIKE '%{SECRET}%' THEN
        RAISE EXCEPTION 'no: %', NEW.metadata
        USING ERRCODE = '23514', DETAIL = NEW.metadata, HINT = NEW.metadata;
    END IF;
    RETURN NEW;
END $$
"""
_ON_WRITE = """
CREATE TRIGGER planted BEFORE INSERT OR UPDATE ON record FOR EACH ROW EXECUTE FUNCTION quote()
"""
POSTGRESQL = (_QUOTE, _ON_WRITE)
MYSQL = [
    f"CREATE TRIGGER planted_{event} BEFORE {event} ON record FOR EACH ROW BEGIN "
    f"IF LOCATE('{SECRET}', NEW.metadata) THEN SIGNAL SQLSTATE '45000' "
    f"SET MYSQL_ERRNO = {code}, MESSAGE_TEXT = '{SECRET}'; END IF; END"
    for event, code in (("INSERT", 1644), ("UPDATE", 1366))
]


async def quote_in_sqlite(_: Any, file: Path) -> None:
    """An error of the Python module, which quotes a text that is not UTF-8."""
    plant(file, f"UPDATE record SET metadata = CAST(x'7b22ff' || '{SECRET}' AS TEXT)")


async def quote_in_postgresql(store: Any, _: Path) -> None:
    until = asyncio.get_running_loop().time() + 60
    for statement in POSTGRESQL:
        await store._pool.run(Script(statement), until)


async def quote_in_mysql(store: Any, _: Path) -> None:
    until = asyncio.get_running_loop().time() + 60
    for statement in MYSQL:
        await store._pool.run(statement, until)


async def quote_in_mongodb(store: Any, _: Path) -> None:
    await store._records.create_index("user", unique=True)


QUOTE: Mapping[str, Callable[[Any, Path], Awaitable[None]]] = {
    "sqlite": quote_in_sqlite,
    "postgresql": quote_in_postgresql,
    "mysql": quote_in_mysql,
    "mongodb": quote_in_mongodb,
}


@pytest.fixture
def quote(backend: str) -> Callable[[Any, Path], Awaitable[None]]:
    return QUOTE[backend]


async def test_no_log_and_no_error_quotes_a_record(
    opener: Opener, file: Path, quote: Callable[[Any, Path], Awaitable[None]]
) -> None:
    calls: list[Callable[[Store], Awaitable[object]]] = [
        lambda store: store.insert(QUOTED),
        lambda store: asyncio.gather(*(store.insert(record) for record in more)),
        lambda store: store.replace(newer(FINE, user=SECRET), FINE.version),
        lambda store: store.get(FINE.guid),
        lambda store: store.page(Query(user=SECRET), NOW),
        lambda store: store.page(Query(), NOW),
    ]
    more = [make_record(number, user=SECRET) for number in range(10, 15)]
    failures: list[Exception] = []
    with capture_logs() as logs:
        async with opener() as store:
            await store.insert(FINE)
            await store.insert(make_record(3, user=SECRET + "."))
            await quote(store, file)
            for call in calls:
                try:
                    await call(store)
                except StoreUnavailable as error:
                    failures.append(error)
    assert failures
    assert SECRET not in repr(logs)
    assert not [log for log in logs if "exc_info" in log], "its traceback would quote the driver"
    for failure in failures:
        assert SECRET not in str(failure)


@pytest.mark.parametrize(
    "value",
    [
        QUOTED,
        Query(user=SECRET),
        parse_change(b'{"user": "of-the-client", "of-the-client": 1}', now=NOW),
        Member(SECRET, SECRET, SECRET),
        Row.of(QUOTED),
        postgresql.Row.of(QUOTED),
        Write(bytes.fromhex(QUOTED.guid), 1, QUOTED.metadata),
        Statement("SELECT", [SECRET]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_nothing_that_holds_metadata_shows_it_when_it_is_printed(value: object) -> None:
    assert SECRET not in repr(value)
    assert SECRET.encode().hex() not in repr(value)
    assert SECRET not in "".join(traceback.format_exception(ValueError(value)))
