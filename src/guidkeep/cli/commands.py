"""The table of commands. The parser, help, completion, the docs and tests are made from it.

A new command needs a row here and the function that the row names.
"""

from __future__ import annotations

from guidkeep import settings
from guidkeep.cli import SERVE, help_texts
from guidkeep.cli.command import Argument, Command, OneOf, up_to
from guidkeep.cli.exits import (
    CONFLICT,
    DONE,
    FAILED,
    INTERRUPTED,
    NOT_FOUND,
    REFUSED,
    UNAVAILABLE,
    UNKNOWN,
    USAGE,
)
from guidkeep.record import DEFAULT_LIMIT, FORECAST_DAYS

_LOCAL = (DONE, FAILED, USAGE, INTERRUPTED)
_READS = (DONE, FAILED, USAGE, REFUSED, UNAVAILABLE, INTERRUPTED)
_WRITES = (*_READS, UNKNOWN)

_GUID = "32 upper-case hexadecimal digits"
_SERVICE = (
    Argument(
        "--url", "The address of the service.", "URL", without="http://127.0.0.1:8080; GUIDKEEP_URL"
    ),
    Argument(
        "--timeout",
        "The longest time for each request, including retries, which are made only if safe.",
        "DURATION",
        default="30s",
    ),
)
_FORM = OneOf(
    (
        Argument(
            "--json",
            "Print JSON.",
            key="form",
            constant="json",
            without="unless standard output is a terminal",
        ),
        Argument(
            "--table", "Print a table.", key="form", constant="table", without="on a terminal"
        ),
    )
)
_IF_MATCH = Argument(
    "--if-match",
    "Only if the record still has this version, which `guidkeep get --etag` prints; otherwise the "
    "exit code is 5.",
    "ETAG",
)
_RESTART = Argument("--restart", "Start over, even after an interruption.")
_USER = Argument("--user", "Only records of this user.", "NAME")


def _lifetime(otherwise: str) -> OneOf:
    return OneOf(
        (
            Argument("--expire", "When the record expires.", "TIME", without=otherwise),
            Argument("--ttl", "Time until it expires: seconds, or 15m, 12h, 30d.", "DURATION"),
        )
    )


def _setting(name: str, about: str = "") -> Argument:
    """Returns the flag of a setting; `about` replaces its help."""
    [row] = (row for row in settings.ROWS if row.name == name)
    return Argument(
        settings.flag(name),
        about or row.metadata["help"],
        row.metadata["metavar"],
        without=f"{row.metadata['default'] or 'none'}; {settings.variable(name)}",
    )


COMMANDS = (
    Command(
        name=SERVE,
        summary="serve the API over HTTP",
        about="Serves the API over HTTP. Brackets show the default and the environment variable "
        "for the same setting.",
        run="serve:run",
        arguments=tuple(_setting(row.name) for row in settings.ROWS),
        examples=(
            "guidkeep serve --store sqlite:////var/lib/guidkeep/guidkeep.db",
            "guidkeep serve --port 0 --log-level debug",
        ),
        exits=(DONE, FAILED, USAGE),
    ),
    Command(
        name="create",
        summary="create a record",
        about="Creates a record and prints it. If the GUID has a live record already, nothing is "
        "changed and the exit code is 5.",
        run="records:create",
        arguments=(
            Argument(
                "words",
                f"The GUID, {_GUID} (a random one if left out), then members.",
                "[GUID] MEMBER",
                count="*",
            ),
            _lifetime("default"),
            *_SERVICE,
            _FORM,
        ),
        sections=(help_texts.MEMBERS, help_texts.EXPIRE),
        examples=(
            "guidkeep create user=Alice seats:=5 --expire 30d",
            "guidkeep create 9094E4C980C74043A4B586B420E69DDF user=Alice",
            "guidkeep create user=Alice --ttl 15m",
            """echo '{"user": "Alice"}' | guidkeep create --expire 2030-01-01""",
        ),
        exits=(*_WRITES, CONFLICT),
    ),
    Command(
        name="get",
        summary="show a record",
        about="Prints the live record of a GUID. If there is none, the exit code is 3.",
        run="records:get",
        arguments=(
            Argument("guid", f"{_GUID}.", "GUID"),
            Argument("--etag", "Print the version of the record alone."),
            *_SERVICE,
            _FORM,
        ),
        examples=(
            "guidkeep get 9094E4C980C74043A4B586B420E69DDF",
            "guidkeep get 9094E4C980C74043A4B586B420E69DDF --json | jq -r .user",
            "etag=$(guidkeep get 9094E4C980C74043A4B586B420E69DDF --etag)",
        ),
        exits=(*_READS, NOT_FOUND),
    ),
    Command(
        name="update",
        summary="change a record",
        about="Changes the live record of a GUID and prints it. Given members replace stored ones, "
        "other members stay, and null removes a member.",
        run="records:update",
        arguments=(
            Argument("words", "The GUID, then the members.", "GUID MEMBER", count="+"),
            _lifetime("as it is"),
            _IF_MATCH,
            *_SERVICE,
            _FORM,
        ),
        sections=(help_texts.MEMBERS, help_texts.EXPIRE),
        examples=(
            "guidkeep update 9094E4C980C74043A4B586B420E69DDF user=Bob",
            "guidkeep update 9094E4C980C74043A4B586B420E69DDF seats:=null --expire 30d",
            'guidkeep update 9094E4C980C74043A4B586B420E69DDF user=Bob --if-match "$etag"',
        ),
        exits=(*_WRITES, NOT_FOUND, CONFLICT),
    ),
    Command(
        name="delete",
        summary="delete records",
        about="Deletes the live records of GUIDs, without asking. If a GUID has no live record, "
        "the others are still deleted, and the exit code is 3.",
        run="records:delete",
        arguments=(
            Argument("guids", f"Each: {_GUID}.", "GUID", count="+"),
            _IF_MATCH,
            *_SERVICE,
            _FORM,
        ),
        examples=(
            "guidkeep delete 9094E4C980C74043A4B586B420E69DDF",
            "guidkeep list --user Alice --all --json | jq -r .guid | xargs guidkeep delete",
        ),
        exits=(*_WRITES, NOT_FOUND, CONFLICT),
    ),
    Command(
        name="list",
        summary="list records",
        about="Lists live records in the order of their GUIDs; as JSON, one on each line.",
        run="records:list_",
        arguments=(
            _USER,
            Argument(
                "--expires-before",
                "Only records that expire before this time: Unix time, a date, or 7d.",
                "TIME",
            ),
            Argument("--after", "Only GUIDs after this one.", "GUID"),
            OneOf(
                (
                    Argument(
                        "--limit",
                        "At most N records.",
                        "N",
                        default=str(DEFAULT_LIMIT),
                        read=up_to(10**9),
                    ),
                    Argument("--all", "All records."),
                )
            ),
            *_SERVICE,
            _FORM,
        ),
        examples=(
            "guidkeep list",
            "guidkeep list --user Alice --expires-before 7d",
            "guidkeep list --all --json | wc -l",
        ),
        exits=_READS,
    ),
    Command(
        name="import",
        summary="write the records of a file",
        about="Creates or updates a record for each record of a file: NDJSON (an object on each "
        "line), one JSON array of objects, or CSV with names in its first line. A record without "
        "a GUID gets one.",
        run="import_:run",
        arguments=(
            Argument("file", "The file to read; - is standard input.", "FILE"),
            Argument(
                "--format",
                "The format of the file.",
                key="source_form",
                choices=("ndjson", "json", "csv"),
                without="detected from its first character",
            ),
            Argument(
                "--create-only", "Refuse records that exist already, instead of updating them."
            ),
            Argument(
                "--dry-run",
                "Write nothing; report records that would be refused as new records.",
            ),
            Argument(
                "--refused",
                "The file for refused records, which must not exist yet.",
                "FILE",
                without="FILE.refused, with --dry-run FILE.would-be-refused; with -, the reasons "
                "go to standard error",
            ),
            _RESTART,
            *_SERVICE,
            _FORM,
        ),
        sections=help_texts.IMPORT,
        examples=(
            "guidkeep import licences.csv",
            "guidkeep import licences.csv --dry-run",
            "guidkeep export --url http://old:8080 | guidkeep import - --url http://new:8080",
            "jq -r .record records.ndjson.refused > again.ndjson",
        ),
        exits=_WRITES,
    ),
    Command(
        name="export",
        summary="write all records into a file",
        about="Writes all live records as NDJSON, in the order of their GUIDs. Each record is as "
        "the service stores it, except that line breaks between tokens become spaces. If the file "
        "is imported into an empty service and exported again, the result is equal to the byte.",
        run="export:run",
        arguments=(
            Argument(
                "file", "The file to write; - is standard output.", "FILE", count="?", without="-"
            ),
            Argument(
                "--force",
                "Replace an existing FILE.",
                without="ask on a terminal, otherwise refuse",
            ),
            _USER,
            _RESTART,
            *_SERVICE,
        ),
        sections=(help_texts.EXPORT,),
        examples=("guidkeep export all.ndjson", "guidkeep export --user Alice | jq -r .guid"),
        exits=_READS,
    ),
    Command(
        name="stats",
        summary="show statistics of the service",
        about="Shows how many records are live, when they expire, and how well the cache works.",
        run="stats:stats",
        arguments=(*_SERVICE, _FORM),
        examples=("guidkeep stats", "guidkeep stats --json | jq .live"),
        exits=_READS,
    ),
    Command(
        name="forecast",
        summary="draw how many records expire on which day",
        about="Draws how many records expire on each of the next days (UTC), today first.",
        run="stats:forecast",
        arguments=(
            Argument(
                "--days",
                f"Days to draw, 1 to {FORECAST_DAYS}.",
                "N",
                default="30",
                read=up_to(FORECAST_DAYS),
            ),
            *_SERVICE,
            _FORM,
        ),
        examples=("guidkeep forecast", "guidkeep forecast --days 90"),
        exits=_READS,
    ),
    Command(
        name="copy",
        summary="copy all records from one store to another",
        about="Copies all live records from one store to another, then compares the two. A second "
        "run resumes after an interruption and copies later changes. Newer records in the target "
        "stay. The exit code is 0 if both are the same at the end, otherwise 1.",
        run="copy:run",
        arguments=(
            Argument("--from", "The store that is read.", "URL", key="source", is_required=True),
            Argument("--to", "The store that is written.", "URL", key="target", is_required=True),
            Argument(
                "--delete",
                "Delete records of the target that the source does not have. Use it only while "
                "nothing else writes to the target.",
            ),
            Argument("--verify-only", "Compare, and write nothing."),
        ),
        examples=(
            "guidkeep copy --from sqlite:///guidkeep.db --to postgresql://db.internal/guidkeep",
            "guidkeep copy --from sqlite:///guidkeep.db --to sqlite:///other.db --verify-only",
        ),
        exits=(*_LOCAL, UNAVAILABLE, UNKNOWN),
    ),
    Command(
        name="health",
        summary="check whether the server on this machine is alive",
        about="Requests /livez from the server at this host and port, by default those of the "
        "variables of `guidkeep serve`; never through a proxy. The exit code is 0 if the server "
        "responds within two seconds, otherwise 6. On success it prints nothing.",
        run="health:run",
        arguments=(
            _setting("host", "The address that the server listens on."),
            _setting("port", "The port that it listens on."),
        ),
        examples=("guidkeep health", "guidkeep health --port 8081 || systemctl restart guidkeep"),
        exits=(DONE, USAGE, UNAVAILABLE),
    ),
    Command(
        name="completion",
        summary="print the completion script of a shell",
        about="Prints a script with which a shell completes the commands and their options.",
        run="completion:run",
        arguments=(Argument("shell", "The shell.", choices=("bash", "zsh", "fish")),),
        examples=(
            "guidkeep completion bash > ~/.local/share/bash-completion/completions/guidkeep",
            "guidkeep completion zsh > ~/.zfunc/_guidkeep      # with ~/.zfunc in fpath",
            "guidkeep completion fish > ~/.config/fish/completions/guidkeep.fish",
        ),
        exits=_LOCAL,
    ),
)
"""In the order of help and docs."""
