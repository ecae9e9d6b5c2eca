"""The start on a PostgreSQL server: refusals, new tables, warnings."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import pytest
import structlog

from guidkeep.errors import StartupError
from guidkeep.metrics import Metrics
from guidkeep.stores import open_store
from guidkeep.stores.postgresql import schema
from guidkeep.stores.postgresql.tls import asyncpg
from guidkeep.stores.remote import starting
from servers.postgresql import PASSWORD, PostgreSQL, Server
from tests.stores.records import make_record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guidkeep.stores import Store

ODD_PASSWORD = "p@ss:w/rd?#%"  # noqa: S105 - a role in a test has it


async def opened(url: str, timeout: float = 5.0) -> Store:
    return await open_store(url, timeout=timeout, metrics=Metrics())


async def refusal(url: str, timeout: float = 5.0) -> str:
    """Returns the error of a store that can't be opened, which never has the password."""
    with structlog.testing.capture_logs() as logs, pytest.raises(StartupError) as caught:
        await opened(url, timeout)
    assert PASSWORD not in f"{caught.value}{logs}"
    return str(caught.value)


def as_user(url: str, user: str, password: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{parts.netloc.rpartition('@')[2]}"))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "START_TIMES", 1.01)


@pytest.fixture
def role(server: Server, url: str) -> Iterator[str]:
    """The URL of the database for a user without special rights."""
    name = urlsplit(url).path.strip("/")
    server.run(f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{ODD_PASSWORD}'")
    yield as_user(url, name, "p%40ss%3Aw%2Frd%3F%23%25")
    server.run(f'DROP OWNED BY "{name}"', url=url)
    server.run(f'DROP ROLE "{name}"')


async def grant(server: Server, url: str, role: str, *rights: str) -> None:
    """Makes the tables, and grants the role rights such as `SELECT ON record`."""
    await (await opened(url)).close()
    name = urlsplit(role).username
    server.run(*(f'GRANT {right} TO "{name}"' for right in rights), url=url)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ("?pool_size=0", "pool_size=0 is wrong"),
        ("?pool_size=3&connections=3", "unknown parameter: connections"),
        ("?connections=1001", "1 to 1000"),
        ("?connections=many", "connections=many"),
        ("?pool=3", "unknown parameter: pool"),
        ("?sslmode=perhaps", "disable, allow, prefer, require, verify-ca or verify-full"),
        ("?ssl_min_protocol_version=TLSv2", "TLSv1.2 or TLSv1.3"),
        ("?sslmode=require&sslcert=/nowhere.crt", "a certificate can't be used"),
        ("?sslcrl=/nowhere.crl", "a certificate can't be used"),
        ("?sslmode=verify-full&sslrootcert=/nowhere.crt", "a certificate can't be used"),
    ],
)
async def test_a_wrong_parameter_is_refused_at_once(url: str, parameters: str, said: str) -> None:
    assert said in await refusal(url + parameters)


async def test_a_url_without_a_database_is_refused() -> None:
    assert "names no database" in await refusal(f"postgresql://ann:{PASSWORD}@127.0.0.1")


async def test_a_wrong_password_is_refused_at_once(url: str, server: Server) -> None:
    user = urlsplit(server.url).username
    assert "password authentication failed" in await refusal(as_user(url, str(user), "wrong"))


async def test_a_database_that_is_not_there_is_named(server: Server) -> None:
    said = await refusal(server.named("nobody_made_it"))
    assert 'database "nobody_made_it" does not exist' in said


async def test_a_user_without_the_right_to_make_tables_gets_the_right_to_grant_named(
    role: str,
) -> None:
    assert "may not create tables" in await refusal(role)


async def test_a_user_who_may_only_read_gets_the_missing_rights_named(
    server: Server, url: str, role: str
) -> None:
    await grant(server, url, role, "SELECT ON guidkeep_schema", "SELECT, INSERT ON record")
    assert "lacks UPDATE, DELETE on the table record" in await refusal(role)


async def test_a_user_who_may_not_even_read_is_refused(url: str, role: str) -> None:
    await (await opened(url)).close()
    assert "permission denied" in await refusal(role)


async def test_a_user_who_may_not_read_the_records_is_refused(
    server: Server, url: str, role: str
) -> None:
    await grant(server, url, role, "SELECT ON guidkeep_schema")
    assert "permission denied for table record" in await refusal(role)


async def test_a_user_with_the_needed_rights_needs_no_more(
    server: Server, url: str, role: str
) -> None:
    needed = ("SELECT ON guidkeep_schema", "SELECT, INSERT, UPDATE, DELETE ON record")
    await grant(server, url, role, *needed)
    store = await opened(role)
    assert await store.insert(make_record())
    await store.close()


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (["UPDATE guidkeep_schema SET version = 2"], "newer version of Guidkeep (its schema is 2"),
        (["DELETE FROM guidkeep_schema"], "is not Guidkeep's, or was emptied"),
        (["ALTER TABLE guidkeep_schema RENAME version TO other"], "is not Guidkeep's"),
        (["ALTER TABLE guidkeep_schema ALTER version TYPE text"], "is not Guidkeep's"),
        (["ALTER TABLE record DROP metadata"], "the table record is not Guidkeep's"),
        (["DROP TABLE record"], "the table record is not Guidkeep's"),
        (["DROP TABLE guidkeep_schema"], "a table of another program"),
    ],
)
async def test_tables_of_another_form_or_version_are_refused(
    server: Server, url: str, statements: list[str], said: str
) -> None:
    await (await opened(url)).close()
    server.run(*statements, url=url)
    assert said in await refusal(url)


async def test_tables_of_another_program_are_left_alone(server: Server, url: str) -> None:
    server.run("CREATE TABLE record (song TEXT)", url=url)
    assert "another program" in await refusal(url)
    assert server.run("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", url=url) == "1"


async def test_a_node_uses_the_tables_that_another_made_since_it_looked(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = schema._version
    others: list[Store] = []

    async def overtaken(ask: schema.Ask) -> int | None:
        version = await looked(ask)
        monkeypatch.setattr(schema, "_version", looked)
        others.append(await opened(url))
        return version

    monkeypatch.setattr(schema, "_version", overtaken)
    late, record = await opened(url), make_record()
    [other] = others
    assert await late.insert(record)
    assert await other.get(record.guid) == record
    for store in (late, other):
        await store.close()


async def test_a_database_in_another_encoding_is_refused(server: Server, url: str) -> None:
    name = urlsplit(url).path.strip("/") + "_latin"
    server.run(f"CREATE DATABASE \"{name}\" ENCODING 'LATIN1' TEMPLATE template0")
    assert "Guidkeep needs one in UTF8" in await refusal(server.named(name))


async def test_a_database_that_may_not_be_written_is_refused_where_tables_are_missing(
    server: Server, url: str
) -> None:
    name = urlsplit(url).path.strip("/")
    server.run(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    assert "read-only transaction" in await refusal(url)


@pytest.mark.parametrize("table", ["guidkeep_schema", "record"])
async def test_a_lock_on_the_tables_does_not_hold_up_the_start_for_ever(
    server: Server, url: str, table: str
) -> None:
    await (await opened(url)).close()
    holder = await asyncpg.connect(url)
    await holder.execute(f"BEGIN; LOCK TABLE {table}")
    said = await refusal(url, timeout=1.0)
    assert "no response in time" in said
    assert "holds a lock" in said
    await holder.close()
    await (await opened(url)).close()


@pytest.mark.parametrize(
    ("setting", "warned"),
    [
        ("synchronous_commit = off", ["a crash may lose acknowledged writes"]),
        ("synchronous_commit = local", []),
        ("default_transaction_read_only = on", ["the server is read-only: writes will fail"]),
        ("work_mem = '8MB'", []),
    ],
)
async def test_settings_that_lose_writes_are_warned_of(
    server: Server, url: str, setting: str, warned: list[str]
) -> None:
    await (await opened(url)).close()
    name = urlsplit(url).path.strip("/")
    server.run(f'ALTER DATABASE "{name}" SET {setting}')
    assert [entry["event"] for entry in await warnings_of(url)] == warned


async def warnings_of(url: str) -> list[Any]:
    with structlog.testing.capture_logs() as logs:
        await (await opened(url)).close()
    assert PASSWORD not in str(logs)
    return [entry for entry in logs if entry["log_level"] == "warning"]


async def test_settings_of_the_whole_server_are_warned_of_too(own: PostgreSQL) -> None:
    for setting in (
        "fsync = off",
        "full_page_writes = off",
        "synchronous_commit = local",
        "synchronous_standby_names = 'elsewhere'",
    ):
        own.run(f"ALTER SYSTEM SET {setting}")
    own.run("SELECT pg_reload_conf()")
    own.process.wait_for(lambda: own.run("SHOW fsync") == "off" or None, "change of settings")
    found = {(entry["event"], entry["setting"]) for entry in await warnings_of(own.url)}
    assert found == {
        ("a power cut may damage the database", "fsync=off"),
        ("a power cut may damage the database", "full_page_writes=off"),
        ("a failover may lose acknowledged writes", "synchronous_commit=local"),
    }


def test_a_missing_driver_is_named_with_the_command_that_installs_it() -> None:
    code = (
        "import sys, asyncio; sys.modules['asyncpg'] = None\n"
        "from guidkeep.stores import open_store; from guidkeep.metrics import Metrics\n"
        "asyncio.run(open_store('postgresql://h/d', timeout=1, metrics=Metrics()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "asyncpg is not installed: pip install 'guidkeep[postgresql]'" in done.stderr
