"""The version of Guidkeep."""

from __future__ import annotations

from importlib.metadata import version

VERSION = version("guidkeep")
"""The version of the installed package."""
