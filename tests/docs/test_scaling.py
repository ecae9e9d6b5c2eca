"""The recipes of docs/scaling.md: their commands, in order, on real servers."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
from configparser import ConfigParser
from typing import TYPE_CHECKING, cast

import httpx2
import pytest

from servers import galera, mysql, postgresql
from servers.nodes import ENVIRONMENT
from tests.docs.examples import BIN
from tests.docs.pages import text_of
from tests.server.processes import Server
from tests.support import NO_TLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.engines import Engines

COMMANDS = [
    shlex.split(command)
    for block in re.findall(
        r"^```sh\n(.*?)^```$", text_of("docs/scaling.md"), re.MULTILINE | re.DOTALL
    )
    for command in block.replace("\\\n", "").splitlines()
    if command.startswith("guidkeep ")
]
GUIDS = [f"{number:032X}" for number in range(40)]


def three_of(name: str) -> str:
    return ",".join(f"{name}-{number}.internal" for number in (1, 2, 3))


@pytest.fixture
def pooled(engines: Engines, tmp_path: Path) -> Iterator[str]:
    """A database behind PgBouncer."""
    server = cast("postgresql.Server", engines.get("postgresql"))
    folder = tmp_path / "pgbouncer"
    folder.mkdir()
    with postgresql.pgbouncer(folder, server) as bouncer:
        yield bouncer.fresh()


@pytest.fixture
def places(engines: Engines, tmp_path: Path, pooled: str) -> dict[str, str]:
    """Texts in the page, and their replacements here."""
    database, redis = engines.get("postgresql").fresh(), engines.get("redis").fresh()
    return {
        "sqlite:////var/lib/guidkeep": f"sqlite:///{tmp_path}",
        "postgresql://guidkeep:secret@127.0.0.1/guidkeep": database,
        "postgresql://guidkeep:secret@db.internal/guidkeep": database,
        "mysql://guidkeep:secret@127.0.0.1/guidkeep": engines.get("mysql").fresh(),
        "redis://127.0.0.1": redis,
        "redis://cache.internal": redis,
        f"mysql://guidkeep:secret@{three_of('galera')}/guidkeep": engines.get("galera").fresh(),
        f"redis+cluster://{three_of('cache')}": engines.get("redis_cluster").fresh(),
        "postgresql://guidkeep:secret@pgbouncer.internal:6432/guidkeep": pooled,
        f"mongodb://guidkeep:secret@{three_of('mongo')}/guidkeep?replicaSet=rs0": (
            engines.get("mongodb").fresh()
        ),
        "0.0.0.0": "127.0.0.1",  # noqa: S104 - replaced, not served
    }


def serve(command: list[str], *, fill: bool, holds: bool) -> None:
    """Starts the server, fills its store or checks that it has all records, and stops it."""
    with subprocess.Popen(
        [*command, "--port", "0"], stdout=subprocess.PIPE, env=ENVIRONMENT, text=True
    ) as process:
        assert process.stdout
        server = Server(process, process.stdout.readline().strip())
        with httpx2.Client(base_url=server.address, trust_env=False, verify=NO_TLS) as client:
            assert client.get("/readyz").json() == {"status": "ok", "store": "ok", "cache": "ok"}
            for guid in GUIDS if fill else []:
                assert client.put(f"/guid/{guid}", json={"user": "Ann"}).status_code == 201
            if holds:
                assert {client.get(f"/guid/{guid}").status_code for guid in GUIDS} == {200}
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


@pytest.mark.timeout(180)
def test_each_recipe_works_and_takes_the_records_along(places: dict[str, str]) -> None:
    copied = 0
    assert len(COMMANDS) == 13
    for number, words in enumerate(COMMANDS):
        command = [str(BIN / words[0]), *words[1:]]
        for there, here in places.items():
            command = [word.replace(there, here) for word in command]
        if words[1] == "serve":
            serve(command, fill=number == 0, holds=copied > 0)
        else:
            done = subprocess.run(
                command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=60
            )
            assert done.returncode == 0, done.stdout + done.stderr
            assert f"Compared: {len(GUIDS)} equal, 0 different.\n" in done.stdout
            copied += 1
    assert copied == 4


def settings(name: str) -> dict[str, str]:
    """Returns MariaDB's settings from the page: those of the block with that setting."""
    blocks = re.findall(
        r"^```ini\n(.*?)^```$", text_of("docs/scaling.md"), re.MULTILINE | re.DOTALL
    )
    [block] = [block for block in blocks if re.search(f"^{name} =", block, re.MULTILINE)]
    parser = ConfigParser()
    parser.read_string(block)
    return dict(parser["mysqld"])


def told(flags: Iterable[str]) -> dict[str, str]:
    """Returns the settings as flags of a server."""
    options = (flag.removeprefix("--").partition("=") for flag in flags)
    return {name.replace("-", "_"): value for name, _, value in options}


def test_the_binary_log_is_tested_with_the_settings_of_the_page() -> None:
    page = settings("log_bin")
    assert page.pop("binlog_expire_logs_seconds") == "86400"
    assert page == told(mysql.BINARY_LOG)


def test_galera_is_tested_with_the_settings_of_the_page() -> None:
    """Only the addresses differ; the log is flushed as by MariaDB's default."""
    page = settings("wsrep_on")
    tested = told(galera.SETTINGS)
    detection = ";".join(galera.FAILURE_DETECTION)
    assert page.pop("wsrep_provider_options").strip('"') == detection
    assert page.pop("wsrep_cluster_address") == f"gcomm://{three_of('galera')}"
    assert page.pop("innodb_flush_log_at_trx_commit") == "1"
    assert page == tested
