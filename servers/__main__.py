"""Prints the packages that `install.sh` installs, one a line, each with the file that shows it."""

from __future__ import annotations

from servers import PACKAGES

if __name__ == "__main__":
    for package, shown_by in PACKAGES.items():
        print(package, shown_by)  # noqa: T201 - it is a command
