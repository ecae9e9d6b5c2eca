"""`guidkeep import`: records from a file into the service, many at a time.

*Resuming.* A small file beside the user's file has the number of records that are done. It is
written after a batch's response, at most once a second, so after an interruption a few records may
be sent again. A record without a GUID gets one that is derived from a secret of the import and the
record's place in the file, and is only created: if it exists, this import created it before, and it
stays unchanged. A record with its own GUID is merged into the existing one, so a null that is sent
again is lost. With `--create-only` the number of sent records is saved before they are sent, and
existing records among those sent but not counted count as created. The file of refused records is
truncated to its length at the last save.

*Other files.* A file that does not contain records is refused before anything is written, and so is
a CSV with ambiguous columns. An import without any record fails: it is probably a mistake.

*A file that is broken at some place.* The records before that place are written and counted. The
user may repair the rest: size and time of such a file may differ when the import resumes.

*Order.* Several batches are sent at once, but never two that share a GUID, so the last line about a
record wins.
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
"""Attempts for each batch: many, so that only --timeout ends the wait for a restarting service."""
AT_ONCE = 4
"""Batches sent at once: while one is committed, the next ones travel."""
BETWEEN_SAVES = 1.0
"""The shortest time between two saves of the progress, in seconds."""
MOST_ITEMS = 5000
"""The most records that wait for a batch, including records that cannot be sent."""
MOST_UNSENT = 1 << 20
"""The most characters of waiting records that cannot be sent, plus one record."""
CREATED = 201
STATE = ".import"
"""The suffix of the file with an import's progress."""


@dataclass(slots=True)
class Tally:
    """The progress of an import.

    Attributes:
        done: the number of processed records, from the beginning of the file.
        created: how many of them were created.
        updated: how many changed an existing record.
        refused: how many were not written.
        refused_bytes: the length of the file of refused records.
        sent: with `--create-only`, the last line with its own GUID that may have been sent.
        secret: the secret from which GUIDs are derived for records that have none.
    """

    done: int = 0
    created: int = 0
    updated: int = 0
    refused: int = 0
    refused_bytes: int = 0
    sent: int = 0
    secret: str = field(default_factory=lambda: secrets.token_hex(16))


class SentBatch(NamedTuple):
    """A batch that has been sent and has no response yet.

    Attributes:
        items: the records that are not counted yet, including those that cannot be sent.
        guids: the GUIDs of the sent records.
        response: the outcomes of the sent records.
    """

    items: deque[Item]
    guids: frozenset[str]
    response: asyncio.Task[Sequence[Line]]


def run(options: Options) -> int:
    """Imports the file; returns the exit code."""
    name = options["file"]
    # A pipe, as in `import <(...)`, cannot be read again, and no file can be written beside it.
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
            complain(f"{error} {work.result_so_far()}")
            return exits.FAILED


class Import:
    """One import of one file.

    Args:
        options: the command's options.
        source: the records.
        path: the file; None for standard input, which cannot be read again.
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
        self._sent_batches: deque[SentBatch] = deque()
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
                except BaseException as error:  # the sent batches are counted first
                    with suppress(GuidkeepError):
                        await self._finish_all(watch)
                    if isinstance(error, BrokenOff):
                        self._kept.allow("size of the file", "time of the file")
                    raise
                finally:
                    for batch in self._sent_batches:
                        batch.response.cancel()
                    await asyncio.gather(
                        *(batch.response for batch in self._sent_batches), return_exceptions=True
                    )
                    self._save()
        self._kept.drop()
        return self._report("Imported", "created", "updated", "refused")

    async def dry_run(self) -> int:
        """Reports the records that the service would refuse as new records."""
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
        """Maps the columns to members for a service with that schema, or refuses them."""
        properties = schema.get("properties") if isinstance(schema, dict) else None
        self._source.settle(properties if isinstance(properties, dict) else ())

    def _begin(self) -> None:
        """Resumes after an interruption, or begins."""
        kept = None
        if not self._options["restart"]:
            kept = self._kept.load()
        if kept:
            self._tally = Tally(**kept)
            self._sent_before = self._tally.sent
            complain(
                f"Resuming after {self._tally.done:,} records, where it was interrupted; "
                "--restart starts over."
            )
            self._refusals.go_on(self._tally.refused_bytes)
        else:
            self._refusals.begin(is_ours=self._kept.is_of_this_task())
            self._kept.drop()
        self._save()  # before anything is sent: GUIDs are derived from the saved secret

    async def _write(self, client: AsyncClient, watch: Watch) -> None:
        batches, items, unsent = Batches(), deque[Item](), 0
        broken: BrokenOff | None = None
        try:
            async for item in read_apart(islice(self._source.items(), self._tally.done, None)):
                if len(items) == MOST_ITEMS or unsent > MOST_UNSENT:
                    await self._send(client, batches.rest(), items, watch)
                    items, unsent = deque(), 0
                if item.fault is None and (full := batches.put(self._sent(item))):
                    await self._send(client, full, items, watch)
                    items, unsent = deque(), 0
                items.append(item)
                unsent += len(item.text) if item.fault is not None else 0
        except BrokenOff as error:  # the records before it are still written
            broken = error
        await self._send(client, batches.rest(), items, watch)
        await self._finish_all(watch)
        if broken:
            raise broken

    async def _send(
        self, client: AsyncClient, batch: Sequence[Sent], items: deque[Item], watch: Watch
    ) -> None:
        guids = frozenset(line.guid for line in batch if line.guid)
        while len(self._sent_batches) >= AT_ONCE or any(
            guids & one.guids for one in self._sent_batches
        ):
            await self._finish_first(watch)
        create_only = self._options["create_only"]
        if create_only and (own := [line.number for line in batch if not line.is_drawn]):
            self._tally.sent = max(self._tally.sent, own[-1])
            self._save()
        writing = client.write(batch, create_only=create_only)
        self._sent_batches.append(SentBatch(items, guids, asyncio.create_task(writing)))

    async def _finish_all(self, watch: Watch) -> None:
        while self._sent_batches:
            await self._finish_first(watch)

    async def _finish_first(self, watch: Watch) -> None:
        """Waits for the batch that was sent first, and counts its records.

        Raises:
            GuidkeepError: a record failed for now; those before it are counted.
        """
        batch = self._sent_batches[0]
        lines = {line.number: line for line in await asyncio.shield(batch.response)}
        while batch.items:
            line = lines.get(batch.items[0].number)
            error = line.error if line else None
            if error and (is_temporary(error) or isinstance(error, ClientSideError)):
                raise error
            self._count(batch.items[0], line)
            batch.items.popleft()
            self._tally.done += 1
        self._sent_batches.popleft()
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
        """Returns whether this import may have created the record before its interruption."""
        return isinstance(line.error, PreconditionFailed) and line.number <= self._sent_before

    def _refuse(self, item: Item, error: GuidkeepError, status: int) -> None:
        self._tally.refused_bytes = self._refusals.add(item, error, status)
        self._tally.refused += 1

    def _sent(self, item: Item) -> Sent:
        return line_of(item.number, item.text, lambda: self._guid(item.number))

    def _guid(self, number: int) -> str:
        """Returns the GUID for a record that has none: the same for each attempt."""
        seed = f"{self._tally.secret}:{number}".encode()
        return guid_of(hashlib.blake2b(seed, digest_size=16).digest())

    def _save(self) -> None:
        self._refusals.flush()
        self._kept.save(asdict(self._tally))
        self._saved = time.monotonic()

    def _share(self) -> float | None:
        return min(self._source.passed / self._size, 1.0) if self._size else None

    def _task(self, path: Path | None) -> dict[str, Any]:
        """Returns the properties that must be equal when the import resumes."""
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

    def result_so_far(self) -> str:
        """Returns a message about the records before the place where the file is broken.

        If there are none, the file has no records, and the checkpoint is removed.
        """
        tally, where = self._tally, self._refusals.close()
        is_dry = self._options["dry_run"]
        if not tally.done:
            if not is_dry:
                self._kept.drop()
            return "Nothing was written."
        message = f"{tally.created + tally.updated:,} records before it "
        message += "could be created" if is_dry else "are written"
        if tally.refused:
            message += f", {tally.refused:,} {'would be ' if is_dry else ''}refused"
            message += f": see {where}" if where else ""
        goes_on = self._size is not None and not is_dry
        return f"{message}.{' Repair the rest of the file.' + GOES_ON if goes_on else ''}"

    def _report(self, did: str, created: str, updated: str | None, refused: str) -> int:
        tally, where = self._tally, self._refusals.close()
        if self._output.is_table:
            parts = [f"{tally.created:,} {created}"]
            parts += [f"{tally.updated:,} {updated}"] if updated else []
            parts += [f"{tally.refused:,} {refused}"]
            why = f" {where} has the refused records and the reasons." if where else ""
            self._output.line(f"{did} {self._name}: {', '.join(parts)}.{why}")
        else:
            counts = {"created": tally.created, "updated": tally.updated, "refused": tally.refused}
            self._output.line(json.dumps({**counts, "refused_file": where}))
        if not tally.done:
            complain(f"There is no record in {self._name}.")
        return exits.FAILED if tally.refused or not tally.done else 0


def _check(item: Item, text: bytes, drafts: Drafts, most: int) -> None:
    """Raises the error with which the service would refuse this text as a new record."""
    if item.fault is not None:
        raise InvalidRequest(item.fault)
    if len(text) > most + ENVELOPE:
        raise BodyTooLarge(f"A line must not have more than {most + ENVELOPE} bytes.")
    now = int(time.time())
    drafts.made(parse_change(text, now=now), now)
