"""The URL of a Redis: its servers, the login, the encryption, and the prefix of the keys.

    redis://user:password@host:port/db?prefix=guidkeep:
    rediss://...?ssl_ca_certs=FILE       over TLS
    redis+cluster://host1:port1,host2:port2/     some servers of a Redis Cluster; it finds the rest
    rediss+cluster://...

Parameters: `prefix`, the first characters of all keys; and, with TLS, as in redis-py,
`ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`, `ssl_cert_reqs` (`required` or `none`) and
`ssl_check_hostname` (`true` or `false`).
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from guidkeep.errors import StartupError
from guidkeep.urls import Address

if TYPE_CHECKING:
    from collections.abc import Callable

PORT: Final = 6379
DEFAULT_PREFIX: Final = "guidkeep:"

_prefix = re.compile(r"[^{}\x00-\x20\x7f]{1,64}").fullmatch


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """See the module's text.

    Attributes:
        shown: the URL without its password.
        seeds: hosts and ports; only a cluster has more than one.
        is_cluster: whether it is a Redis Cluster.
        user: the user's name; empty: the default user.
        password: the password; empty: no login.
        database: the number of the database.
        prefix: the first characters of each key.
        tls: the settings of encryption; None: no encryption.
    """

    shown: str
    seeds: tuple[tuple[str, int], ...]
    is_cluster: bool
    user: str = field(repr=False)
    password: str = field(repr=False)
    database: int
    prefix: str
    tls: ssl.SSLContext | None

    @classmethod
    def parse(cls, url: str) -> RedisAddress:
        """Reads the URL.

        Raises:
            StartupError: the URL is wrong; the message gives the reason.
        """
        address = Address.parse(url, port=PORT, several=True)
        is_cluster = address.scheme.endswith("+cluster")
        if len(address.places) > 1 and not is_cluster:
            raise StartupError(f"{str(address)!r} names several servers: write redis+cluster://.")
        tls = _tls(address) if address.scheme.startswith("rediss") else None
        prefix = address.take("prefix", _prefix_of, DEFAULT_PREFIX)
        address.refuse_the_rest()
        return cls(
            shown=str(address),
            seeds=address.places,
            is_cluster=is_cluster,
            user=address.user,
            password=address.password,
            database=_database(address, is_cluster=is_cluster),
            prefix=prefix,
            tls=tls,
        )


def _prefix_of(text: str) -> str:
    if not _prefix(text):
        raise ValueError("It is 1 to 64 characters without spaces and braces.")
    return text


def _database(address: Address, *, is_cluster: bool) -> int:
    text = address.database or "0"
    if not (text.isascii() and text.isdigit()):
        raise StartupError(f"{address}: {text!r} is not the number of a database.")
    if is_cluster and int(text):
        raise StartupError(f"{address}: a Redis Cluster has the database 0 alone.")
    return int(text)


def _tls(address: Address) -> ssl.SSLContext:
    authorities = address.take("ssl_ca_certs", str, "")
    certificate = address.take("ssl_certfile", str, "")
    key = address.take("ssl_keyfile", str, "")
    required = address.take("ssl_cert_reqs", _one_of(none=False, required=True), "required")
    hostname = address.take("ssl_check_hostname", _one_of(false=False, true=True), "true")
    try:
        context = ssl.create_default_context(cafile=authorities or None)
        context.check_hostname = hostname and required
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_NONE
        if certificate:
            context.load_cert_chain(certificate, key or None)
    except OSError as error:  # ssl.SSLError too
        raise StartupError(f"{address}: its certificates can't be read: {error}.") from error
    return context


def _one_of(**values: bool) -> Callable[[str], bool]:
    def parse(text: str) -> bool:
        if text not in values:
            raise ValueError(f"It is {' or '.join(values)}.")
        return values[text]

    return parse
