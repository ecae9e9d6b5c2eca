"""The file that an SQLite URL names. URLs with different names name different files."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote_to_bytes

from guidkeep.errors import StartupError
from guidkeep.urls import redacted, split


def path_of(url: str) -> Path:
    """Returns the file of `sqlite:///FILE` (relative to this folder) or `sqlite:////FILE`.

    Any byte except control characters may be percent-encoded.

    Raises:
        StartupError: the URL names no file.
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
    except UnicodeEncodeError:  # bytes on the command line that are not text
        raise StartupError("The store's URL is not UTF-8: percent-encode other bytes.") from None
