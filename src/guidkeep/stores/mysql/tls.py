"""What the URL of a MySQL store says of encryption."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from guidkeep.errors import StartupError

if TYPE_CHECKING:
    from guidkeep.urls import Address


def tls_of(address: Address) -> ssl.SSLContext | None:
    """Reads the parameters `ssl-mode`, `ssl-ca`, `ssl-cert` and `ssl-key`, named as MySQL's own.

    `ssl-mode` is `disabled`, `required` (encrypted, whoever the server is), `verify-ca` (its
    certificate is checked) or `verify-identity` (and its host name too). Without it, connections
    are encrypted and all is checked if one of the others is there, else they are not encrypted.

    Raises:
        StartupError: a value is wrong, or a file can't be used.
    """
    files = {name: address.take(f"ssl-{name}", str, "") for name in ("ca", "cert", "key")}
    mode = address.take("ssl-mode", _mode, "verify-identity" if any(files.values()) else "disabled")
    if mode == "disabled":
        if any(files.values()):
            raise StartupError(f"{address}: ssl-mode=disabled takes no certificates.")
        return None
    try:
        context = ssl.create_default_context(cafile=files["ca"] or None)
        if files["cert"]:
            context.load_cert_chain(files["cert"], files["key"] or None)
    except OSError as error:
        raise StartupError(f"{address}: a certificate can't be used: {error}.") from error
    context.check_hostname = mode == "verify-identity"
    if mode == "required":
        context.verify_mode = ssl.CERT_NONE
    return context


def _mode(text: str) -> str:
    mode = text.lower().replace("_", "-")
    if mode not in ("disabled", "required", "verify-ca", "verify-identity"):
        raise ValueError("It is disabled, required, verify-ca or verify-identity.")
    return mode
