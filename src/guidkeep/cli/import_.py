"""`guidkeep import`: records from a file into the service, many at a time.

*Going on.* Beside the file lies a small one that says how many of its records are done. It is
written when a batch has been answered, once a second at most, so after an interruption a few
records may be sent again. Records without a GUID are given one that follows from a secret of the
import and their place in the file, and are only created: one that is there already was written by
the import itself, and stays as it is. A record with a GUID of its own is merged into the one that
is there, so of those that are sent again a null is lost. With `--create-only`, how far it has sent
is written before it sends, and what is there already of the records sent but not counted counts as
created. The file of refused lines is cut to what it was then.

*What is no file of records.* It is refused before anything is written, so nothing is left of it;
the same holds for a CSV whose columns can't be told. An import that finds no record fails: nobody
means to import nothing.

*A file that breaks off.* What is read before that place is written, and counted. The rest may be
mended: of such a file the size and the time may be others when the import goes on.

*Order.* Several batches are on their way at once, but never two that share a GUID, so the last
line about a record is the one that stays.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import sys
import time
from collections import deque
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from guidkeep.cli import exits, progress_bar
from guidkeep.cli.checkpoint import Checkpoint
from guidkeep.cli.input.background import read_apart
from guidkeep.cli.input.files import beside, opened, refused_target
from guidkeep.cli.input.items import BrokenOff, Item
from guidkeep.cli.input.source import Source
from guidkeep.cli.output import Output, complain
from guidkeep.cli.refused_records import Refusals
from guidkeep.cli.runner import GOES_ON, address_of, client_of, guarded
from guidkeep.client import AsyncClient
from guidkeep.client.batches import Batches, Sent, line_of
from guidkeep.client.bulk import is_temporary
from guidkeep.client.responses import own_status
from guidkeep.errors import (
    BodyTooLarge,
    ClientSideError,
    GuidkeepError,
    InvalidRequest,
    PreconditionFailed,
)
from guidkeep.record import ENVELOPE, guid_of, parse_change
from guidkeep.registry.drafts import Drafts
from guidkeep.schema import MetadataSchema
from guidkeep.urls import redacted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guidkeep.cli.progress_bar import Watch
    from guidkeep.client import Line

    Options = dict[str, Any]

ATTEMPTS = 100
"""How often a batch is sent at most: --timeout ends it first. A service that starts again is waited
for."""
AT_ONCE = 4
"""Batches on their way at once: while one is committed, the next ones travel."""
BETWEEN_SAVES = 1.0
"""Seconds."""
MOST_ITEMS = 5000
"""Records that wait at most, those that can't be sent among them."""
MOST_UNSENT = 1 << 20
"""Characters of those that can't be sent that wait at most, and one record."""
CREATED = 201
STATE = ".import"
"""How the file's name ends that says how far an import came."""


@dataclass(slots=True)
class Tally:
    """How far an import is.

    Attributes:
        done: records of the file that were dealt with, from its beginning.
        created: of these, those that were created.
        updated: those that changed one that was there.
        refused: those that were not written.
        refused_bytes: the length of the file that has those.
        sent: with `--create-only`, the last line with a GUID of its own that may have been sent.
        secret: from which the GUIDs of records that have none follow.
    """

    done: int = 0
    created: int = 0
    updated: int = 0
    refused: int = 0
    refused_bytes: int = 0
    sent: int = 0
    secret: str = field(default_factory=lambda: secrets.token_hex(16))


class Flight(NamedTuple):
    """A batch on its way.

    Attributes:
        items: the records that are not counted yet, with those among them that can't be sent.
        guids: which records they are about.
        answer: what became of those that were sent.
    """

    items: deque[Item]
    guids: frozenset[str]
    answer: asyncio.Task[Sequence[Line]]


def run(options: Options) -> int:
    """Imports the file; returns the exit code."""
    name = options["file"]
    # A pipe, as of `import <(...)`, can't be read again, and nothing can be written beside it.
    path = Path(name) if name != "-" and Path(name).is_file() else None
    state = beside(path, STATE)

    def again() -> str:
        return GOES_ON if state and state.exists() and not options["dry_run"] else ""

    return guarded(lambda: _run(options, path), again=again)


def _run(options: Options, path: Path | None) -> int:
    with ExitStack() as stack:
        stream = opened(options["file"], stack)
        source = Source(stream, options["source_form"], clock=time.time)
        work = Import(options, source, path)
        stack.callback(work.close)
        try:
            return asyncio.run(work.dry_run() if options["dry_run"] else work.run())
        except BrokenOff as error:
            complain(f"{error} {work.told_of_what_was_before()}")
            return exits.FAILED


class Import:
    """One import of one file.

    Args:
        options: those of the command.
        source: the records.
        path: the file; None: standard input, which can't be read again.
    """

    def __init__(self, options: Options, source: Source, path: Path | None) -> None:
        self._options = options
        self._source = source
        self._name = "standard input" if path is None else str(path)
        self._size = None if path is None else path.stat().st_size
        self._tally = Tally()
        self._output = Output(options["form"])
        self._kept = Checkpoint(beside(path, STATE), self._task(path), asdict(self._tally))
        self._refusals = Refusals(
            refused_target(options, path),
            is_named=options["refused"] is not None,
            columns=source.columns,
        )
        self._flights: deque[Flight] = deque()
        self._sent_before = 0
        self._saved = time.monotonic()

    def close(self) -> None:
        """Closes the file of refused records."""
        self._refusals.close()

    async def run(self) -> int:
        """Writes all records; returns the exit code."""
        async with self._client() as client:
            self._settle(await client.metadata_schema() if self._source.doubtful else None)
            self._begin()
            with progress_bar.shown("importing", sys.stderr) as watch:
                try:
                    await self._write(client, watch)
                except BaseException as error:  # what is on its way is counted first
                    with suppress(GuidkeepError):
                        await self._land_all(watch)
                    if isinstance(error, BrokenOff):
                        self._kept.allow("size of the file", "time of the file")
                    raise
                finally:
                    for flight in self._flights:
                        flight.answer.cancel()
                    await asyncio.gather(
                        *(flight.answer for flight in self._flights), return_exceptions=True
                    )
                    self._save()
        self._kept.drop()
        return self._report("Imported", "created", "updated", "refused")

    async def dry_run(self) -> int:
        """Says what the service would refuse, if each record was a new one."""
        async with self._client() as client:
            schema, most = await client.metadata_schema(), await client.max_body()
        self._settle(schema)
        self._refusals.begin()
        drafts = Drafts(MetadataSchema(schema), max_record=most)
        with progress_bar.shown("checking", sys.stderr) as watch:
            async for item in read_apart(self._source.items()):
                try:
                    _check(item, self._sent(item).text, drafts, most)
                except (InvalidRequest, BodyTooLarge) as error:
                    self._refuse(item, error, own_status(error))
                else:
                    self._tally.created += 1
                self._tally.done += 1
                watch(self._share(), self._tally.done)
        return self._report("Checked", "could be created", None, "would be refused")

    def _settle(self, schema: Any) -> None:
        """Takes the columns for what they mean to a service with that schema, or refuses them."""
        properties = schema.get("properties") if isinstance(schema, dict) else None
        self._source.settle(properties if isinstance(properties, dict) else ())

    def _begin(self) -> None:
        """Goes on where it was interrupted, or begins."""
        kept = None
        if not self._options["restart"]:
            kept = self._kept.load()
        if kept:
            self._tally = Tally(**kept)
            self._sent_before = self._tally.sent
            complain(
                f"Goes on after {self._tally.done:,} records, where it was interrupted; "
                "--restart begins anew."
            )
            self._refusals.go_on(self._tally.refused_bytes)
        else:
            self._refusals.begin(is_ours=self._kept.is_of_this_task())
            self._kept.drop()
        self._save()  # before anything is sent: GUIDs follow from the secret in it

    async def _write(self, client: AsyncClient, watch: Watch) -> None:
        batches, items, unsent = Batches(), deque[Item](), 0
        broken: BrokenOff | None = None
        try:
            async for item in read_apart(islice(self._source.items(), self._tally.done, None)):
                if len(items) == MOST_ITEMS or unsent > MOST_UNSENT:
                    await self._launch(client, batches.rest(), items, watch)
                    items, unsent = deque(), 0
                if item.fault is None and (full := batches.put(self._sent(item))):
                    await self._launch(client, full, items, watch)
                    items, unsent = deque(), 0
                items.append(item)
                unsent += len(item.text) if item.fault is not None else 0
        except BrokenOff as error:  # what was read before it is written all the same
            broken = error
        await self._launch(client, batches.rest(), items, watch)
        await self._land_all(watch)
        if broken:
            raise broken

    async def _launch(
        self, client: AsyncClient, batch: Sequence[Sent], items: deque[Item], watch: Watch
    ) -> None:
        guids = frozenset(line.guid for line in batch if line.guid)
        while len(self._flights) >= AT_ONCE or any(guids & one.guids for one in self._flights):
            await self._land(watch)
        create_only = self._options["create_only"]
        if create_only and (own := [line.number for line in batch if not line.is_drawn]):
            self._tally.sent = max(self._tally.sent, own[-1])
            self._save()
        writing = client.write(batch, create_only=create_only)
        self._flights.append(Flight(items, guids, asyncio.create_task(writing)))

    async def _land_all(self, watch: Watch) -> None:
        while self._flights:
            await self._land(watch)

    async def _land(self, watch: Watch) -> None:
        """Waits for the batch that was sent first, and counts what became of it.

        Raises:
            GuidkeepError: a record could not be done for now; those before it are counted.
        """
        flight = self._flights[0]
        lines = {line.number: line for line in await asyncio.shield(flight.answer)}
        while flight.items:
            line = lines.get(flight.items[0].number)
            error = line.error if line else None
            if error and (is_temporary(error) or isinstance(error, ClientSideError)):
                raise error
            self._count(flight.items[0], line)
            flight.items.popleft()
            self._tally.done += 1
        self._flights.popleft()
        if time.monotonic() - self._saved > BETWEEN_SAVES:
            self._save()
        watch(self._share(), self._tally.done)

    def _count(self, item: Item, line: Line | None) -> None:
        if line is None:
            unsent = InvalidRequest(item.fault or "")
            self._refuse(item, unsent, own_status(unsent))
        elif line.status == CREATED or self._is_of_before(line):
            self._tally.created += 1
        elif line.error:
            self._refuse(item, line.error, line.status)
        else:
            self._tally.updated += 1

    def _is_of_before(self, line: Line) -> bool:
        """Whether it is there already, and may be from before this import was interrupted."""
        return isinstance(line.error, PreconditionFailed) and line.number <= self._sent_before

    def _refuse(self, item: Item, error: GuidkeepError, status: int) -> None:
        self._tally.refused_bytes = self._refusals.add(item, error, status)
        self._tally.refused += 1

    def _sent(self, item: Item) -> Sent:
        return line_of(item.number, item.text, lambda: self._guid(item.number))

    def _guid(self, number: int) -> str:
        """The GUID of a record that has none: the same whenever it is sent."""
        seed = f"{self._tally.secret}:{number}".encode()
        return guid_of(hashlib.blake2b(seed, digest_size=16).digest())

    def _save(self) -> None:
        self._refusals.flush()
        self._kept.save(asdict(self._tally))
        self._saved = time.monotonic()

    def _share(self) -> float | None:
        return min(self._source.passed / self._size, 1.0) if self._size else None

    def _task(self, path: Path | None) -> dict[str, Any]:
        """What must be the same for an interrupted import to go on."""
        changed = None if path is None else path.stat().st_mtime_ns
        return {
            "address": redacted(address_of(self._options)),
            "size of the file": self._size,
            "time of the file": changed,
            "form": self._source.form,
            "--create-only": self._options["create_only"],
            "--refused": self._options["refused"],
        }

    def _client(self) -> AsyncClient:
        return client_of(AsyncClient, self._options, attempts=ATTEMPTS)

    def told_of_what_was_before(self) -> str:
        """What became of the records before the place where the file breaks off.

        Where there are none, it is no file of records, and nothing is left of it.
        """
        tally, where = self._tally, self._refusals.close()
        is_dry = self._options["dry_run"]
        if not tally.done:
            if not is_dry:
                self._kept.drop()
            return "Nothing was written."
        told = f"{tally.created + tally.updated:,} records before it "
        told += "could be created" if is_dry else "are written"
        if tally.refused:
            told += f", {tally.refused:,} {'would be ' if is_dry else ''}refused"
            told += f": {where} has those" if where else ""
        goes_on = self._size is not None and not is_dry
        return f"{told}.{' Mend what follows.' + GOES_ON if goes_on else ''}"

    def _report(self, did: str, created: str, updated: str | None, refused: str) -> int:
        tally, where = self._tally, self._refusals.close()
        if self._output.is_table:
            told = [f"{tally.created:,} {created}"]
            told += [f"{tally.updated:,} {updated}"] if updated else []
            told += [f"{tally.refused:,} {refused}"]
            why = f" {where} has those, with the reasons." if where else ""
            self._output.line(f"{did} {self._name}: {', '.join(told)}.{why}")
        else:
            counts = {"created": tally.created, "updated": tally.updated, "refused": tally.refused}
            self._output.line(json.dumps({**counts, "refused_file": where}))
        if not tally.done:
            complain(f"There is no record in {self._name}.")
        return exits.FAILED if tally.refused or not tally.done else 0


def _check(item: Item, text: bytes, drafts: Drafts, most: int) -> None:
    """Raises what the service would say of a record that is not there yet, sent as that text."""
    if item.fault is not None:
        raise InvalidRequest(item.fault)
    if len(text) > most + ENVELOPE:
        raise BodyTooLarge(f"A line must not have more than {most + ENVELOPE} bytes.")
    now = int(time.time())
    drafts.made(parse_change(text, now=now), now)
