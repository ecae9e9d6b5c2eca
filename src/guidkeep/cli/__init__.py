"""The command `guidkeep`: `serve`, `copy`, and the commands that talk to a running service.

`arguments.py` says what they take; nothing else is imported before one is run, so that `--help` and
completion are quick.
"""
