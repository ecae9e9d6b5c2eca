"""Which file the URL of a SQLite store names. No two URLs that differ in a name name one file."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote_to_bytes

from guidkeep.errors import StartupError
from guidkeep.urls import redacted, split


def path_of(url: str) -> Path:
    """The file of `sqlite:///FILE` (relative to this folder) or `sqlite:////FILE`.

    What is percent-encoded may be any byte that is no control character.

    Raises:
        StartupError: it names none.
    """
    parts = split(url)
    encoded = parts.path[1:]
    name = os.path.basename(encoded)  # noqa: PTH119 - a Path would drop the slash at the end
    if parts.netloc or "?" in url or name in ("", ".", "..", ":memory:"):
        raise StartupError(
            f"{redacted(url)!r} names no file: write sqlite:///guidkeep.db for one in this "
            "folder, sqlite:////var/lib/guidkeep.db for one elsewhere. "
            "In a name, ? is written %3F, # is %23, and % is %25."
        )
    try:
        return Path(os.fsdecode(unquote_to_bytes(encoded)))
    except UnicodeEncodeError:  # what came on the command line as bytes that are no text
        raise StartupError("The store's URL is not UTF-8: percent-encode other bytes.") from None
