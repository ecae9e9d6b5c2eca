"""Rows of a CSV as records: what its first line says of the columns, and what a cell becomes.

The separator is a comma, a semicolon (Excel's where the comma is the decimal point), a tab, or a
bar: the one with which the first line has the most names that a record has of its own.
"""

from __future__ import annotations

import csv
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from guidkeep.cli.input import items
from guidkeep.cli.input.items import BrokenOff, Item, fault_of, faulty
from guidkeep.cli.times import parse_expire, parse_ttl
from guidkeep.errors import StartupError
from guidkeep.jsontext import on_one_line, require_json
from guidkeep.misspelt import folded, is_misspelt, likely_member, meant_by
from guidkeep.record import shortened, spells_guid

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Collection, Iterator, Sequence

SEPARATORS = ",;\t|"
OWN = ("guid", "expire", "ttl", "user")
"""Names that are compared without case."""
_TRIMMED = ("guid", "expire", "ttl")
_NO_WIDTH = "\ufeff\u200b\u200c\u200d\u2060"
_EXAMPLE = "as in guid,expire,user"
_is_data = re.compile(r"[{(]?(?:[0-9a-fA-F]-?){32}[)}]?|[0-9]{9,}").fullmatch
"""A GUID, or a Unix time: no name of a column."""


class Column(NamedTuple):
    """A column.

    Attributes:
        name: as it stands at the top, without white space around it.
        member: of the record that its cells become.
        is_json: whether they hold JSON.
    """

    name: str
    member: str
    is_json: bool


class Table:
    """A CSV that is read.

    Args:
        stream: its text.
        begins: the first line of it, or more.
        is_sure: whether the user said that it is a CSV.
        clock: returns Unix time in seconds.

    Attributes:
        columns: what the first line says; see `settle`.

    Raises:
        StartupError: the first line names no columns.
    """

    def __init__(
        self, stream: io.TextIOBase, begins: str, *, is_sure: bool, clock: Callable[[], float]
    ) -> None:
        self._clock = clock
        self._lines = _Lines(stream)
        csv.field_size_limit(items.LONGEST)  # of this process; else a cell may have 128 KiB
        self._separator = _separator_of(begins)
        self._rows: Any = csv.reader(
            self._lines,
            strict=True,
            delimiter=self._separator,
            skipinitialspace=_has_spaces(begins, self._separator),
        )
        names: list[str] = []
        try:
            while not names and (row := next(self._rows, None)) is not None:
                names = [_trimmed(name) for name in row]
        except csv.Error as error:
            raise self._broken(error) from error
        _check(names, is_sure=is_sure)
        self.columns = [_column(name) for name in names]
        self._maybe_guids: list[int] = []

    @property
    def doubtful(self) -> list[str]:
        """Names that mean something else than they say, unless a schema declares them."""
        return [
            column.name for column in self.columns
            if column.name.removesuffix(":=") != column.member
            or _is_misspelt(column.member)
            or self._likely(column.member)
        ]  # fmt: skip

    def settle(self, declared: Collection[str] = ()) -> None:
        """Takes names for what they mean.

        Args:
            declared: properties of the service's schema: a name of these means itself.

        Raises:
            StartupError: a name is misspelt, or a column stands twice.
        """
        self.columns = [
            column._replace(member=own)
            if (own := column.name.removesuffix(":=").strip()) in declared
            else column
            for column in self.columns
        ]
        faults = [
            meant_by(column.member)
            for column in self.columns
            if _is_misspelt(column.member) and column.member not in declared
        ]
        likely = [
            (number, column.member, member)
            for number, column in enumerate(self.columns)
            if column.member not in declared and (member := self._likely(column.member))
        ]
        self._maybe_guids = [number for number, _, member in likely if member == "guid"]
        faults += [_told_of(name, member) for _, name, member in likely if member != "guid"]
        members = [column.member for column in self.columns]
        for member in dict.fromkeys(members):
            if members.count(member) > 1:
                same = [column.name for column in self.columns if column.member == member]
                told = " and ".join(dict.fromkeys(repr(shortened(name)) for name in same))
                faults.append(f"The column {told} stands twice: name each once.")
        if faults:
            raise StartupError(" ".join(faults))

    def _likely(self, name: str) -> str | None:
        """The member of a record for which a column may be meant that no other column is."""
        members = {column.member for column in self.columns}
        member = None if name in OWN or _is_misspelt(name) else likely_member(name)
        has_it = member in members or (member == "expire" and "ttl" in members)
        return None if has_it or (member == "ttl" and "expire" in members) else member

    def rows(self) -> Iterator[Item]:
        """The records.

        Raises:
            BrokenOff: the file is not of its form, so that nothing after that can be read.
        """
        try:
            while True:
                self._lines.taken, number = 0, self._rows.line_num + 1
                row = next(self._rows, None)
                if row is None:
                    return
                if row:
                    self._require_no_guid(number, row)
                    yield self._item(number, row)
        except csv.Error as error:
            raise self._broken(error) from error

    def _require_no_guid(self, number: int, row: Sequence[str]) -> None:
        """A GUID in a column such as `id` would become metadata, under a GUID that is drawn."""
        for index in self._maybe_guids:
            if index < len(row) and spells_guid(row[index].strip(' "')):
                told = _told_of(self.columns[index].member, "guid")
                raise BrokenOff(f"Line {number} has a GUID where none is looked for. {told}")

    def _broken(self, error: csv.Error) -> BrokenOff:
        return BrokenOff(f"Line {self._rows.line_num} is not CSV: {error}.")

    def _item(self, number: int, row: Sequence[str]) -> Item:
        if len(row) != len(self.columns):
            fault = f"The line has {len(row)} cells; the names at the top are {len(self.columns)}."
            return faulty(number, self._separator.join(row), fault)
        members: list[str] = []
        for column, cell in zip(self.columns, row, strict=True):
            trimmed = cell.strip() if column.member in _TRIMMED else cell
            if trimmed:
                try:
                    members.append(self._member(column, trimmed))
                except (StartupError, ValueError) as error:
                    told = f"column {column.name}: {error}"
                    return faulty(number, self._separator.join(row), told)
        return Item(number, "{" + ",".join(members) + "}")

    def _member(self, column: Column, cell: str) -> str:
        if fault := fault_of(cell):
            raise ValueError(fault)
        return f"{json.dumps(column.member, ensure_ascii=False)}:{self._value(column, cell)}"

    def _value(self, column: Column, cell: str) -> str:
        """The cell as JSON. Raises StartupError or ValueError."""
        if column.is_json:
            try:
                require_json(cell)
            except ValueError as error:
                raise ValueError(str(error).replace(").", " of the cell).")) from None
            return on_one_line(cell)
        if column.member == "expire":
            return json.dumps(parse_expire(cell, now=self._clock()))
        if column.member == "ttl":
            return json.dumps(parse_ttl(cell))
        return json.dumps(cell, ensure_ascii=False)


class _Lines:
    """The lines of a CSV, of which a row may take many; none is longer than a record may be.

    Attributes:
        taken: characters since the row began.
    """

    def __init__(self, stream: io.TextIOBase) -> None:
        self._stream = stream
        self.taken = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(items.LONGEST + 1 - self.taken)
        self.taken += len(line)
        if self.taken > items.LONGEST:
            raise csv.Error(f"a record is longer than {items.LONGEST >> 20} MiB")
        if not line:
            raise StopIteration
        return line


def _separator_of(begins: str) -> str:
    """The separator of a CSV that begins so."""

    def worth(separator: str) -> tuple[int, bool]:
        names = [folded(name) for name in _split(begins, separator)]
        return sum(name in OWN for name in names), len(names) > 1

    return max(SEPARATORS, key=worth)  # the first of those that are worth the same


def _split(begins: str, separator: str) -> list[str]:
    """The first line that is not empty, as the names that it has with that separator."""
    return next(csv.reader(begins.lstrip().splitlines(keepends=True), delimiter=separator), [])


def _trimmed(name: str) -> str:
    """A name without white space around it, be it of no width."""
    return name.strip().strip(_NO_WIDTH).strip()


def _is_mixed(name: str) -> bool:
    """Whether it would be several names, one of a record's own among them, at other separators."""
    parts = [folded(part) for part in re.split(f"[{SEPARATORS}]", name)]
    return len(parts) > 1 and any(part in OWN for part in parts)


def _has_spaces(begins: str, separator: str) -> bool:
    """Whether a space follows each separator of the first line: then it belongs to them."""
    names = _split(begins, separator)[1:]
    return bool(names) and all(name.startswith(" ") for name in names)


def _column(name: str) -> Column:
    is_json = name.endswith(":=")
    member = name.removesuffix(":=").strip()
    own = folded(member)
    return Column(name, own if own in OWN else member, is_json)


def _is_misspelt(member: str) -> bool:
    return member not in OWN and is_misspelt(folded(member))


def _told_of(name: str, member: str) -> str:
    """What is right where a column may be meant for that member."""
    return (
        f'The column "{shortened(name)}" may be meant for {member}: name it {member}. If it is '
        f"metadata, add a column {member}, which may be empty."
    )


def _check(names: Sequence[str], *, is_sure: bool) -> None:
    """Raises StartupError unless these can be the names of columns."""
    if any(map(fault_of, names)):
        raise StartupError("The first line of a CSV must be UTF-8, as all of it.")
    if any(map(_is_data, names)):
        raise StartupError(
            f"The first line is a record: put a line before it that names the columns, {_EXAMPLE}."
        )
    if names and folded(names[0]).startswith("sep="):
        raise StartupError(f"The first line is Excel's {names[0]!r}: take it away.")
    if mixed := next(filter(_is_mixed, names), None):
        raise StartupError(
            f"The first line mixes separators: {shortened(mixed, 40)!r} is more than one name."
        )
    for number, name in enumerate(names or [""], 1):
        if not name.removesuffix(":="):
            raise StartupError(
                f"The first line of a CSV must name its columns, {_EXAMPLE}; column {number} has "
                "no name."
            )
    [first, *more] = names
    if not (more or is_sure or first.endswith(":=") or _is_own(first)):
        raise StartupError(
            f"It is no file of records: NDJSON begins with {{, an array with [, and a CSV with the "
            f"names of its columns, {_EXAMPLE}; it begins with {shortened(first, 40)!r}. If that "
            "is the name of its only column, say --format csv."
        )


def _is_own(name: str) -> bool:
    member = _column(name).member
    return member in OWN or _is_misspelt(member)
