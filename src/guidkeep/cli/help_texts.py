"""What help says at length. Nothing here needs an import that takes time."""

from __future__ import annotations

ABOUT = """\
`guidkeep COMMAND --help` explains a command.

Environment:
  GUIDKEEP_URL      the address of the service, for the commands that talk to one
                    (http://127.0.0.1:8080)
  GUIDKEEP_FORMAT   table or json: what these commands print, on a terminal and in a pipe
  NO_COLOR          no colours, if set to anything
  The variables of `guidkeep serve` are in its help.
"""

MEMBERS = """\
Members of a record:
  user=Alice        a text
  seats:=5          anything else, as JSON: a number keeps its digits
  -                 more members on standard input, as a JSON object; standard input
                    is also read if no member is given and it is no terminal
"""

EXPIRE = """\
When it expires:
  --expire 1893456000                 Unix time in seconds
  --expire 2030-01-01                 a date, or one with time and zone, as in
  --expire 2030-01-01T12:00+02:00     this; without a zone it is UTC
  --expire 30d                        a time from now: s, m, h or d
  --expire default                    the service's default lifetime from now
  --ttl 3600, --ttl 1h                so long from now, by the clock of the service, not
                                      of this machine
"""

IMPORT = (
    """\
The first character shows the format. In a CSV a cell is a text, a column whose name ends
in := has JSON, and an empty cell is nothing. Names in the first line are read without
spaces around them, and guid, expire, ttl and user in any case. The column expire takes
all that --expire of `guidkeep create` takes; ttl takes seconds, or a time as 30d. Commas,
semicolons, tabs or bars may separate cells. A name that may be meant for one of these,
such as "Expire Date", or "id" with GUIDs below it, is refused if no column has the right
one.
""",
    """\
Any other file, such as an Excel workbook or a page of HTML, is refused before anything is
written; so is a CSV whose columns are unclear. The exit code is then 2. If the file has
no record, it is 1.
""",
    """\
To import a file again that was imported whole creates its records without a GUID once
more. A column or member guid makes them updates.
""",
    """\
Refused records go to FILE.refused: an object on a line with the line of FILE, the reason
and the record. They do not stop the others. The exit code is then 1.
""",
    """\
If an import is interrupted, run it again: it goes on where it stopped. FILE.import says
how far it came, until all is done. No record is created twice. The last records before
the stop may be sent again. If those have a GUID of their own, their null members are
lost, as in any update; with --create-only, those that exist already count as created.
""",
    """\
If FILE can't be read from some place on, the import writes what is before it, and the
exit code is 1. Mend FILE from that place on and run the import again: it goes on there.
""",
)

EXPORT = """\
FILE is written as FILE.part and renamed when it is whole. It gets the mode of the FILE
that it replaces; a new one is readable for its owner alone. If an export is interrupted,
run it again: it goes on where it stopped. A FILE that is a link is followed. A FILE that
is no regular file, such as a FIFO, is written to as it is.
"""
