"""The parameters of encryption in the URL of a PostgreSQL store, and connections made with them.

The parameters have the names of libpq. No file in the user's home folder and no variable of the
environment has any effect. The driver would read both for each option that is missing, and a home
folder that can't be read would then break the connection.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

from guidkeep.backends import driver
from guidkeep.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from guidkeep.urls import Address

asyncpg = driver("asyncpg", extra="postgresql")

MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def tries_of(address: Address) -> tuple[ssl.SSLContext | None, ...]:
    """Reads the parameters `sslmode`, `sslrootcert`, ...; see `guidkeep.stores.postgresql.store`.

    Returns:
        The ways to encrypt a connection, to be tried in order; None: without encryption.

    Raises:
        StartupError: a value is wrong, or a file can't be used.
    """
    mode = address.take("sslmode", _mode, "prefer")
    files = {
        name: address.take(name, str, "")
        for name in ("sslrootcert", "sslcert", "sslkey", "sslcrl", "sslpassword")
    }
    least = address.take("ssl_min_protocol_version", _version, "TLSv1.2")
    most = address.take("ssl_max_protocol_version", _version, "TLSv1.3")
    try:
        context = _context(mode, files)
    except OSError as error:
        raise StartupError(f"{address}: a certificate can't be used: {error}.") from error
    context.minimum_version = least
    context.maximum_version = most
    tries = {"disable": (None,), "allow": (None, context), "prefer": (context, None)}
    return tries.get(mode, (context,))


async def connected(
    connect: Callable[..., Awaitable[Any]],
    tries: tuple[ssl.SSLContext | None, ...],
    *,
    timeout: float,
    **options: Any,
) -> Any:
    """Returns a connection by the first of the tries that the server accepts."""
    async with asyncio.timeout(timeout):
        for context in tries[:-1]:
            try:
                return await connect(ssl=context or False, timeout=timeout, **options)
            except asyncpg.InvalidPasswordError:
                raise
            except asyncpg.InvalidAuthorizationSpecificationError:
                continue  # the server may accept the next one
            except ConnectionError as error:
                if type(error) is not ConnectionError:  # the system's error: refused, reset
                    raise
        # The driver's own ConnectionError leads here too: the server has no TLS.
        return await connect(ssl=tries[-1] or False, timeout=timeout, **options)


def _context(mode: str, files: dict[str, str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if files["sslrootcert"]:
        context.load_verify_locations(cafile=files["sslrootcert"])
    else:
        context.load_default_certs()
    context.check_hostname = mode == "verify-full"
    checks = mode.startswith("verify") or (mode == "require" and files["sslrootcert"])
    context.verify_mode = ssl.CERT_REQUIRED if checks else ssl.CERT_NONE
    if files["sslcrl"]:
        context.load_verify_locations(cafile=files["sslcrl"])
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    if files["sslcert"]:
        context.load_cert_chain(
            files["sslcert"], files["sslkey"] or None, lambda: files["sslpassword"]
        )
    return context


def _mode(text: str) -> str:
    if text not in MODES:
        raise ValueError(f"It is {', '.join(MODES[:-1])} or {MODES[-1]}.")
    return text


def _version(text: str) -> ssl.TLSVersion:
    versions = {f"TLSv1.{minor}": ssl.TLSVersion[f"TLSv1_{minor}"] for minor in (2, 3)}
    if text not in versions:
        raise ValueError("It is TLSv1.2 or TLSv1.3.")
    return versions[text]
