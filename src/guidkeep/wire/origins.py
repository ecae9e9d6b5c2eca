"""Host names, and origins of browser pages, in the normal form in which they are compared.

A browser normalises both before it sends them (WHATWG URL, RFC 6454): lower case, names in
Punycode, no default port. An operator's settings are normalised once, at the start. A value that
has no normal form could never match, and is refused.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

from guidkeep.errors import StartupError
from guidkeep.record import shortened

DEFAULT_PORTS = {"http": "80", "https": "443"}
LAST_PORT = 65_535
LONGEST_NAME = 253

_authority = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:@/\\?#\s]+)(?::([0-9]{0,5}))?").fullmatch
_origin = re.compile(r"(?i)(https?)://([^/?#\s]*)").fullmatch
_label = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?").fullmatch
_number = re.compile(r"[0-9]+|0x[0-9a-f]*").fullmatch


def normal_host(name: str) -> str:
    """Returns a host name, or an IP address without brackets, as a browser would write it.

    Raises:
        ValueError: no request can name such a host.
    """
    name = name.lower() if name.isascii() else _punycode(name)
    if ":" in name:
        return str(IPv6Address(name))
    labels = name.removesuffix(".").split(".")
    if _number(labels[-1]):  # a browser reads that as an IPv4 address
        return str(IPv4Address(name))
    if len(name) > LONGEST_NAME or not all(map(_label, labels)):
        raise ValueError(name)
    return name


def split_authority(text: str) -> tuple[str, str]:
    """Returns the normalised host and the port of `host:port`; an empty port if there is none.

    Raises:
        ValueError: the text is not of that form.
    """
    found = _authority(text)
    if not found:
        raise ValueError(text)
    host, port = found[1].removeprefix("[").removesuffix("]"), (found[2] or "").lstrip("0")
    if found[2] and not 0 < int(found[2]) <= LAST_PORT:
        raise ValueError(text)
    return normal_host(host), port


def normal_origin(text: str) -> str:
    """Returns an http or https origin as a browser would write it.

    Raises:
        ValueError: the text is not such an origin.
    """
    found = _origin(text)
    if not found:
        raise ValueError(text)
    scheme = found[1].lower()
    host, port = split_authority(found[2])
    shown = f"[{host}]" if ":" in host else host
    return (
        f"{scheme}://{shown}"
        if port in ("", DEFAULT_PORTS[scheme])
        else f"{scheme}://{shown}:{port}"
    )


def is_loopback(host: str) -> bool:
    """Whether that IP address is a loopback address: 127.0.0.0/8 or ::1."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def read_hosts(text: str) -> tuple[str, ...]:
    """Returns the names of `--allow-host`, normalised.

    Raises:
        StartupError: a name could never match.
    """
    hosts = []
    for part in filter(None, map(str.strip, text.split(","))):
        try:
            hosts.append(normal_host(part.removeprefix("[").removesuffix("]").removesuffix(".")))
        except ValueError:
            raise StartupError(
                f"{shortened(part)!r} is not a host; write a name or an IP address, without "
                "scheme, port or wildcard, as in guids.example.com."
            ) from None
    return tuple(hosts)


def read_origins(text: str) -> tuple[str, ...]:
    """Returns the origins of `--allow-origin`, normalised.

    Raises:
        StartupError: an origin could never match.
    """
    origins = []
    for part in filter(None, map(str.strip, text.split(","))):
        try:
            origins.append(normal_origin(part))
        except ValueError:
            raise StartupError(
                f"{shortened(part)!r} is not an origin; write scheme and host, and the port if it "
                "is not the scheme's default, without path or wildcard, as in "
                "https://app.example.com."
            ) from None
    return tuple(origins)


def _punycode(name: str) -> str:
    """The ASCII form of an international name.

    Raises:
        ValueError: it has none, or browsers encode it differently from the codec (IDNA 2003).
    """
    encoded = name.encode("idna")
    if encoded.decode("idna") != name.lower():
        raise ValueError(name)
    return encoded.decode().lower()
