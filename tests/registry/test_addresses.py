"""URLs of servers: read strictly, and never shown with a password."""

from __future__ import annotations

import traceback

import pytest

from guidkeep.addresses import Address, driver, redacted, scheme_of, split
from guidkeep.errors import StartupError


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mysql://ann:s3cret@db.example/guidkeep", "mysql://ann:***@db.example/guidkeep"),
        ("redis://:s3cret@db.example", "redis://:***@db.example"),
        ("mongodb://ann:s3cret@a,b:27018/x?w=1", "mongodb://ann:***@a,b:27018/x?w=1"),
        ("mysql://db.example/x?ssl_password=s3cret&pool=8", "mysql://db.example/x?ssl_password=***&pool=8"),
        ("mysql://ann:12/34@db.example/x", "mysql://ann:***@db.example/x"),
        ("redis://:s3/c#r?e@t@db.example:1/0", "redis://:***@db.example:1/0"),
        ("mysql://ann@db.example/x", "mysql://ann@db.example/x"),
        ("sqlite:///guidkeep.db", "sqlite:///guidkeep.db"),
    ],
)  # fmt: skip
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert redacted(url) == shown


def test_an_address_is_read_from_its_url() -> None:
    address = Address.parse("mysql://a%40b:s%2Fcret@[::1]:3307/my%20db?pool=8&x=", port=3306)
    assert (address.scheme, address.host, address.port) == ("mysql", "::1", 3307)
    assert (address.user, address.password, address.database) == ("a@b", "s/cret", "my db")
    assert address.parameters == {"pool": "8", "x": ""}


def test_what_a_url_leaves_out_is_this_machine_and_the_usual_port() -> None:
    address = Address.parse("redis://", port=6379)
    assert (address.host, address.port, address.user, address.password) == (
        "127.0.0.1",
        6379,
        "",
        "",
    )


def test_several_places_are_read_where_they_may_be_named() -> None:
    url = "mysql://ann:s3cret@a:1,[::1],c/x"
    address = Address.parse(url, port=7, several=True)
    assert address.places == (("a", 1), ("::1", 7), ("c", 7))
    assert (address.host, address.port, address.user, address.database) == ("a", 1, "ann", "x")
    with pytest.raises(StartupError, match="names several servers") as refused:
        Address.parse(url, port=7)
    assert "s3cret" not in str(refused.value)
    with pytest.raises(StartupError, match="a host between commas has no name"):
        Address.parse("mysql://a,,b/x", port=7, several=True)


def test_a_url_without_a_place_is_of_this_machine() -> None:
    for url in ("redis:", "redis://", "redis:///3"):
        assert Address.parse(url, port=6379).places == (("127.0.0.1", 6379),)


def test_port_0_is_not_taken_for_none() -> None:
    assert Address.parse("redis://h:0", port=6379).port == 0


@pytest.mark.parametrize(
    "url", ["mysql://ann:s3cret@h:port/x", "mysql://ann:s3cret@[h/x", "mysql://ann:s3cret℀@h/x"]
)
def test_what_is_no_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(StartupError, match="is not a URL") as refused:
        Address.parse(url, port=1)
    assert "s3cret" not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize("url", ["memory://ann:s3cret℀@h", "memory://ann:[s3cret@h"])
def test_what_can_not_be_split_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(StartupError, match="is not a URL") as refused:
        split(url)
    assert "s3cret" not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize(
    ("url", "scheme"),
    [("MySQL://h", "mysql"), ("redis+cluster:x", "redis+cluster"), ("memory", ""), ("", "")],
)
def test_a_scheme_is_known_whatever_comes_after_it(url: str, scheme: str) -> None:
    assert scheme_of(url) == scheme
    assert scheme_of(f"{url}://ann:[℀@") == (scheme or url.lower())


def test_an_address_shows_no_password_however_it_is_printed() -> None:
    address = Address.parse("mysql://ann:s3cret@h/x", port=1)
    assert "s3cret" not in f"{address} {address!r}"


def test_a_parameter_is_taken_once_and_the_rest_refused() -> None:
    address = Address.parse("mysql://h/x?pool=8&colour=red", port=1)
    assert address.take("pool", int, "4") == 8
    assert address.take("limit", int, "4") == 4
    with pytest.raises(StartupError, match="unknown parameter: colour"):
        address.refuse_the_rest()
    address.take("colour", str, "")
    address.refuse_the_rest()


def test_a_parameter_of_a_wrong_value_is_refused() -> None:
    address = Address.parse("mysql://ann:s3cret@h/x?pool=many", port=1)
    with pytest.raises(StartupError, match="pool=many is wrong") as refused:
        address.take("pool", int, "4")
    assert "s3cret" not in str(refused.value)


def test_a_driver_that_is_not_installed_is_named_with_what_installs_it() -> None:
    with pytest.raises(StartupError, match=r"pip install 'guidkeep\[mysql\]'"):
        driver("nodriver.aio", extra="mysql")


def test_a_driver_is_imported() -> None:
    assert driver("asyncio.queues", extra="x").Queue
