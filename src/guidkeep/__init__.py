"""Guidkeep keeps GUIDs and their metadata until they expire."""

from importlib.metadata import version

__version__ = version("guidkeep")
