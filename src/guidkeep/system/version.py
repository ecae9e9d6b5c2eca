"""Which Guidkeep this is."""

from __future__ import annotations

from importlib.metadata import version

VERSION = version("guidkeep")
"""As the package says it that is installed."""
