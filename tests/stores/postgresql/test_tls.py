"""Encryption to PostgreSQL, and the login: only the URL decides, not the environment."""

from __future__ import annotations

import os
import pwd
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from guidkeep.errors import StartupError
from guidkeep.stores.postgresql.tls import tries_of
from guidkeep.stores.remote import starting
from guidkeep.urls import Address
from tests.stores.postgresql.test_start import as_user, impatient, opened, refusal
from tests.stores.records import make_record

if TYPE_CHECKING:
    from pathlib import Path

    from servers.postgresql import PostgreSQL

__all__ = ["impatient"]


async def test_tls_checks_the_servers_certificate_if_the_url_demands_it(
    own: PostgreSQL, tmp_path: Path, impatient: None
) -> None:
    certificate = certify(own, tmp_path)
    store = await opened(f"{own.url}?sslmode=verify-full&sslrootcert={certificate}")
    assert await store.insert(make_record())
    encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
    assert own.run(f"{encrypted} WHERE client_port > 0 AND pid <> pg_backend_pid()") == "t"
    await store.close()
    other = certify(own, tmp_path / "other")
    assert "SSLCertVerificationError" in await refusal(
        f"{own.url}?sslmode=verify-full&sslrootcert={certificate}"
    )
    store = await opened(f"{own.url}?sslmode=verify-full&sslrootcert={other}")
    await store.close()


def test_a_key_of_ones_own_may_be_encrypted(tmp_path: Path) -> None:
    key, certificate = tmp_path / "client.key", tmp_path / "client.crt"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-days", "1", "-subj", "/CN=ann"]
    command += ["-passout", "pass:s3cret", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    url = f"postgresql://h/d?sslmode=require&sslcert={certificate}&sslkey={key}&sslpassword="
    [context] = tries_of(Address.parse(f"{url}s3cret&sslcrl={certificate}", port=1))
    assert context is not None
    assert context.verify_flags & ssl.VERIFY_CRL_CHECK_CHAIN
    with pytest.raises(StartupError, match="a certificate can't be used") as refused:
        tries_of(Address.parse(f"{url}other-s3cret", port=1))
    assert "s3cret" not in str(refused.value)


def certify(server: PostgreSQL, folder: Path) -> Path:
    """Gives the server a new certificate, signed by itself, and returns its file."""
    folder.mkdir(exist_ok=True)
    key, certificate = folder / "server.key", folder / "server.crt"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    server.use_certificate(key, certificate)
    return certificate


def allow(server: PostgreSQL, kind: str) -> None:
    """Accepts only encrypted connections (`hostssl`), or only others (`hostnossl`)."""
    rules = server._folder / "data" / "pg_hba.conf"
    rules.write_text(f"{kind} all all 127.0.0.1/32 scram-sha-256\n")
    server.run("SELECT pg_reload_conf()", url=f"{server.url}?sslmode=allow")


@pytest.mark.parametrize(
    ("kind", "works", "fails"),
    [
        ("hostssl", ["", "prefer", "allow", "require"], "disable"),
        ("hostnossl", ["", "prefer", "allow", "disable"], "require"),
    ],
)
async def test_a_server_that_wants_it_one_way_gets_it_where_the_mode_allows_that(
    own: PostgreSQL, tmp_path: Path, impatient: None, kind: str, works: list[str], fails: str
) -> None:
    certify(own, tmp_path)
    own.run("ALTER USER guidkeep PASSWORD 'only-for-tests'")
    allow(own, kind)
    for mode in works:
        store = await opened(f"{own.url}?sslmode={mode}" if mode else own.url)
        assert await store.get(make_record().guid) is None
        await store.close()
    said = await refusal(f"{own.url}?sslmode={fails}")
    assert "no pg_hba.conf entry" in said
    assert "If it accepts encrypted connections only, write ?sslmode=verify-full" in said
    wrong = as_user(own.url, "guidkeep", "wrong")
    assert "password authentication failed" in await refusal(f"{wrong}?sslmode=prefer")


async def test_a_server_without_tls_is_used_unless_that_must_be(
    own: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "START_TIMES", 1.01)
    store = await opened(own.url)
    await store.close()
    assert "rejected SSL upgrade" in await refusal(f"{own.url}?sslmode=require")


async def test_the_login_is_the_urls_user_or_else_the_systems(
    own: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGUSER", "guidkeep")
    monkeypatch.setenv("USER", "guidkeep")
    nobody = own.url.replace("guidkeep:only-for-tests@", "")
    assert f'"{pwd.getpwuid(os.geteuid()).pw_name}"' in await refusal(nobody)


AS_ANOTHER = """
import asyncio, os, sys
from guidkeep.errors import StartupError
from guidkeep.metrics import Metrics
from guidkeep.stores import open_store

async def use(url):
    store = await open_store(url, timeout=20, metrics=Metrics())
    await store.ping()
    await store.close()

asyncio.run(use(sys.argv[1]))  # with all that it imports
os.environ["HOME"] = sys.argv[2]
for name in ("PGPASSFILE", "PGSSLROOTCERT", "PGSSLKEY", "PGSSLCERT", "PGSSLCRL", "PGSERVICEFILE"):
    os.environ[name] = sys.argv[2] + "/.postgresql/" + name
os.environ |= {"PGSSLMODE": "verify-full", "PGUSER": "x", "PGPASSWORD": "x", "PGHOST": "x",
               "PGPORT": "1", "PGDATABASE": "x", "PGSERVICE": "x", "PGSSLNEGOTIATION": "direct",
               "PGTARGETSESSIONATTRS": "x", "PGGSSLIB": "x"}
os.setgroups([])
os.setgid(54321)
os.setuid(54321)
asyncio.run(use(sys.argv[1]))
try:
    asyncio.run(use(sys.argv[3]))
except StartupError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_neither_home_nor_environment_nor_a_missing_name_changes_the_urls_meaning(
    own: PostgreSQL, tmp_path: Path
) -> None:
    """The user has no entry in passwd, and HOME is a folder that only root may enter."""
    certify(own, tmp_path)
    home = tmp_path / "home"
    (home / ".postgresql").mkdir(parents=True)
    for name in ("postgresql.key", "postgresql.crt", "root.crt", "root.crl"):
        (home / ".postgresql" / name).write_text("nothing of the kind")
    home.chmod(0o700)
    for url in (own.url, f"{own.url}?sslmode=require"):
        nobody = own.url.replace("guidkeep:only-for-tests@", "")
        done = subprocess.run(
            [sys.executable, "-c", AS_ANOTHER, url, str(home), nobody],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "names no user, and the system user 54321 has no name" in done.stdout
