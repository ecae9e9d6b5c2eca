"""What the commands take, and their help. Nothing here needs more than argparse."""

from __future__ import annotations

import argparse
import textwrap
from importlib import import_module
from typing import TYPE_CHECKING, Any

from guidkeep.cli import texts

if TYPE_CHECKING:
    from collections.abc import Callable

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - no other name
    Run = Callable[[dict[str, Any]], int]

DAYS = 90
"""Those that the service's forecast has: `guidkeep.registry.census.DAYS`."""


def add(commands: Commands) -> None:
    """Gives the command line the commands of this package."""
    _add_create(commands)
    _add_get(commands)
    _add_update(commands)
    _add_delete(commands)
    _add_list(commands)
    _add_import(commands)
    _add_export(commands)
    _add_stats(commands)
    _add_forecast(commands)
    _add_copy(commands)
    _add_health(commands)


def _add_create(commands: Commands) -> None:
    create = _command(
        commands,
        "create",
        "create a record",
        "Creates a record and prints it. If there is a live record of the GUID already, nothing is "
        "changed and the exit code is 5.",
        texts.MEMBERS,
        texts.EXPIRE,
        """\
        Examples:
          guidkeep create user=Alice seats:=5 --expire 30d
          guidkeep create 9094E4C980C74043A4B586B420E69DDF user=Alice
          guidkeep create user=Alice --ttl 15m
          echo '{"user": "Alice"}' | guidkeep create --expire 2030-01-01
        """,
    )
    create.set_defaults(run=_simple("records", "create"))
    create.add_argument(
        "words",
        nargs="*",
        metavar="[GUID] MEMBER",
        help="The GUID, 32 upper-case hexadecimal digits (a random one if left out), then members.",
    )
    _add_lifetime(create, "default")
    _add_common(create, has_form=True)


def _add_lifetime(command: argparse.ArgumentParser, otherwise: str) -> None:
    lifetime = command.add_mutually_exclusive_group()
    lifetime.add_argument("--expire", metavar="TIME", help=f"When it expires. [{otherwise}]")
    lifetime.add_argument(
        "--ttl", metavar="DURATION", help="In how many seconds it expires, or 15m, 12h, 30d."
    )


def _add_get(commands: Commands) -> None:
    get = _command(
        commands,
        "get",
        "show a record",
        "Prints the live record of a GUID. If there is none, the exit code is 3.",
        """\
        Examples:
          guidkeep get 9094E4C980C74043A4B586B420E69DDF
          guidkeep get 9094E4C980C74043A4B586B420E69DDF --json | jq -r .user
          etag=$(guidkeep get 9094E4C980C74043A4B586B420E69DDF --etag)
        """,
    )
    get.set_defaults(run=_simple("records", "get"))
    get.add_argument("guid", metavar="GUID", help="32 upper-case hexadecimal digits.")
    get.add_argument("--etag", action="store_true", help="Print the record's version alone.")
    _add_common(get, has_form=True)


def _add_update(commands: Commands) -> None:
    update = _command(
        commands,
        "update",
        "change a record",
        "Changes the live record of a GUID and prints it: members given replace, members left out "
        "stay, null removes one.",
        texts.MEMBERS,
        texts.EXPIRE,
        """\
        Examples:
          guidkeep update 9094E4C980C74043A4B586B420E69DDF user=Bob
          guidkeep update 9094E4C980C74043A4B586B420E69DDF seats:=null --expire 30d
          guidkeep update 9094E4C980C74043A4B586B420E69DDF user=Bob --if-match "$etag"
        """,
    )
    update.set_defaults(run=_simple("records", "update"))
    update.add_argument(
        "words", nargs="+", metavar="GUID MEMBER", help="The GUID, then the members."
    )
    _add_lifetime(update, "as it is")
    _add_if_match(update)
    _add_common(update, has_form=True)


def _add_delete(commands: Commands) -> None:
    delete = _command(
        commands,
        "delete",
        "delete records",
        "Deletes the live records of GUIDs, without asking. One that is not there does not hold up "
        "the others; the exit code is 3 then.",
        """\
        Examples:
          guidkeep delete 9094E4C980C74043A4B586B420E69DDF
          guidkeep list --user Alice --all --json | jq -r .guid | xargs guidkeep delete
        """,
    )
    delete.set_defaults(run=_simple("records", "delete"))
    delete.add_argument(
        "guids", nargs="+", metavar="GUID", help="32 upper-case hexadecimal digits each."
    )
    _add_if_match(delete)
    _add_common(delete, has_form=True)


def _add_list(commands: Commands) -> None:
    listing = _command(
        commands,
        "list",
        "list records",
        "Lists live records in the order of their GUIDs; as JSON, one on a line.",
        """\
        Examples:
          guidkeep list
          guidkeep list --user Alice --expires-before 7d
          guidkeep list --all --json | wc -l
        """,
    )
    listing.set_defaults(run=_simple("records", "list_"))
    listing.add_argument("--user", metavar="NAME", help="Only records of this user.")
    listing.add_argument(
        "--expires-before",
        metavar="TIME",
        help="Only records that expire before then: Unix time, a date, or 7d.",
    )
    listing.add_argument("--after", metavar="GUID", help="Only GUIDs after this one.")
    how_many = listing.add_mutually_exclusive_group()
    how_many.add_argument(
        "--limit",
        metavar="N",
        type=_up_to(10**9),
        default=100,
        help="At most so many. [100]",
    )
    how_many.add_argument("--all", action="store_true", help="All there are.")
    _add_common(listing, has_form=True)


def _add_import(commands: Commands) -> None:
    importing = _command(
        commands,
        "import",
        "write the records of a file",
        "Creates or updates a record for each of a file: NDJSON (an object on a line), one JSON "
        "array of objects, or CSV with names in its first line. A record without a GUID gets one.",
        texts.IMPORT,
        texts.IMPORT_EXAMPLES,
    )
    importing.set_defaults(run=_whole("import_"))
    importing.add_argument("file", metavar="FILE", help="What is read; - is standard input.")
    importing.add_argument(
        "--format",
        dest="source_form",
        choices=("ndjson", "json", "csv"),
        help="What the file is. [seen from its first character]",
    )
    importing.add_argument(
        "--create-only",
        action="store_true",
        help="Refuse records that are there already, in place of updating them.",
    )
    importing.add_argument(
        "--dry-run",
        action="store_true",
        help="Write nothing; say what would be refused if each record was a new one.",
    )
    importing.add_argument(
        "--refused",
        metavar="FILE",
        help="Where refused records go: a file that is not there yet. [FILE.refused, with "
        "--dry-run FILE.would-be-refused; with -, standard error has the reasons]",
    )
    _add_restart(importing)
    _add_common(importing, has_form=True)


def _add_export(commands: Commands) -> None:
    exporting = _command(
        commands,
        "export",
        "write all records into a file",
        "Writes all live records as NDJSON, in the order of their GUIDs: each as the service keeps "
        "it, but for line breaks between tokens, which are spaces. Imported into an empty service "
        "and exported again, it is the same to the byte.",
        """\
        FILE is written as FILE.part and renamed when it is whole, with the mode of the one that
        was there, or for its owner alone. Interrupted, it goes on where it was when it is run
        again. A FILE that is a link is followed; one that is no regular file, such as a FIFO, is
        written to as it is.
        """,
        """\
        Examples:
          guidkeep export all.ndjson
          guidkeep export --user Alice | jq -r .guid
        """,
    )
    exporting.set_defaults(run=_whole("export"))
    exporting.add_argument(
        "file", metavar="FILE", nargs="?", help="What is written; - is standard output. [-]"
    )
    exporting.add_argument(
        "--force",
        action="store_true",
        help="Replace a FILE that is there. [ask on a terminal, else refuse]",
    )
    exporting.add_argument("--user", metavar="NAME", help="Only records of this user.")
    _add_restart(exporting)
    _add_common(exporting)


def _add_stats(commands: Commands) -> None:
    stats = _command(
        commands,
        "stats",
        "show figures of the service",
        "Shows how many records are live and when they expire, and how the cache fares.",
        "Examples:\n  guidkeep stats\n  guidkeep stats --json | jq .live\n",
    )
    stats.set_defaults(run=_simple("service", "stats"))
    _add_common(stats, has_form=True)


def _add_forecast(commands: Commands) -> None:
    forecast = _command(
        commands,
        "forecast",
        "draw how many records expire on which day",
        "Draws how many records expire on each of the next days (UTC), today first.",
        "Examples:\n  guidkeep forecast\n  guidkeep forecast --days 90\n",
    )
    forecast.set_defaults(run=_simple("service", "forecast"))
    forecast.add_argument(
        "--days",
        metavar="N",
        type=_up_to(DAYS),
        default=30,
        help=f"So many days, 1 to {DAYS}. [30]",
    )
    _add_common(forecast, has_form=True)


def _add_copy(commands: Commands) -> None:
    copy = _command(
        commands,
        "copy",
        "copy all records from one store to another",
        "Copies all live records from one store to another, then compares the two. Done again, it "
        "goes on where it was interrupted, and brings over what changed since. What is newer in "
        "the target stays. The exit code is 0 if both are the same at the end, 1 if they are not.",
        """\
        Examples:
          guidkeep copy --from sqlite:///guidkeep.db --to postgresql://db.internal/guidkeep
          guidkeep copy --from sqlite:///guidkeep.db --to sqlite:///other.db --verify-only
        """,
    )
    copy.set_defaults(run=_whole("copy"))
    copy.add_argument(
        "--from", dest="source", metavar="URL", required=True, help="The store that is read."
    )
    copy.add_argument(
        "--to", dest="target", metavar="URL", required=True, help="The store that is written."
    )
    copy.add_argument(
        "--delete",
        action="store_true",
        help="Delete in the target what the source has not. Not while others write to the target.",
    )
    copy.add_argument("--verify-only", action="store_true", help="Compare, and write nothing.")


def _add_health(commands: Commands) -> None:
    health = _command(
        commands,
        "health",
        "ask whether the server of this machine lives",
        "Asks /livez of the server that listens where these say, or the environment variables of "
        "`guidkeep serve`; never through a proxy. The exit code is 0 if it answers within two "
        "seconds, else 6. It prints nothing if all is well.",
        """\
        Examples:
          guidkeep health
          guidkeep health --port 8081 || systemctl restart guidkeep
        """,
    )
    health.set_defaults(run=_whole("health"))
    health.add_argument(
        "--host", metavar="ADDRESS", help="Where it listens. [127.0.0.1; GUIDKEEP_HOST]"
    )
    health.add_argument("--port", metavar="PORT", help="On which port. [8080; GUIDKEEP_PORT]")


def _command(
    commands: Commands, name: str, about: str, description: str, *sections: str
) -> argparse.ArgumentParser:
    told = [textwrap.dedent(section).rstrip() for section in sections]
    return commands.add_parser(
        name,
        help=about,
        description=textwrap.fill(description, 88),
        epilog="\n\n".join([*told, texts.EXIT_CODES]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def _add_common(parser: argparse.ArgumentParser, *, has_form: bool = False) -> None:
    parser.add_argument(
        "--url",
        metavar="URL",
        help="Where the service is. [http://127.0.0.1:8080; GUIDKEEP_URL]",
    )
    parser.add_argument(
        "--timeout",
        metavar="DURATION",
        default="30s",
        help="How long each request may take, tried again meanwhile if that is safe. [30s]",
    )
    if has_form:
        form = parser.add_mutually_exclusive_group()
        form.add_argument(
            "--json",
            dest="form",
            action="store_const",
            const="json",
            help="Print JSON. [unless standard output is a terminal]",
        )
        form.add_argument(
            "--table",
            dest="form",
            action="store_const",
            const="table",
            help="Print a table. [on a terminal]",
        )


def _add_if_match(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--if-match",
        metavar="ETAG",
        help="Only if this is still its version, as `guidkeep get --etag` prints it; "
        "else the exit code is 5.",
    )


def _add_restart(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--restart", action="store_true", help="Begin anew, though it was interrupted."
    )


def _simple(module: str, name: str) -> Run:
    """Runs a command of that module; imported then, so that --help does not wait for it."""

    def run(options: dict[str, Any]) -> int:
        running = import_module("guidkeep.cli.running")
        command = getattr(import_module(f"guidkeep.cli.{module}"), name)
        code: int = running.run(command, options)
        return code

    return run


def _whole(module: str) -> Run:
    """Runs a module that is a command; imported then."""

    def run(options: dict[str, Any]) -> int:
        code: int = import_module(f"guidkeep.cli.{module}").run(options)
        return code

    return run


def _up_to(most: int) -> Callable[[str], int]:
    """Reads a number from 1 to `most`."""

    def read(text: str) -> int:
        is_number = text.isascii() and text.isdigit() and len(text) <= len(str(most))
        if not is_number or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {most}")
        return int(text)

    return read
