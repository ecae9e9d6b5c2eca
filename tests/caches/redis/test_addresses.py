"""The URL of a Redis."""

from __future__ import annotations

import ssl
import sys
from typing import TYPE_CHECKING

import pytest

from guidkeep.caches import CacheOptions, open_cache
from guidkeep.caches.redis.cache import RedisCache
from guidkeep.caches.redis.url import RedisAddress
from guidkeep.errors import StartupError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_url_says_where_redis_is_and_who_logs_in() -> None:
    address = RedisAddress.parse("redis://ann:se%20cret@cache.example:7000/3?prefix=mine:")
    assert address.seeds == (("cache.example", 7000),)
    assert (address.user, address.password) == ("ann", "se cret")
    assert (address.database, address.prefix) == (3, "mine:")
    assert not address.is_cluster
    assert address.tls is None


def test_parameters_missing_in_the_url_have_defaults() -> None:
    address = RedisAddress.parse("redis://")
    assert address.seeds == (("127.0.0.1", 6379),)
    assert (address.user, address.password) == ("", "")
    assert (address.database, address.prefix) == (0, "guidkeep:")


def test_a_cluster_has_several_seeds() -> None:
    address = RedisAddress.parse("redis+cluster://:secret@one:7001,two:7002,three/?prefix=a")
    assert address.is_cluster
    assert address.seeds == (("one", 7001), ("two", 7002), ("three", 6379))
    assert (address.user, address.password) == ("", "secret")


def test_with_tls_the_certificate_is_checked_unless_the_url_says_otherwise() -> None:
    checked = RedisAddress.parse("rediss://cache.example").tls
    assert checked is not None
    assert (checked.verify_mode, checked.check_hostname) == (ssl.CERT_REQUIRED, True)
    by_name = RedisAddress.parse("rediss://x?ssl_check_hostname=false").tls
    assert by_name is not None
    assert (by_name.verify_mode, by_name.check_hostname) == (ssl.CERT_REQUIRED, False)
    unchecked = RedisAddress.parse("rediss+cluster://x,y/?ssl_cert_reqs=none").tls
    assert unchecked is not None
    assert (unchecked.verify_mode, unchecked.check_hostname) == (ssl.CERT_NONE, False)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("redis://x?colour=red", "unknown parameter: colour"),
        ("redis://x?ssl_ca_certs=file", "unknown parameter: ssl_ca_certs"),
        ("redis://x,y", "write redis+cluster://"),
        ("redis://x:many", "is not a URL"),
        ("redis+cluster://a:1,,b:2/", "a host between commas has no name"),
        ("redis://x/first", "'first' is not the number of a database"),
        ("redis+cluster://x/1", "has the database 0 alone"),
        ("redis://x?prefix=", "1 to 64 characters"),
        ("redis://x?prefix={a}", "1 to 64 characters"),
        ("rediss://x?ssl_cert_reqs=perhaps", "It is none or required"),
        ("rediss://x?ssl_check_hostname=1", "It is false or true"),
        ("rediss://x?ssl_ca_certs=/nowhere", "certificates can't be read"),
        ("rediss://x?ssl_certfile=/nowhere", "certificates can't be read"),
    ],
)
def test_a_wrong_url_is_refused_with_a_sentence_and_without_the_password(
    url: str, complaint: str
) -> None:
    url = url.replace("://", "://ann:opensesame@")
    with pytest.raises(StartupError) as refused:
        open_cache(url, CacheOptions(max_age=60))
    assert complaint in str(refused.value)
    assert str(refused.value).endswith(".")
    assert "opensesame" not in str(refused.value)


def test_a_password_is_not_shown_by_accident() -> None:
    address = RedisAddress.parse("redis+cluster://ann:opensesame@one,two/")
    assert "opensesame" not in repr(address) + address.shown


def test_redis_need_not_be_up_when_the_cache_is_opened() -> None:
    assert isinstance(open_cache("redis://127.0.0.1:1", CacheOptions(max_age=60)), RedisCache)


def test_a_missing_driver_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in [name for name in sys.modules if name.startswith("guidkeep.caches.redis")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "hiredis", None)
    with pytest.raises(StartupError, match=r"hiredis is not installed.*guidkeep\[redis\]"):
        open_cache("redis://", CacheOptions(max_age=60))


def test_certificates_are_read(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("no certificate")
    with pytest.raises(StartupError, match="can't be read"):
        RedisAddress.parse(f"rediss://x?ssl_ca_certs={bundle}")
