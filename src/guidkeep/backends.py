"""Backends: the rows of the tables of stores and caches, and other packages' entry points."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, NamedTuple

from guidkeep.errors import StartupError
from guidkeep.urls import scheme_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Backend(NamedTuple):
    """A row of the table of stores, or of caches.

    Attributes:
        name: the name of its module or folder.
        opener: `MODULE:NAME` of its class, below the package of its kind.
        urls: the beginnings of its URLs, each with its own scheme. Help and messages list them.
        extra: the extra of Guidkeep that installs its driver; None: it needs no driver.
        is_shared: whether several processes can open it at the same time.
    """

    name: str
    opener: str
    urls: tuple[str, ...]
    extra: str | None = None
    is_shared: bool = True

    @property
    def schemes(self) -> tuple[str, ...]:
        """The schemes of its URLs."""
        return tuple(map(scheme_of, self.urls))

    def imported(self, package: str) -> Any:
        """Imports and returns its class. Other backends' drivers are not imported."""
        module, _, name = self.opener.partition(":")
        return getattr(importlib.import_module(f"{package}.{module}"), name)


def backend_of(url: str, backends: Sequence[Backend]) -> Backend | None:
    """Returns the row whose scheme the URL has; None: there is none."""
    scheme = scheme_of(url)
    return next((backend for backend in backends if scheme in backend.schemes), None)


def opener_of(url: str, backends: Sequence[Backend], package: str) -> Any:
    """Returns the class that opens the store or cache at that URL; None: there is none.

    Args:
        url: its scheme decides.
        backends: the table of Guidkeep's own, which come first.
        package: the package of the table. Other packages add an entry point to the group of that
            name; the name of the entry point is the scheme. See docs/extending.md.

    Raises:
        StartupError: the entry point names nothing that can be imported, or a driver is missing.
    """
    if backend := backend_of(url, backends):
        return backend.imported(package)
    metadata = importlib.import_module("importlib.metadata")  # takes 10 ms, and is seldom needed
    found = next(iter(metadata.entry_points(group=package, name=scheme_of(url))), None)
    if found is None:
        return None
    try:
        return found.load()
    except (ImportError, AttributeError) as error:
        raise StartupError(
            f"The entry point {found.name} = {found.value} in the group {package} "
            f"can't be loaded: {error}."
        ) from error


def listed(backends: Iterable[Backend], word: str) -> str:
    """How their URLs begin, as a list in a sentence: `a, b WORD c`."""
    *most, last = (url for backend in backends for url in backend.urls)
    return f"{', '.join(most)} {word} {last}"


def driver(module: str, *, extra: str) -> Any:
    """Imports a driver.

    Args:
        module: the driver's module.
        extra: the extra of Guidkeep that installs it.

    Raises:
        StartupError: it is not installed; the message has the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise StartupError(
            f"The driver {module.partition('.')[0]} is not installed: "
            f"pip install 'guidkeep[{extra}]'."
        ) from error
