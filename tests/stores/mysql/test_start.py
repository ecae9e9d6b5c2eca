"""The start on a MySQL server: reasons for a refusal, and the tables that it makes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from structlog.testing import capture_logs

from guidkeep.errors import StartupError
from guidkeep.metrics import Metrics
from guidkeep.stores import open_store
from guidkeep.stores.mysql.store import MySQLStore
from guidkeep.testing.opening import opener_of
from servers.mysql import PASSWORD
from tests.stores.mysql.conftest import name_of
from tests.stores.records import make_record

if TYPE_CHECKING:
    from servers.mysql import Server

TABLE = "CREATE TABLE record (guid BINARY(16) PRIMARY KEY)"


async def refusal(url: str, *, timeout: float = 5.0) -> str:
    """Returns the error of a store that can't be opened, which never has the password."""
    with capture_logs() as logs, pytest.raises(StartupError) as caught:
        await open_store(url, timeout=timeout, metrics=Metrics())
    for text in (str(caught.value), repr(logs)):
        assert PASSWORD not in text
        assert quote(PASSWORD, safe="") not in text
    return str(caught.value)


def account(server: Server, url: str, rights: str) -> str:
    """Returns the URL of the database for a user with only these rights."""
    name = name_of(url)
    server.run(f"GRANT {rights} ON {name}.* TO '{name}'@'%' IDENTIFIED BY '{PASSWORD}'")
    return url.replace("//guidkeep:", f"//{name}:")


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("?pool=3", "unknown parameter: pool"),
        ("?connections=0", "from 1 to 1000"),
        ("?connections=many", "connections=many is wrong"),
        ("?ssl-mode=perhaps", "disabled, required, verify-ca or verify-identity"),
        ("?ssl-mode=disabled&ssl-ca=ca.pem", "takes no certificates"),
        ("?ssl-ca=/there/is/none.pem", "No such file"),
    ],
)
async def test_a_url_with_a_wrong_parameter_is_refused(query: str, reason: str) -> None:
    url = f"mysql://guidkeep:{quote(PASSWORD, safe='')}@127.0.0.1:1/guidkeep{query}"
    assert reason in await refusal(url)


async def test_a_url_without_a_database_is_refused(server: Server) -> None:
    assert "names no database" in await refusal(server.url)


async def test_a_wrong_password_is_refused_at_once(server: Server) -> None:
    secret = "not-the-password"  # noqa: S105 - no account has it
    url = server.fresh().replace(quote(PASSWORD, safe=""), secret)
    reason = await refusal(url, timeout=1000)
    assert "User or password is wrong" in reason
    assert secret not in reason


async def test_a_database_that_is_not_there_is_refused_at_once(server: Server) -> None:
    assert "CREATE DATABASE" in await refusal(f"{server.fresh()}_not", timeout=1000)


async def test_a_user_without_any_right_is_refused(server: Server) -> None:
    url, other = server.fresh(), server.fresh()
    stranger = account(server, other, "ALL").replace(name_of(other), name_of(url))
    stranger = stranger.replace(f"//{name_of(url)}:", f"//{name_of(other)}:")
    assert "needs privileges" in await refusal(stranger, timeout=1000)


@pytest.mark.parametrize("rights", ["SELECT", "SELECT, CREATE", "SELECT, CREATE, INSERT, UPDATE"])
async def test_a_user_who_may_not_do_all_that_is_needed_is_refused(
    server: Server, rights: str
) -> None:
    url = account(server, server.fresh(), rights)
    assert "SELECT, INSERT, UPDATE, DELETE" in await refusal(url, timeout=1000)


async def test_a_user_who_may_not_create_tables_can_use_existing_ones(server: Server) -> None:
    url = server.fresh()
    async with opener_of(url)():
        pass
    modest = account(server, url, "SELECT, INSERT, UPDATE, DELETE")
    async with opener_of(modest)() as store:
        assert await store.insert(make_record())


async def test_a_table_of_another_program_is_left_alone(server: Server) -> None:
    url = server.fresh()
    server.run(f"USE {name_of(url)}; {TABLE}")
    assert "not Guidkeep's" in await refusal(url)
    assert server.run(f"USE {name_of(url)}; SHOW TABLES").split() == ["record"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE guidkeep_schema SET version = 2", "newer Guidkeep (schema 2; this one knows 1)"),
        ("ALTER TABLE record ENGINE = MyISAM", "has the engine MyISAM"),
        ("ALTER TABLE record DROP COLUMN user_key", "does not have the columns"),
        ("ALTER TABLE record MODIFY COLUMN metadata LONGTEXT", "does not have the columns"),
    ],
)
async def test_tables_that_are_not_as_they_should_be_are_refused(
    server: Server, change: str, reason: str
) -> None:
    url = server.fresh()
    async with opener_of(url)():
        pass
    server.run(f"USE {name_of(url)}; {change}")
    assert reason in await refusal(url)


async def test_half_made_tables_are_completed(server: Server) -> None:
    url = server.fresh()
    server.run(
        f"USE {name_of(url)}; CREATE TABLE guidkeep_schema "
        "(id TINYINT PRIMARY KEY, version INT NOT NULL) ENGINE = InnoDB"
    )
    async with opener_of(url)() as store:
        assert await store.insert(make_record())


async def test_a_missing_driver_is_named_with_the_command_that_installs_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "asyncmy", None)
    assert "pip install 'guidkeep[mysql]'" in await refusal(server.fresh())


async def test_mariadb_is_another_name_for_it(server: Server) -> None:
    url = server.fresh().replace("mysql://", "mariadb://")
    store = await open_store(url, timeout=5.0, metrics=Metrics())
    assert isinstance(store, MySQLStore)
    await store.close()
