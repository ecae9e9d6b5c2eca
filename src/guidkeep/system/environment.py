"""Environment variables with Guidkeep's prefix: settings, a platform's variables, misspellings.

Kubernetes sets variables in every container with the addresses of the namespace's Services, and
Docker does so for linked containers. For a Service named guidkeep these variables begin with our
own prefix. `GUIDKEEP_PORT` is even the name of a setting: `tcp://10.96.12.5:8080`.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PREFIX = "GUIDKEEP_"

_injected = re.compile(
    r"GUIDKEEP_(\w+_)?"
    r"(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR)(_(START|END))?)?"
    r"|ENV_\w+)=.*|"
    r"GUIDKEEP_(\w+_)?(PORT=(tcp|udp|sctp)://.*|NAME=/.*)",
    re.DOTALL,
).fullmatch
_OTHERS = frozenset((f"{PREFIX}URL", f"{PREFIX}FORMAT"))
"""Variables that are not settings: the commands read them."""
_TESTS = (f"{PREFIX}TEST_", f"{PREFIX}SOAK_")


def without_injected(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables with our prefix, without those that a platform sets."""
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(PREFIX) and not _injected(f"{name}={value}")
    }


def unknown(
    environment: Mapping[str, str], known: Iterable[str]
) -> Iterator[tuple[str, str | None]]:
    """Yields the variables with our prefix that are not settings, each with the nearest setting.

    Args:
        environment: all variables.
        known: the variables of the settings.
    """
    names = {name.removeprefix(PREFIX): name for name in (*known, *_OTHERS)}
    for name in without_injected(environment):
        own = name.removeprefix(PREFIX)
        if own not in names and not name.startswith(_TESTS):
            nearest = difflib.get_close_matches(own, names, n=1)
            yield name, names[nearest[0]] if nearest else None
