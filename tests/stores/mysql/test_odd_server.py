"""A server with the worst settings: bytes stay bytes, and there are warnings."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import pytest
from structlog.testing import capture_logs

from guidkeep.errors import StartupError, StoreUnavailable
from guidkeep.metrics import Metrics
from guidkeep.record import Query
from guidkeep.stores.mysql.store import MySQLStore
from guidkeep.testing.opening import opener_of
from servers import mysql
from servers.mysql import PASSWORD
from tests.engines import here
from tests.stores.mysql.conftest import make_certificate
from tests.stores.records import NOW, make_record, newer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from guidkeep.stores import Store
    from servers.mysql import MariaDB
    from tests.engines import Engines

USERS = [
    "Ann",
    "ann",
    "ANN",
    "Ann ",
    " Ann",
    "Änn",
    "A\u0308nn",
    "Ann\0",
    "Ann\\",
    "Ann'",
    'Ann"',
    "",
    "\0",
    "😀",
    "😁",
    "ß",
    "ss",
    "%",
    "x" * 3000 + "a",
    "x" * 3000 + "b",
    "😀" * 8000,
]
"""All are different, though a collation, a trailing blank or a short index may make them equal."""


class Odd(NamedTuple):
    server: MariaDB
    certificate: Path
    stranger: Path


@pytest.fixture(scope="module")
def odd(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Odd]:
    folder = tmp_path_factory.mktemp("odd")
    certificate, key = make_certificate(folder, "server")
    stranger, _ = make_certificate(folder, "stranger")
    options = [
        "--character-set-server=latin1",
        "--collation-server=latin1_german1_ci",
        "--skip-character-set-client-handshake",
        "--sql-mode=ANSI,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH",
        "--autocommit=0",
        "--transaction-isolation=READ-UNCOMMITTED",
        "--max-allowed-packet=1M",
        "--innodb-flush-log-at-trx-commit=2",
        "--innodb-doublewrite=0",
        "--innodb-flush-method=nosync",
        "--log-bin=binlog",
        "--sync-binlog=0",
        f"--ssl-cert={certificate}",
        f"--ssl-key={key}",
        f"--ssl-ca={certificate}",
    ]
    engines.get("mysql")  # skips, or fails, if it is not installed
    with here(mysql.started(folder, options=options)) as server:
        yield Odd(server, certificate, stranger)


@pytest.fixture
def new_url(odd: Odd) -> Callable[[], str]:
    return odd.server.fresh


async def test_users_differ_by_any_byte(store: Store) -> None:
    records = [make_record(number, user=user) for number, user in enumerate(USERS)]
    assert all(await asyncio.gather(*(store.insert(record) for record in records)))
    for record, user in zip(records, USERS, strict=True):
        assert await store.page(Query(user=user), NOW) == [record]


@pytest.mark.parametrize("user", USERS, ids=range(len(USERS)))
async def test_metadata_is_kept_to_the_byte(store: Store, user: str) -> None:
    text = json.dumps({"user": user, "more": user[::-1]}, ensure_ascii=False)
    record = make_record(metadata=text)
    assert await store.insert(record)
    assert await store.get(record.guid) == record
    new = newer(record, user=user)
    assert await store.replace(new, record.version)
    assert await store.get(record.guid) == new


async def test_writes_are_committed_and_seen_by_others(new_url: Callable[[], str]) -> None:
    url = new_url()
    async with opener_of(url)() as one, opener_of(url)() as other:
        assert await one.insert(make_record())
        assert await other.get(make_record().guid) == make_record()


async def test_a_record_larger_than_the_server_takes_is_refused_and_spoils_no_other(
    store: Store,
) -> None:
    large = make_record(1, metadata='{"pad":"%s"}' % ("x" * 600_000))
    others = [make_record(number) for number in (0, 2)]
    done = await asyncio.gather(
        *(store.insert(record) for record in (others[0], large, others[1])),
        return_exceptions=True,
    )
    assert done[0] is True
    assert isinstance(done[1], StoreUnavailable)
    assert "nothing was written" in str(done[1])
    assert done[2] is True
    assert await store.page(Query(), NOW) == others


async def test_settings_that_break_durability_are_warned_of(new_url: Callable[[], str]) -> None:
    with capture_logs() as logs:
        async with opener_of(new_url())():
            pass
    warned = {(line["setting"], line["value"]) for line in logs if "setting" in line}
    assert warned == {
        ("innodb_flush_log_at_trx_commit", "2"),
        ("innodb_doublewrite", "OFF"),
        ("innodb_flush_method", "nosync"),
        ("sync_binlog", "0"),
    }
    assert {line["log_level"] for line in logs} == {"warning"}
    assert PASSWORD not in repr(logs)


@pytest.mark.parametrize("name", ["mysql", "galera"])
async def test_a_server_without_a_binary_log_is_warned_of(engines: Engines, name: str) -> None:
    server = engines.get(name)
    has_none = isinstance(server, mysql.Server) and server.run("SELECT @@log_bin").strip() == "0"
    with capture_logs() as logs:
        async with opener_of(server.fresh())():
            pass
    warnings = [(line["event"], line["setting"]) for line in logs]
    assert warnings == [("a crash may undo what a read has shown", "log_bin")] * has_none


async def cipher(url: str) -> str:
    """Returns the cipher of the store's connection; empty: it is not encrypted."""
    store = await MySQLStore.open(url, timeout=5.0, metrics=Metrics())
    loop = asyncio.get_running_loop()
    asked = "SHOW SESSION STATUS LIKE 'Ssl_cipher'"
    response = await store._pool.run(asked, loop.time() + 5)
    await store.close()
    return str(response.rows[0][1])


@pytest.mark.parametrize(
    "query",
    [
        "ssl-mode=REQUIRED",
        "ssl-mode=verify-ca&ssl-ca={own}",
        "ssl-mode=VERIFY_IDENTITY&ssl-ca={own}",
        "ssl-ca={own}",
        "ssl-ca={own}&ssl-cert={own}&ssl-key={key}",
    ],
)
async def test_connections_are_encrypted_where_the_url_says_so(odd: Odd, query: str) -> None:
    own = odd.certificate
    key = own.with_suffix(".key")
    url = f"{odd.server.fresh()}?{query.format(own=quote(str(own)), key=quote(str(key)))}"
    assert await cipher(url) != ""


async def test_connections_are_not_encrypted_where_the_url_does_not_say_so(odd: Odd) -> None:
    assert await cipher(odd.server.fresh()) == ""


@pytest.mark.parametrize(
    "query", ["ssl-mode=verify-ca", "ssl-mode=verify-ca&ssl-ca={other}", "ssl-ca={other}"]
)
async def test_a_certificate_without_a_known_signer_is_refused(odd: Odd, query: str) -> None:
    url = f"{odd.server.fresh()}?{query.format(other=quote(str(odd.stranger)))}"
    with pytest.raises(StartupError, match="CERTIFICATE_VERIFY_FAILED") as refused:
        await MySQLStore.open(url, timeout=1.0, metrics=Metrics())
    assert "tried for" not in str(refused.value), "no later attempt can succeed"


async def test_a_certificate_of_another_host_is_refused_unless_only_its_signer_is_asked_for(
    odd: Odd,
) -> None:
    named = odd.server.fresh().replace("127.0.0.1", "localhost")
    certificate = quote(str(odd.certificate))
    with pytest.raises(StartupError, match="Hostname mismatch"):
        await MySQLStore.open(f"{named}?ssl-ca={certificate}", timeout=1.0, metrics=Metrics())
    assert await cipher(f"{named}?ssl-mode=verify-ca&ssl-ca={certificate}") != ""


async def test_a_server_without_encryption_is_refused_where_it_is_required(
    engines: Engines,
) -> None:
    url = f"{engines.get('mysql').fresh()}?ssl-mode=required"
    with pytest.raises(StartupError, match="Can't use the store"):
        await MySQLStore.open(url, timeout=1.0, metrics=Metrics())
