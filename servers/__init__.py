"""The servers that tests, benchmarks and the local cluster start: real ones, on loopback.

Each runs from a data folder of its own on a free port of 127.0.0.1, and ends with the `with` block
that started it. Nothing here is part of the package that users install.

`ENGINES` is the table of the servers that a store or a cache runs on. The parameters of
tests and `install.sh` follow from it.
"""

from __future__ import annotations

from typing import NamedTuple


class Engine(NamedTuple):
    """A row: a server that a store or a cache runs on.

    Attributes:
        name: the name of its module in `servers`, with `started` and `at`; `GUIDKEEP_TEST_NAME_URL`
            names one that is running already.
        store: the store that it serves, as `guidkeep.stores` names it; None: it serves a cache.
        cache: the cache that it serves, as `guidkeep.caches` names it.
        packages: Debian's packages, each with a program or file that shows that it is installed.
    """

    name: str
    store: str | None = None
    cache: str | None = None
    packages: tuple[tuple[str, str], ...] = ()


MARIADB = ("mariadb-server", "mariadbd")
GALERA = ("galera-4", "/usr/lib/galera/libgalera_smm.so")
POSTGRESQL = ("postgresql", "/usr/lib/postgresql/*/bin/postgres")
REDIS = ("redis-server", "redis-server")

ENGINES = (
    Engine("mysql", store="mysql", packages=(MARIADB,)),
    Engine("galera", store="mysql", packages=(MARIADB, GALERA, ("rsync", "rsync"))),
    Engine("mongodb", store="mongodb"),  # FerretDB, which install.sh builds
    Engine("postgresql", store="postgresql", packages=(POSTGRESQL, ("pgbouncer", "pgbouncer"))),
    Engine("redis", cache="redis", packages=(REDIS,)),
    Engine("redis_cluster", cache="redis", packages=(REDIS,)),
)
"""A new engine is a new row here."""

TOOLS = (
    ("nginx-light", "nginx"),
    ("webdis", "webdis"),
    ("wrk", "wrk"),
    ("chromium-headless-shell", "chromium-headless-shell"),
)
"""Packages that tests and benchmarks need beside the engines."""

PACKAGES = dict(pair for engine in ENGINES for pair in engine.packages) | dict(TOOLS)
"""All packages, each with a program or file that shows that it is installed."""
PACKAGE_OF = {shown_by.rpartition("/")[2]: package for package, shown_by in PACKAGES.items()}
"""The package of each of those programs."""
