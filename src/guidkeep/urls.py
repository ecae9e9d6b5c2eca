"""Addresses of servers: URLs, parsed strictly and never shown with their password."""

from __future__ import annotations

import os
import pwd
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import (
    SplitResult,
    parse_qsl,
    unquote,
    urlsplit,  # noqa: TID251 - here it is given whole URLs only
)

from guidkeep.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import Callable

Value = TypeVar("Value")

_authority = re.compile(r"[^:/?#]*://([^/?#]*)").match
_scheme = re.compile(r"(?i)[a-z][a-z0-9+.-]*(?=://)")
_place_alone = re.compile(r"[\w.-]*(:[0-9]*)?", re.ASCII).fullmatch
_control = re.compile(r"[\x00-\x1f\x7f-\x9f]|%(?:[01][0-9a-f]|7f)", re.IGNORECASE)

_ENCODED = (
    "Special characters in a name or password are percent-encoded: / as %2F, ? as %3F, @ as %40."
)
_PORT = "A port is a number up to 65535."
HIDDEN = "\N{HORIZONTAL ELLIPSIS}"
"""Stands for the part of a URL that is not shown."""


def redacted(url: str) -> str:
    """Returns the URL as it may be shown: scheme, hosts, ports and path.

    A user may be a token and a parameter a key, so neither is shown. The end of the password is
    certain only in a well-formed URL. Of any other URL only the scheme is shown.
    """
    try:
        parts, names = _split(url)
        for name in names:
            _place(name, 0)
    except (ValueError, StartupError):
        return _hidden(url)
    shown = f"{parts.scheme}://{','.join(names)}{parts.path}"
    return shown if _scheme.match(url) and shown.isprintable() else _hidden(url)


def _hidden(url: str) -> str:
    """Returns what may be shown of a URL that may have a password anywhere."""
    if scheme := _scheme.match(url):
        return f"{scheme[0]}://{HIDDEN}"
    return url if _place_alone(url) else HIDDEN


def require_whole(url: str) -> re.Match[str]:
    """Refuses a URL that would be cut short, or whose password has no certain end.

    Returns:
        A match of its beginning, up to the path; the first group is the part after `://`.

    Raises:
        StartupError: it has a fragment, a control character, an `@` after its hosts, or no `://`.
    """
    found = _authority(url)
    after = url[found.end() :] if found else url
    is_file = scheme_of(url) == "sqlite" and found is not None and not found[1]
    if "#" in url:
        flaw = "a #, which would cut it short: write %23 for a # in a name or password."
    elif _control.search(url):
        flaw = "a control character: a name or password must not contain one."
    elif "@" in after and not is_file:
        flaw = f"an @ after its hosts. {_ENCODED}"
    elif found is None:  # the host would be taken for a path
        raise StartupError(f"The URL has no :// after its scheme: write {_begun(url)}.")
    else:
        return found
    raise StartupError(f"The URL {_hidden(url)} has {flaw}")


def _begun(url: str) -> str:
    """The form of a URL of that scheme."""
    scheme = scheme_of(url)
    return "sqlite:///FILE" if scheme == "sqlite" else f"{scheme or 'SCHEME'}://{HIDDEN}"


def scheme_of(url: str) -> str:
    """Returns the part before the first colon, in lower case; empty if there is no colon.

    It does not look at the rest, so it refuses no URL.
    """
    scheme, colon, _ = url.partition(":")
    return scheme.lower() if colon else ""


def split(url: str) -> SplitResult:
    """Returns the URL's parts, unchecked.

    Raises:
        StartupError: it is not a URL, or `require_whole` refuses it.
    """
    require_whole(url)
    try:
        return urlsplit(url)
    except ValueError:
        raise _no_url(url) from None


def _no_url(url: str) -> StartupError:
    """Returns an error. Raise it from None: a ValueError of urllib may contain the password."""
    return StartupError(f"{redacted(url)!r} is not a URL. {_ENCODED} {_PORT}")


@dataclass(frozen=True, slots=True)
class Address:
    """A server's address, from a URL. Shown without user, password and parameters.

    Attributes:
        url: the URL as given. Never show it.
        scheme: the part before `://`.
        host: the name or IP address; if the URL names several servers, of the first.
        port: the TCP port; if the URL names several servers, of the first.
        places: the hosts and ports of all servers.
        user: the user who logs in; empty if the URL names none.
        password: the password; empty if the URL has none.
        database: the path without its slash, decoded.
        parameters: the parameters after the question mark that `take` has not read yet.
    """

    url: str = field(repr=False)
    scheme: str
    host: str
    port: int
    places: tuple[tuple[str, int], ...]
    user: str = field(repr=False)
    password: str = field(repr=False)
    database: str
    parameters: dict[str, str] = field(repr=False)

    @classmethod
    def parse(cls, url: str, *, port: int, several: bool = False) -> Address:
        """Parses `scheme://user:password@host:port/database?name=value`.

        Args:
            url: the URL; special characters in it are percent-encoded.
            port: the default port.
            several: whether it may name several servers: `host1:port1,host2:port2`.

        Raises:
            StartupError: it is not such a URL.
        """
        try:
            parts, names = _split(url)
            places = tuple(_place(name, port) for name in names)
            made = cls(
                url=url,
                scheme=parts.scheme,
                host=places[0][0],
                port=places[0][1],
                places=places,
                user=unquote(parts.username or ""),
                password=unquote(parts.password or ""),
                database=unquote(parts.path.removeprefix("/")),
                parameters=dict(parse_qsl(parts.query, keep_blank_values=True)),
            )
        except ValueError:
            raise _no_url(url) from None
        if len(names) > 1 and not all(names):
            raise StartupError(
                f"{redacted(url)!r} is not a URL: a host between commas has no name."
            )
        if len(places) > 1 and not several:
            raise StartupError(f"{redacted(url)!r} names several servers: it takes one.")
        return made

    def __str__(self) -> str:
        """Returns the URL as it may be shown."""
        return redacted(self.url)

    @property
    def login(self) -> str:
        """The user who logs in: the URL's, or else the system user that runs this process.

        Raises:
            StartupError: the URL names none, and the system user has no name.
        """
        if self.user:
            return self.user
        try:
            return pwd.getpwuid(os.geteuid()).pw_name
        except KeyError:
            raise StartupError(
                f"{self} names no user, and the system user {os.geteuid()} has no name: write "
                f"{self.scheme}://user:password@host/database."
            ) from None

    def take(self, name: str, parse: Callable[[str], Value], default: str) -> Value:
        """Parses a parameter and removes it from `parameters`.

        Raises:
            StartupError: its value is wrong.
        """
        text = self.parameters.pop(name, default)
        try:
            return parse(text)
        except (ValueError, StartupError) as error:
            raise StartupError(f"{self}: {name}={text} is wrong. {error}") from None

    def refuse_the_rest(self) -> None:
        """Raises StartupError if there are parameters that `take` has not read."""
        if self.parameters:
            name = next(iter(self.parameters))
            raise StartupError(f"{str(self)!r} has an unknown parameter: {name}.")


def _split(url: str) -> tuple[SplitResult, list[str]]:
    """Returns the URL's parts with the first of its hosts, and the names of all hosts.

    Raises:
        ValueError: it is not a URL.
        StartupError: `require_whole` refuses it.
    """
    found = require_whole(url)
    login, at, hosts = found[1].rpartition("@")
    names = hosts.split(",")
    return urlsplit(f"{url[: found.start(1)]}{login}{at}{names[0]}{url[found.end() :]}"), names


def _place(name: str, port: int) -> tuple[str, int]:
    """Returns host and port. Raises ValueError if they are malformed."""
    part = urlsplit(f"//{name}")
    return part.hostname or "127.0.0.1", port if part.port is None else part.port
