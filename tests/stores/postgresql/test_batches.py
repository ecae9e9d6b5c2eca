"""Batches to PostgreSQL, their new attempts, and the meaning of error codes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from guidkeep.errors import OutcomeUnknown, StoreUnavailable
from guidkeep.metrics import Metrics
from guidkeep.record import Query
from guidkeep.stores.postgresql import writes
from guidkeep.stores.remote import pool
from tests.stores.records import NOW, batches_of, guid_of, make_record, newer
from tests.support import outcomes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from guidkeep.record import Record
    from guidkeep.stores import Store
    from guidkeep.testing.opening import Opener
    from servers.postgresql import Server


def plant(
    server: Server,
    url: str,
    code: str = "23514",
    *,
    times: int = 1_000_000,
    on: str = "INSERT OR UPDATE OR DELETE",
) -> None:
    """Makes a number of statements fail with that error, and counts them."""
    server.run(
        "CREATE SEQUENCE statements",
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF nextval('statements') <= {times} THEN "
        f"RAISE EXCEPTION 'planted' USING ERRCODE = '{code}'; END IF; RETURN NULL; END $$",
        f"CREATE TRIGGER planted BEFORE {on} ON record FOR EACH STATEMENT EXECUTE FUNCTION fail()",
        url=url,
    )


def statements(server: Server, url: str) -> int:
    """Returns the number of statements that failed with a planted error."""
    return int(server.run("SELECT last_value FROM statements", url=url))


async def test_writes_of_one_iteration_are_one_statement(
    opener: Opener, server: Server, url: str
) -> None:
    metrics = Metrics()
    async with opener(metrics=metrics) as store:
        plant(server, url, times=0, on="INSERT")
        records = [make_record(number) for number in range(100)]
        assert all(await outcomes(*(store.insert(record) for record in records)))
        assert batches_of(metrics) == (1, 100)
        assert statements(server, url) == 1
        assert await asyncio.gather(*(store.get(record.guid) for record in records)) == records
        assert batches_of(metrics, "read") == (1, 100)


async def test_the_same_guid_twice_in_a_batch_is_inserted_once(store: Store) -> None:
    first, second, third = (make_record(1, user=name, version=7) for name in "ABC")
    done = await outcomes(*(store.insert(record) for record in (first, second, third)))
    assert done == [True, False, False]
    assert await store.get(first.guid) == first


async def test_replacements_of_two_versions_in_a_batch_follow_each_other(store: Store) -> None:
    first = make_record(1)
    second, third = newer(first, user="B"), newer(newer(first), user="C")
    await store.insert(first)
    assert await outcomes(store.replace(third, 2), store.replace(second, 1)) == [True, True]
    assert await store.get(first.guid) == third


async def test_large_records_share_fewer_statements(
    opener: Opener, server: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writes, "BATCH_BYTES", 1000)
    large = [
        make_record(number, metadata='{"pad":"%s"}' % ("x" * size))
        for number, size in enumerate((300, 300, 5000, 300, 300, 300))
    ]
    async with opener() as store:
        plant(server, url, times=0, on="INSERT")
        assert all(await outcomes(*(store.insert(record) for record in large)))
        assert statements(server, url) == 3
        assert await store.page(Query(), NOW) == large


WRITES: dict[str, Callable[[Store, Record], Awaitable[bool]]] = {
    "insert": lambda store, record: store.insert(replace(record, guid=f"F{record.guid[1:]}")),
    "replace": lambda store, record: store.replace(newer(record), record.version),
    "delete": lambda store, record: store.delete(record.guid, record.version),
}


@pytest.mark.parametrize("kind", WRITES)
@pytest.mark.parametrize("code", ["40001", "40P01"])
async def test_a_conflict_with_another_transaction_is_tried_again(
    opener: Opener, server: Server, url: str, code: str, kind: str
) -> None:
    records = [make_record(number) for number in range(5)]
    async with opener() as store:
        await outcomes(*(store.insert(record) for record in records))
        plant(server, url, code, times=2)
        assert await outcomes(*(WRITES[kind](store, record) for record in records)) == [True] * 5


async def test_a_lasting_conflict_is_tried_alone_and_then_given_up(
    opener: Opener, server: Server, url: str
) -> None:
    async with opener() as store:
        plant(server, url, "40001", times=pool.RETRIES + 2)
        assert await outcomes(*(store.insert(make_record(n)) for n in range(3))) == [True] * 3
        server.run("ALTER SEQUENCE statements RESTART", url=url)
    async with opener() as store:
        plantless = make_record(7)
        server.run("ALTER SEQUENCE statements INCREMENT -1 MINVALUE -100", url=url)
        with pytest.raises(StoreUnavailable, match="nothing was written"):
            await store.insert(plantless)
        assert await store.get(plantless.guid) is None


async def test_writes_of_many_nodes_to_few_guids_at_once_all_end(
    opener: Opener, server: Server, url: str
) -> None:
    """Each node has its own order, and the database finds every conflict."""
    name = urlsplit(url).path.strip("/")
    server.run(f'ALTER DATABASE "{name}" SET default_transaction_isolation = serializable')
    async with opener() as first, opener() as second:
        done = await outcomes(
            *(
                store.insert(make_record(number, version=version))
                for version, store in enumerate((first, second), start=1)
                for number in (range(40) if store is first else reversed(range(40)))
            )
        )
        assert done.count(True) == 40
        found = await asyncio.gather(*(first.get(guid_of(number)) for number in range(40)))
        assert None not in found


@pytest.mark.parametrize("kind", WRITES)
async def test_a_write_that_is_refused_spoils_none_of_its_batch(
    opener: Opener, server: Server, url: str, kind: str
) -> None:
    records = [make_record(number) for number in range(5)]
    async with opener() as store:
        await outcomes(*(store.insert(record) for record in records))
        server.run(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "IF get_byte(coalesce(OLD.guid, NEW.guid), 15) = 3 THEN "
            "RAISE EXCEPTION 'not this one' USING ERRCODE = '23514'; END IF; "
            "RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END; END $$",
            "CREATE TRIGGER planted BEFORE INSERT OR UPDATE OR DELETE ON record "
            "FOR EACH ROW EXECUTE FUNCTION refuse()",
            url=url,
        )
        done = await outcomes(*(WRITES[kind](store, record) for record in records))
        assert type(done.pop(3)) is StoreUnavailable
        assert done == [True] * 4
        assert await store.get(records[3].guid) == records[3]


@pytest.mark.parametrize("code", ["25006", "53100", "53200", "57014", "42501", "55P03"])
async def test_an_error_that_is_no_single_writes_fault_fails_all_and_nothing_was_written(
    opener: Opener, server: Server, url: str, code: str
) -> None:
    async with opener() as store:
        plant(server, url, code)
        done = await outcomes(*(store.insert(make_record(number)) for number in range(9)))
        assert {type(error) for error in done} == {StoreUnavailable}
        assert "nothing was written" in str(done[0])
        assert statements(server, url) == 1
        assert await store.page(Query(), NOW) == []
        with pytest.raises(StoreUnavailable):
            await store.purge(NOW, 10)


@pytest.mark.parametrize("code", ["08006", "40003", "58030", "XX000"])
async def test_an_error_that_may_come_after_a_commit_leaves_the_outcome_unknown(
    opener: Opener, server: Server, url: str, code: str
) -> None:
    """Of two writes with one condition only one was sent, so the other was not written."""
    async with opener() as store:
        plant(server, url, code)
        done = await outcomes(store.insert(make_record()), store.insert(make_record()))
        assert [type(error) for error in done] == [OutcomeUnknown, StoreUnavailable]
        assert statements(server, url) == 1


async def test_a_rival_of_a_refused_write_is_refused_as_well(
    opener: Opener, server: Server, url: str
) -> None:
    async with opener() as store:
        plant(server, url, "53100")
        done = await outcomes(store.insert(make_record()), store.insert(make_record()))
        assert [type(error) for error in done] == [StoreUnavailable] * 2


async def test_a_database_that_becomes_read_only_is_still_read(
    opener: Opener, server: Server, url: str
) -> None:
    async with opener() as store:
        await store.insert(make_record())
    name = urlsplit(url).path.strip("/")
    server.run(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    async with opener() as store:
        assert await store.get(guid_of(1)) == make_record()
        with pytest.raises(StoreUnavailable, match="nothing was written"):
            await store.delete(guid_of(1), 1)


async def test_a_user_longer_than_an_index_entry_is_found_by_every_byte(store: Store) -> None:
    long = "'\"\\; DROP TABLE record; --\0😀" * 2000
    records = [make_record(number, user=long + end) for number, end in enumerate(["", "a", "\0"])]
    assert all(await outcomes(*(store.insert(record) for record in records)))
    for record in records:
        assert await store.page(Query(user=record.user), NOW) == [record]


async def test_reading_a_user_uses_the_index(opener: Opener, server: Server, url: str) -> None:
    async with opener() as store:
        await store.insert(make_record())
        plan = server.run(
            "SET enable_seqscan = off",
            'EXPLAIN SELECT guid FROM record WHERE expire > 0 AND sha256("user") = '
            "sha256('Ann'::bytea) AND \"user\" = 'Ann'::bytea ORDER BY guid LIMIT 10",
            url=url,
        )
        assert "record_by_user" in plan
