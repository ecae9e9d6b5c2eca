"""URLs of servers: read strictly, and never shown with a password."""

from __future__ import annotations

import os
import pwd
import traceback
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from guidkeep import caches, stores
from guidkeep.caches import CacheOptions, open_cache
from guidkeep.caches.redis.url import RedisAddress
from guidkeep.client.transport import address_of
from guidkeep.errors import StartupError
from guidkeep.stores.sqlite.path import path_of
from guidkeep.units import parse_size
from guidkeep.urls import Address, redacted, scheme_of, split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mysql://ann:s3cret@db.example/guidkeep", "mysql://db.example/guidkeep"),
        ("redis://:s3cret@db.example", "redis://db.example"),
        ("redis://s3cret@db.example/1", "redis://db.example/1"),
        ("postgresql://ann@pg1:s3cret@db.example/x", "postgresql://db.example/x"),
        ("mongodb://ann:s3cret@a,b:27018/x?w=1", "mongodb://a,b:27018/x"),
        ("mysql://db.example/x?ssl_password=s3cret&pool=8", "mysql://db.example/x"),
        ("http://ann:s3cret@[::1]:1/x", "http://[::1]:1/x"),
        ("sqlite:///guidkeep.db", "sqlite:///guidkeep.db"),
        ("sqlite:////d/ann@home.db", "sqlite:////d/ann@home.db"),
        # In these the place of the password is uncertain.
        ("sqlite://ann:12/34@h", "sqlite://…"),
        ("mysql://ann:12/34@db.example/x", "mysql://…"),
        ("redis://:s3/c#r?e@t@db.example:1/0", "redis://…"),
        ("redis://ann@prod:s3cret", "redis://…"),
        ("postgresql:///ann:s3cret@h/x", "postgresql://…"),
        ("redis:x://ann:s3cret@h", "…"),
        ("ann:s3cret@h", "…"),
        ("sqlite:///a\u202eb", "sqlite://…"),
        # Without a scheme it is not a URL, but the mistake is obvious.
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("memory", "memory"),
    ],
)  # fmt: skip
def test_a_url_is_shown_as_scheme_hosts_and_path_and_no_more(url: str, shown: str) -> None:
    assert redacted(url) == shown


SCHEMES = (
    *(scheme for backend in (*stores.BACKENDS, *caches.BACKENDS) for scheme in backend.schemes),
    "oracle",
)
PARTS = st.text(st.characters() | st.sampled_from("@:/?#%[]&=,.0189ab"), max_size=12)


@given(
    scheme=st.sampled_from(SCHEMES),
    user=PARTS,
    password=PARTS.filter(lambda text: len(text) >= 4),
    host=PARTS,
    is_encoded=st.booleans(),
)
async def test_no_password_is_shown_whatever_is_in_it(
    scheme: str, user: str, password: str, host: str, is_encoded: bool
) -> None:
    """Neither by `redacted` nor by any error of what reads URLs, its causes included."""
    written = quote(password, safe="", errors="surrogatepass") if is_encoded else password
    url = f"{scheme}://{user}:{written}@{host}/0?x=1"
    without = "".join(refusals(f"{scheme}://{host}/0?x=1"))
    assume(all(part not in without for part in (password, repr(password)[1:-1], written)))
    for shown in refusals(url):
        assert password not in shown
        assert repr(password)[1:-1] not in shown
        assert written not in shown


def refusals(url: str) -> list[str]:
    """Every form in which a URL is shown: redacted, and in the errors of each parser."""
    readers: list[Callable[[str], object]] = [
        split,
        address_of,
        lambda url: open_cache(url, CacheOptions(max_age=1)),
        lambda url: Address.parse(url, port=1).refuse_the_rest(),
        lambda url: Address.parse(url, port=1).take("x", parse_size, ""),
        lambda url: shown.append(repr(Address.parse(url, port=1))),
        lambda url: shown.append(str(Address.parse(url, port=1))),
        lambda url: shown.append(repr(RedisAddress.parse(url))),
    ]
    shown = [redacted(url)]
    for read in readers:
        try:
            read(url)
        except (StartupError, ValueError) as error:
            shown.append(" ".join(told(error)))
    return shown


def told(error: BaseException | None) -> Iterator[str]:
    """The text of a traceback: an error and its causes."""
    while error is not None:
        yield str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


@pytest.mark.parametrize("part", ["a#b", "a\0b", "a%00b", "a\nb", "a%0Ab", "a%7fb", "a\x85b"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_url_that_would_be_cut_short_is_refused_wherever_that_is(scheme: str, part: str) -> None:
    for url in (f"{scheme}://h/{part}", f"{scheme}://ann:s3cret{part}@h/0", f"{scheme}:///{part}"):
        for read in (split, lambda url: Address.parse(url, port=1)):
            with pytest.raises(StartupError, match="%23" if "#" in part else "control") as refused:
                read(url)
            assert "s3cret" not in str(refused.value)


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
    for url in ("redis://", "redis:///3"):
        assert Address.parse(url, port=6379).places == (("127.0.0.1", 6379),)


@pytest.mark.parametrize("rest", ["", "127.0.0.1", "/127.0.0.1", "/a.db", "s3cret", "/s3cret"])
@pytest.mark.parametrize("scheme", ["redis", "memory", "none", "sqlite", "mysql", "postgresql"])
def test_a_url_without_its_two_slashes_is_refused_with_what_would_be_right(
    scheme: str, rest: str
) -> None:
    """A host would be taken for a path, and the path of a file for another."""
    readers: list[Callable[[str], object]] = [split, lambda url: Address.parse(url, port=1)]
    if scheme in ("redis", "memory", "none"):
        readers.append(lambda url: open_cache(url, CacheOptions(max_age=1)))
    if scheme == "sqlite":
        readers.append(path_of)
    for read in readers:
        with pytest.raises(StartupError, match=f"no :// after its scheme: write {scheme}://") as no:
            read(f"{scheme}:{rest}")
        assert "s3cret" not in str(no.value)


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
    assert str(address) == "mysql://h/x"


def test_who_logs_in_is_named_by_the_url_or_by_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = Address.parse("mysql://h/x", port=1)
    for name in ("USER", "LOGNAME", "HOME"):
        monkeypatch.setenv(name, "somebody-else")
    assert Address.parse("mysql://ann@h/x", port=1).login == "ann"
    assert nobody.login == pwd.getpwuid(os.geteuid()).pw_name
    monkeypatch.setattr(os, "geteuid", lambda: 54_321)
    with pytest.raises(StartupError, match="write mysql://user:password@host/database"):
        _ = nobody.login


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
