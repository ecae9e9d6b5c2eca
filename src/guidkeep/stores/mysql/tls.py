"""The parameters of encryption in the URL of a MySQL store."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from guidkeep.errors import StartupError

if TYPE_CHECKING:
    from guidkeep.urls import Address


def tls_of(address: Address) -> ssl.SSLContext | None:
    """Reads the parameters `ssl-mode`, `ssl-ca`, `ssl-cert` and `ssl-key`, named as in MySQL.

    `ssl-mode` is `disabled`, `required` (encrypted, without a check of the server), `verify-ca`
    (with a check of its certificate) or `verify-identity` (and of its host name). The default is
    `verify-identity` if one of the others is given, else `disabled`.

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
