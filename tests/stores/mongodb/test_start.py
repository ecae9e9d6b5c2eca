"""The URL of a MongoDB store, and the checks before the store is used."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from guidkeep.errors import StartupError
from guidkeep.metrics import Metrics
from guidkeep.record import Query
from guidkeep.stores import open_store
from servers.processes import free_port
from tests.stores.mongodb.conftest import opened, raw
from tests.stores.records import NOW, batches_of, guid_of, make_record, newer
from tests.support import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from guidkeep.stores import Store
    from servers.mongodb import MongoDB
    from tests.stores.mongodb.conftest import CommandCutter

SECRET = "swordfish"  # noqa: S105 - no account has it


async def refusal(url: str, timeout: float = 0.5) -> StartupError:
    with pytest.raises(StartupError) as refused:
        await open_store(url, timeout=timeout, metrics=Metrics())
    return refused.value


@pytest.mark.waits
async def test_an_unreachable_server_is_named_without_its_password() -> None:
    url = f"mongodb://ann:{SECRET}@127.0.0.1:{free_port()}/db?authSource=admin"
    with capture_logs() as logs:
        error = await refusal(url)
    shown = url.replace(f"ann:{SECRET}@", "").partition("?")[0]
    assert str(error).startswith(f"Can't use the store {shown}, tried for 1.5 s: ")
    assert "no server that accepts writes responded in time. A server that" in str(error)
    assert SECRET not in "".join(traceback.format_exception(error)) + str(logs)


async def test_an_unknown_user_is_refused(server: MongoDB) -> None:
    url = server.fresh().replace("://", f"://ann:{SECRET}@")
    with capture_logs() as logs:
        error = await refusal(url, timeout=5)
    assert "the error AuthenticationFailed. User or password is wrong" in str(error)
    assert "tried for" not in str(error)
    assert SECRET not in "".join(traceback.format_exception(error)) + str(logs)


async def test_a_refusal_ends_the_start_at_once_and_is_named_by_its_code(
    new_url: Callable[[], str],
) -> None:
    url = new_url()
    error = await refusal(f"{url}{'x' * 64}", timeout=1000)
    assert "the server responded with the error InvalidNamespace." in str(error)


async def test_a_start_whose_connection_breaks_is_tried_again(cutter: CommandCutter) -> None:
    cutter.command = b"insert"
    with capture_logs() as logs:
        opening = asyncio.ensure_future(open_store(cutter.url, timeout=20.0, metrics=Metrics()))
        await until(lambda: bool(logs))
        cutter.command = b""
        await (await opening).close()
    assert logs[0]["event"] == "waiting for the store"
    assert logs[0]["error"].startswith("AutoReconnect: ")


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ("colour=red", "look at its parameter colour"),
        ("connections=many", "connections=many is wrong"),
        ("w=majority&connections=1001", "from 1 to 1000"),
        ("maxPoolSize=many", "look at its parameter maxpoolsize"),
        ("w=0", "look at its parameter w"),  # it contradicts journal=true
        ("w=0&journal=false", "w=0: the outcome of each write would be unknown"),
        ("j=true", "look at its parameter j"),
        ("readPreference=secondary", "reads go to the primary"),
        ("readPreference=primaryPreferred", "reads go to the primary"),
        ("readConcernLevel=local", "majority or linearizable"),
        ("directConnection=true", "it may not lead to the primary"),
        (f"authMechanismProperties=AWS_SESSION_TOKEN:{SECRET}&w=0", "look at its parameter w"),
        (f"tlsCertificateKeyFilePassword={SECRET}&w=0", "look at its parameter w"),
    ],
)
async def test_wrong_parameters_are_refused(parameters: str, complaint: str) -> None:
    error = await refusal(f"mongodb://ann:{SECRET}@localhost/db?{parameters}")
    assert complaint in str(error)
    assert str(error).endswith(".")
    assert SECRET not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://",
        "mongodb://localhost:99999/db",
        "mongodb://localhost:port/db",
        f"mongodb://ann:{SECRET}/@localhost/db",
        f"mongodb://ann:{SECRET}@one@localhost/db",
        f"mongodb://ann:{SECRET}:@localhost/db",
        f"mongodb://ann:{SECRET}?@localhost/db",
        f"mongodb+srv://ann:{SECRET}@one.example,two.example/db",
        f"mongodb://ann:{SECRET}@localhost/with%20space",
    ],
)
async def test_a_url_that_is_none_is_refused_and_its_password_kept(url: str) -> None:
    error = await refusal(url)
    assert SECRET not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("parameters", ["w=1", "w=2", "journal=false", "w=1&journal=true"])
async def test_a_weak_write_concern_is_followed_with_a_warning(
    new_url: Callable[[], str], parameters: str
) -> None:
    with capture_logs() as logs:
        async with opened(f"{new_url()}?{parameters}") as store:
            assert await store.insert(make_record())
    assert [entry["log_level"] for entry in logs] == ["warning"]
    assert "weaker than w=majority and journal=true" in logs[0]["event"]


@pytest.mark.parametrize(
    "parameters", ["", "w=majority&journal=true", "journal=true", "appname=other"]
)
async def test_a_strong_write_concern_is_not_logged(
    new_url: Callable[[], str], parameters: str
) -> None:
    with capture_logs() as logs:
        async with opened(f"{new_url()}?{parameters}") as store:
            concern = store._records.write_concern.document
    assert concern == {"w": "majority", "j": True}
    assert logs == []


async def test_linearizable_reads_travel_alone(new_url: Callable[[], str]) -> None:
    metrics = Metrics()
    async with opened(f"{new_url()}?readConcernLevel=linearizable", metrics=metrics) as store:
        found = await asyncio.gather(*(store.get(guid_of(number)) for number in range(10)))
    assert found == [None] * 10
    assert batches_of(metrics, "read") == (10, 10)


@pytest.mark.parametrize(
    "parameters", ["connections=1", "appname=x&connections=1&journal=true", "maxPoolSize=1"]
)
async def test_a_pool_of_one_connection_is_enough(
    new_url: Callable[[], str], parameters: str
) -> None:
    async with opened(f"{new_url()}?{parameters}") as store:
        assert store._client.options.pool_options.max_pool_size == 1
        records = [make_record(number) for number in range(20)]
        assert all(await asyncio.gather(*(store.insert(record) for record in records)))
        working = [store.replace(newer(record), 1) for record in records]
        assert all(await asyncio.gather(*working))


async def test_the_database_is_guidkeep_unless_the_url_names_another(server: MongoDB) -> None:
    async with opened(server.url) as store:
        assert store._records.full_name == "guidkeep.record"


@pytest.mark.parametrize("version", [2, "later", None])
async def test_a_newer_schema_is_refused(new_url: Callable[[], str], version: Any) -> None:
    url = new_url()
    async with opened(url):
        pass
    async with raw(url) as database:
        await database["guidkeep"].replace_one({"_id": "schema"}, {"version": version})
    assert f"has the schema {version}, this Guidkeep knows 1" in str(await refusal(url, timeout=5))


async def test_several_nodes_may_make_the_database_at_once(new_url: Callable[[], str]) -> None:
    url = new_url()
    stores: list[Store] = await asyncio.gather(
        *(open_store(url, timeout=30, metrics=Metrics()) for _ in range(5))
    )
    old = make_record()
    await stores[0].insert(old)
    rivals = [make_record(user=f"user {number}", version=2 + number) for number in range(5)]
    done = await asyncio.gather(
        *(store.replace(rival, 1) for store, rival in zip(stores, rivals, strict=True))
    )
    assert done.count(True) == 1
    for store in stores:
        assert await store.get(old.guid) == rivals[done.index(True)]
        await store.close()
    async with raw(url) as database:
        assert await database["guidkeep"].count_documents({}) == 1
        indexes = await database["record"].index_information()
    assert set(indexes) == {"_id_", "by_expire", "by_user"}


@pytest.mark.parametrize(
    "user",
    ["$where", '{"$gt": ""}', "a.b", "$", "\0", "Ann\0Bob", "\u202e😀", "null", "x" * 60_000],
    ids=range(9),
)
async def test_a_user_is_a_value_whatever_it_looks_like(store: Store, user: str) -> None:
    own = make_record(1, user=user)
    others = [make_record(2), make_record(3, user=None), make_record(4, user=f"{user} ")]
    for record in (own, *others):
        assert await store.insert(record)
    assert await store.page(Query(user=user), NOW) == [own]
    assert await store.page(Query(), NOW) == [own, *others]


@pytest.mark.parametrize("member", ["$set", "a.b", "_id", "", "\0", "__proto__"])
async def test_metadata_is_a_text_whatever_it_looks_like(store: Store, member: str) -> None:
    escaped = member.replace("\0", "\\u0000")
    text = f'{{"user":"Ann", "{escaped}" : {{"$inc":{{"version":1.0}}}} }}'
    record = make_record(1, metadata=text)
    assert await store.insert(record)
    assert await store.get(record.guid) == record
    assert await store.replace(newer(record), 1)


def test_a_missing_driver_is_named_with_the_command_that_installs_it() -> None:
    """Runs in another process, because the driver is loaded already in this one."""
    program = (
        "import sys; sys.modules['pymongo'] = None\n"
        "from guidkeep.errors import StartupError\n"
        "try: import guidkeep.stores.mongodb.store\n"
        "except StartupError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().endswith("is not installed: pip install 'guidkeep[mongodb]'.")
    assert "pymongo" in done.stdout
