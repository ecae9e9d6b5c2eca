"""Copying from one store to another: `guidkeep copy`."""
