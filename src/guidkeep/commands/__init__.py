"""The commands: those that talk to a running Guidkeep, on `guidkeep.Client`, and `guidkeep copy`.

`arguments.py` says what they take; nothing else is imported before one is run, so that `--help` and
completion are quick.
"""
