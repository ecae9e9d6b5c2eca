"""The command `guidkeep`.

`commands.py` is the table of all commands. The parser, help, completion and docs/commands.md follow
from it. A command's own module is imported when the command is run, so `--help` and completion are
quick.
"""
