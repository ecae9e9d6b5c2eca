"""What help says at length. Nothing here needs an import that takes time."""

from __future__ import annotations

from guidkeep.cli import exits

EXIT_CODES = f"Exit codes:\n{exits.table()}"

ABOUT = f"""\
`guidkeep COMMAND --help` explains each.

Environment:
  GUIDKEEP_URL      where the service is, for the commands that talk to one
                    (http://127.0.0.1:8080)
  GUIDKEEP_FORMAT   table or json: what these print, whatever standard output is
  NO_COLOR          no colours, if set to anything
  Those of `guidkeep serve` stand in its help.

{EXIT_CODES}
"""

COMPLETION = """\
Examples:
  guidkeep completion bash > ~/.local/share/bash-completion/completions/guidkeep
  guidkeep completion zsh > ~/.zfunc/_guidkeep      # with ~/.zfunc in fpath
  guidkeep completion fish > ~/.config/fish/completions/guidkeep.fish
"""

MEMBERS = """\
Members of a record:
  user=Alice        a text
  seats:=5          anything else, as JSON: a number keeps its digits
  -                 more of them on standard input, as a JSON object; it is read as
                    well if no member is given and it is no terminal
"""

EXPIRE = """\
When it expires:
  --expire 1893456000                 Unix time in seconds
  --expire 2030-01-01                 a date, or one with time and zone, as in
  --expire 2030-01-01T12:00+02:00     this; without a zone it is UTC
  --expire 30d                        a time from now: s, m, h or d
  --expire default                    the service's default lifetime from now
  --ttl 3600, --ttl 1h                so long from now, by the clock of the service and
                                      not of this machine
"""

IMPORT = """\
Which of the three it is is seen from the first character. In a CSV a cell is a text; a
column whose name ends in := has JSON; an empty cell is nothing. The names at its top are
read without spaces around them, and guid, expire, ttl and user in any case. The column
expire takes all that --expire of `guidkeep create` does, ttl takes seconds or a time as
30d. Commas, semicolons, tabs or bars may separate cells. A name that may be meant for
one of these, such as "Expire Date", or "id" with GUIDs below it, is refused where no
column has the right one.

A file that is something else, such as an Excel workbook or a page of HTML, or whose
columns can't be told, is refused before anything is written; the exit code is 2. If
there is no record in it, it is 1.

A file that was imported whole, and is imported again, is imported again: records
without a GUID are created once more. A column or member guid makes them updates.

Records that are refused go to FILE.refused, an object on a line with the line of FILE,
the reason and the record, and the exit code is 1. They do not hold up the others.

Interrupted, it goes on where it was when it is run again; FILE.import says how far it
came, until all is done. No record is created twice by that. The last records before it
stopped may be sent again; of those with a GUID of their own, members that are null are
lost then, as in any update, and with --create-only those that are there already count
as created.

If from some place on the file can't be read, what is before it is written, and the exit
code is 1. Mended from that place on, and run again, it goes on there.
"""

IMPORT_EXAMPLES = """\
Examples:
  guidkeep import licences.csv
  guidkeep import licences.csv --dry-run
  guidkeep export --url http://old:8080 | guidkeep import - --url http://new:8080
  jq -r .record records.ndjson.refused > again.ndjson
"""
