"""The rows of a CSV as records: the columns from its first line, and the values of cells.

The separator is a comma, a semicolon (Excel's, if the comma is the decimal point), a tab, or a bar:
the one that gives the first line the most of a record's own names.
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
from guidkeep.misspelt import OWN, folded, is_misspelt, likely_member, meant_by
from guidkeep.record import shortened, spells_guid

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Collection, Iterator, Sequence

SEPARATORS = ",;\t|"
KNOWN = (*OWN, "user")
"""The headings that are compared without case."""
_NO_WIDTH = "\ufeff\u200b\u200c\u200d\u2060"
_EXAMPLE = "as in guid,expire,user"
_is_data = re.compile(r"[{(]?(?:[0-9a-fA-F]-?){32}[)}]?|[0-9]{9,}").fullmatch
"""Matches a GUID or a Unix time, which is not a column name."""


class Column(NamedTuple):
    """A column.

    Attributes:
        name: the name in the first line, without white space around it.
        member: the record's member for its cells.
        is_json: whether the cells hold JSON.
    """

    name: str
    member: str
    is_json: bool


class Table:
    """A CSV.

    Args:
        stream: its text.
        begins: its first line, or more.
        is_sure: whether the user named the format.
        clock: returns Unix time in seconds.

    Attributes:
        columns: the columns of the first line; see `settle`.

    Raises:
        StartupError: the first line names no columns.
    """

    def __init__(
        self, stream: io.TextIOBase, begins: str, *, is_sure: bool, clock: Callable[[], float]
    ) -> None:
        self._clock = clock
        self._lines = _Lines(stream)
        csv.field_size_limit(items.LONGEST)  # for this process; the default is 128 KiB
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
        """Names that are not taken literally, unless a schema declares them."""
        return [
            column.name for column in self.columns
            if column.name.removesuffix(":=") != column.member
            or _is_misspelt(column.member)
            or self._likely(column.member)
        ]  # fmt: skip

    def settle(self, declared: Collection[str] = ()) -> None:
        """Maps the columns to members.

        Args:
            declared: properties of the service's schema, which are taken literally.

        Raises:
            StartupError: a name is misspelt, or two columns are the same member.
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
        faults += [_advice(name, member) for _, name, member in likely if member != "guid"]
        members = [column.member for column in self.columns]
        for member in dict.fromkeys(members):
            if members.count(member) > 1:
                same = [column.name for column in self.columns if column.member == member]
                names = " and ".join(dict.fromkeys(repr(shortened(name)) for name in same))
                faults.append(f"The column {names} appears twice: name each column once.")
        if faults:
            raise StartupError(" ".join(faults))

    def _likely(self, name: str) -> str | None:
        """Returns the member that a column was probably meant for, if no other column is it."""
        members = {column.member for column in self.columns}
        member = None if name in KNOWN or _is_misspelt(name) else likely_member(name)
        has_it = member in members or (member == "expire" and "ttl" in members)
        return None if has_it or (member == "ttl" and "expire" in members) else member

    def rows(self) -> Iterator[Item]:
        """Yields the records.

        Raises:
            BrokenOff: the file is malformed, and the rest of it cannot be read.
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
        """Refuses a GUID in a column such as `id`: it would be metadata under a random GUID."""
        for index in self._maybe_guids:
            if index < len(row) and spells_guid(row[index].strip(' "')):
                advice = _advice(self.columns[index].member, "guid")
                raise BrokenOff(f"Line {number} has a GUID in a column of metadata. {advice}")

    def _broken(self, error: csv.Error) -> BrokenOff:
        return BrokenOff(f"Line {self._rows.line_num} is not CSV: {error}.")

    def _item(self, number: int, row: Sequence[str]) -> Item:
        if len(row) != len(self.columns):
            fault = f"The line has {len(row)} cells, but the first line has {len(self.columns)}."
            return faulty(number, self._separator.join(row), fault)
        members: list[str] = []
        for column, cell in zip(self.columns, row, strict=True):
            trimmed = cell.strip() if column.member in OWN else cell
            if trimmed:
                try:
                    members.append(self._member(column, trimmed))
                except (StartupError, ValueError) as error:
                    fault = f"column {column.name}: {error}"
                    return faulty(number, self._separator.join(row), fault)
        return Item(number, "{" + ",".join(members) + "}")

    def _member(self, column: Column, cell: str) -> str:
        if fault := fault_of(cell):
            raise ValueError(fault)
        return f"{json.dumps(column.member, ensure_ascii=False)}:{self._value(column, cell)}"

    def _value(self, column: Column, cell: str) -> str:
        """Returns the cell as JSON. Raises StartupError or ValueError."""
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
    """The lines of a CSV. A row may have many lines, but no more characters than a record.

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
    """Returns the separator of a CSV with that beginning."""

    def worth(separator: str) -> tuple[int, bool]:
        names = [folded(name) for name in _split(begins, separator)]
        return sum(name in KNOWN for name in names), len(names) > 1

    return max(SEPARATORS, key=worth)  # of equals, the first


def _split(begins: str, separator: str) -> list[str]:
    """Returns the names that the separator gives in the first non-empty line."""
    return next(csv.reader(begins.lstrip().splitlines(keepends=True), delimiter=separator), [])


def _trimmed(name: str) -> str:
    """Returns a name without white space around it, zero-width characters included."""
    return name.strip().strip(_NO_WIDTH).strip()


def _is_mixed(name: str) -> bool:
    """Returns whether another separator would split the name and give one of a record's own."""
    parts = [folded(part) for part in re.split(f"[{SEPARATORS}]", name)]
    return len(parts) > 1 and any(part in KNOWN for part in parts)


def _has_spaces(begins: str, separator: str) -> bool:
    """Returns whether a space follows each separator of the first line, and so is part of it."""
    names = _split(begins, separator)[1:]
    return bool(names) and all(name.startswith(" ") for name in names)


def _column(name: str) -> Column:
    is_json = name.endswith(":=")
    member = name.removesuffix(":=").strip()
    own = folded(member)
    return Column(name, own if own in KNOWN else member, is_json)


def _is_misspelt(member: str) -> bool:
    return member not in KNOWN and is_misspelt(folded(member))


def _advice(name: str, member: str) -> str:
    """Returns the advice for a column that was probably meant for that member."""
    return (
        f'The column "{shortened(name)}" may be meant for {member}: name it {member}. If it is '
        f"metadata, add a column {member}, which may be empty."
    )


def _check(names: Sequence[str], *, is_sure: bool) -> None:
    """Raises StartupError unless these can be the names of columns."""
    if any(map(fault_of, names)):
        raise StartupError("The first line of the CSV is not UTF-8: save the file as UTF-8.")
    if any(map(_is_data, names)):
        raise StartupError(
            f"The first line is a record: add a line before it with the column names, {_EXAMPLE}."
        )
    if names and folded(names[0]).startswith("sep="):
        raise StartupError(f"The first line is Excel's {names[0]!r}: remove it.")
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
            f"It is not a file of records: NDJSON begins with {{, an array with [, and a CSV with "
            f"the names of its columns, {_EXAMPLE}; it begins with {shortened(first, 40)!r}. If "
            "that is the name of its only column, use --format csv."
        )


def _is_own(name: str) -> bool:
    member = _column(name).member
    return member in KNOWN or _is_misspelt(member)
