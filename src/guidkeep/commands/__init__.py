"""The commands that talk to a running Guidkeep, each on `guidkeep.Client`.

`arguments.py` says what they take; nothing else is imported before one is run, so that `--help` and
completion are quick.
"""
