"""The long texts of help. This module must not import anything slow."""

from __future__ import annotations

ABOUT = """\
`guidkeep COMMAND --help` explains a command.

Environment:
  GUIDKEEP_URL      the address of the service, for the commands that use one
                    (http://127.0.0.1:8080)
  GUIDKEEP_FORMAT   table or json: the output of these commands, on a terminal and in a pipe
  NO_COLOR          no colours, if set to any value
  The variables of `guidkeep serve` are in its help.
"""

MEMBERS = """\
Members of a record:
  user=Alice        a text
  seats:=5          any other value, as JSON: a number keeps its digits
  -                 more members on standard input, as a JSON object; standard input
                    is also read if no member is given and it is not a terminal
"""

EXPIRE = """\
When it expires:
  --expire 1893456000                 Unix time in seconds
  --expire 2030-01-01                 a date
  --expire 2030-01-01T12:00+02:00     a date with time and zone; without a zone, UTC
  --expire 30d                        a time from now: s, m, h or d
  --expire default                    the service's default lifetime from now
  --ttl 3600, --ttl 1h                a time from now, by the clock of the service, not
                                      of this machine
"""

IMPORT = (
    """\
The first character shows the format. In a CSV a cell is a text, a column whose name ends
in := has JSON, and an empty cell is ignored. Spaces around names in the first line are
ignored, and so is the case of guid, expire, ttl and user. The column expire takes the
same values as --expire of `guidkeep create`; ttl takes seconds, or a time as 30d. Commas,
semicolons, tabs or bars may separate cells. A name that was probably meant for one of
these columns, such as "Expire Date", or "id" with GUIDs below it, is refused if no column
has the right name.
""",
    """\
Any other file, such as an Excel workbook or an HTML page, is refused before anything is
written; so is a CSV whose columns are ambiguous. The exit code is then 2. If the file has
no record, it is 1.
""",
    """\
If a complete file is imported again, its records without a GUID are created again. With a
column or member guid they are updated.
""",
    """\
Refused records go to FILE.refused: on each line an object with the line of FILE, the
reason and the record. The other records are still written. The exit code is then 1.
""",
    """\
If an import is interrupted, run it again: it resumes where it stopped. FILE.import keeps
the progress until the end. No record is created twice. The last records before the
interruption may be sent again. If they have a GUID of their own, their null members are
lost, as in any update; with --create-only, those that exist already count as created.
""",
    """\
If FILE can't be read beyond some place, the import writes the records before it, and the
exit code is 1. Repair FILE from that place on and run the import again: it resumes there.
""",
)

EXPORT = """\
FILE is written as FILE.part and renamed when it is complete. It gets the mode of the FILE
that it replaces; a new one is readable only by its owner. If an export is interrupted,
run it again: it resumes where it stopped. If FILE is a link, the link is followed. If it
is not a regular file, such as a FIFO, it is written to directly.
"""
