"""Logins to MySQL and MariaDB: the servers' default methods work, unencrypted too."""

from __future__ import annotations

import importlib
from importlib.metadata import requires
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from guidkeep.errors import StartupError
from guidkeep.metrics import Metrics
from guidkeep.stores import open_store
from servers import mysql
from servers.mysql import PASSWORD
from tests.engines import here
from tests.stores.mysql.conftest import make_certificate, name_of
from tests.stores.records import make_record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers.mysql import Server
    from tests.engines import Engines


@pytest.fixture(scope="module")
def strict(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with TLS, and with MariaDB's newer login."""
    folder = tmp_path_factory.mktemp("strict")
    certificate, key = make_certificate(folder, "server")
    options = [
        "--plugin-load-add=auth_ed25519",
        f"--ssl-cert={certificate}",
        f"--ssl-key={key}",
    ]
    engines.get("mysql")  # skips, or fails, if it is not installed
    with here(mysql.started(folder, options=options)) as server:
        yield server


def account(server: Server, login: str, requirement: str = "NONE") -> str:
    """Returns the URL of a new database, with a new user who has that login method."""
    url = server.fresh()
    name = name_of(url)
    server.run(
        f"CREATE USER '{name}'@'%' IDENTIFIED VIA {login} USING PASSWORD('{PASSWORD}') "
        f"REQUIRE {requirement}; GRANT ALL ON {name}.* TO '{name}'@'%'"
    )
    return url.replace("//guidkeep:", f"//{name}:")


async def used(url: str) -> bool:
    store = await open_store(url, timeout=20.0, metrics=Metrics())
    try:
        return await store.insert(make_record())
    finally:
        await store.close()


@pytest.mark.parametrize("query", ["", "?ssl-mode=required"])
@pytest.mark.parametrize("login", ["mysql_native_password", "ed25519"])
async def test_the_logins_of_mariadb_work(strict: Server, login: str, query: str) -> None:
    assert await used(account(strict, login) + query)


async def refusal(url: str) -> str:
    with pytest.raises(StartupError) as refused:
        await open_store(url, timeout=5.0, metrics=Metrics())
    assert quote(PASSWORD, safe="") not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("login", ["mysql_native_password", "ed25519"])
async def test_an_account_for_encrypted_connections_alone_is_not_called_a_wrong_password(
    strict: Server, login: str
) -> None:
    url = account(strict, login, "SSL")
    assert "or the server demands encryption: write ?ssl-mode=verify-identity, or required." in (
        await refusal(url)
    )
    assert await used(f"{url}?ssl-mode=required")
    wrong = f"{url.replace(quote(PASSWORD, safe=''), 'wrong')}?ssl-mode=required"
    assert (await refusal(wrong)).endswith("User or password is wrong.")


async def test_a_server_for_encrypted_connections_alone_is_named_as_one(strict: Server) -> None:
    url = strict.fresh()
    strict.run("SET GLOBAL require_secure_transport = ON")
    try:
        said = await refusal(url)
        assert await used(f"{url}?ssl-mode=required")
    finally:
        strict.run("SET GLOBAL require_secure_transport = OFF")
    assert "or the server demands encryption: write ?ssl-mode=verify-identity, or required." in said


def test_the_extra_has_the_packages_for_the_logins() -> None:
    """MySQL's default is caching_sha2_password; MariaDB has ed25519."""
    extra = [line for line in requires("guidkeep") or () if line.endswith("extra == 'mysql'")]
    for package, module in (("cryptography", "cryptography"), ("pynacl", "nacl")):
        assert any(line.startswith(package) for line in extra)
        importlib.import_module(module)
