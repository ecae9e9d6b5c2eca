"""Results: figures of several rounds, ratios, targets, rows of the table."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NGINX = "nginx"
WEBDIS = "Webdis + Redis"
REFERENCE = "Tornado + MariaDB + Redis"
GUIDKEEP = "Guidkeep"

Reached = Literal["yes", "no", "not measured", ""]


@dataclass(frozen=True, slots=True)
class Figure:
    """One quantity, measured in one or more rounds; its value is the median.

    Attributes:
        values: one for each round.
        unit: printed after the number.
        digits: after the decimal point.
    """

    values: Sequence[float]
    unit: str = ""
    digits: int = 0

    @property
    def value(self) -> float:
        """The median."""
        return median(self.values)

    def __str__(self) -> str:
        return f"{self.value:,.{self.digits}f}{self.unit}"

    @property
    def range(self) -> str:
        """The least and the greatest value."""
        if len(self.values) == 1:
            return ""
        low, high = min(self.values), max(self.values)
        return f"{low:,.{self.digits}f} to {high:,.{self.digits}f}"


@dataclass(frozen=True, slots=True)
class Target:
    """A target: `bound` at least or at most, for the figure or for a ratio.

    Attributes:
        sense: "≥", "≤" or "<".
        bound: in the figure's unit, or a ratio.
        of: the contestant that the figure is divided by; empty: none.
        unit: the unit of the bound, for printing.
    """

    sense: Literal["≥", "≤", "<"]
    bound: float
    of: str = ""
    unit: str = ""

    def __str__(self) -> str:
        of = f" of {self.of}" if self.of else ""
        return f"{self.sense} {self.bound:g}{self.unit}{of}"

    def met_by(self, value: float) -> bool:
        """Whether the value reaches the target."""
        if self.sense == "≥":
            return value >= self.bound
        return value <= self.bound if self.sense == "≤" else value < self.bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the table.

    Attributes:
        what: the subject of the measurement.
        figure: the result; None: it could not be measured.
        ratios: the figure divided by another contestant's, by the other's name.
        targets: its targets.
        note: a remark for the reader, or the reason for a missing figure.
        details: further figures, only for `results.json`.
    """

    what: str
    figure: Figure | None
    ratios: Mapping[str, Figure] = field(default_factory=dict)
    targets: Sequence[Target] = ()
    note: str = ""
    details: Mapping[str, object] = field(default_factory=dict)

    @property
    def reached(self) -> Reached:
        """Whether all targets are met."""
        verdicts = [self._met(target) for target in self.targets]
        if False in verdicts:
            return "no"
        if None in verdicts:
            return "not measured"
        return "yes" if verdicts else ""

    def _met(self, target: Target) -> bool | None:
        figure = self.ratios.get(target.of) if target.of else self.figure
        return None if figure is None else target.met_by(figure.value)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a scenario."""

    rows: list[Row] = field(default_factory=list)
    creates: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    """Creates a second, by contestant and number of connections, for the plot."""
    reads: Mapping[str, float] = field(default_factory=dict)
    """Reads a second, by contestant and kind of read, for the plot."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """Their ratios to nginx."""


def ratio(
    values: Sequence[float], others: Sequence[float] | None, *, digits: int = 2
) -> Figure | None:
    """The quotient of each round; None if there is no divisor."""
    if not others:
        return None
    return Figure([a / b for a, b in zip(values, others, strict=True)], digits=digits)


def ratios(
    values: Sequence[float], others: Mapping[str, Sequence[float] | None]
) -> dict[str, Figure]:
    """The ratios to the other contestants that were measured."""
    found = {name: ratio(values, rounds) for name, rounds in others.items()}
    return {name: figure for name, figure in found.items() if figure is not None}
