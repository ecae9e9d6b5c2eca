"""The command `guidkeep`.

`commands.py` is the table of all commands. The parser, help, completion and docs/commands.md are
made from it. A command's module is imported when the command runs, so `--help` and completion are
quick.
"""

SERVE = "serve"
"""The command that runs the server. It alone is known before the imports: see
`guidkeep.__main__`."""
