"""What a raw table holds, column by column: as Ibis expressions, and as the record that they fill."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from churn.core.declaration import Column
from churn.core.raw_table.expressions import EXACT, FALSE, TRUE, parsed, text, time, trimmed

if TYPE_CHECKING:
    import ibis.expr.types as ir


@dataclass(frozen=True)
class ColumnProfile:
    """Counts over the rows of one column; `low` and `high` are the range of its numbers.

    `spaces` cells hold white space alone; `padded` are whole numbers with a leading zero, such as
    postcodes; `words` are cells that say yes or no.
    """

    name: str
    rows: int
    filled: int
    spaces: int
    distinct: int
    numbers: int
    whole: int
    padded: int
    words: int
    times: int
    low: float | None
    high: float | None

    @property
    def blank(self) -> int:
        """Cells that hold nothing."""
        return self.rows - self.filled

    @property
    def is_unique(self) -> bool:
        """Whether every row has a value of its own."""
        return self.rows > 0 and self.distinct == self.rows

    @property
    def is_number(self) -> bool:
        """Whether every filled cell is a number."""
        return 0 < self.filled == self.numbers and not self.padded

    @property
    def is_whole(self) -> bool:
        """Whether every filled cell is a whole number."""
        return self.is_number and self.whole == self.filled

    @property
    def is_time(self) -> bool:
        """Whether every filled cell is a time."""
        return 0 < self.filled == self.times and not self.is_number

    @property
    def is_boolean(self) -> bool:
        """Whether every filled cell says yes or no, and both occur."""
        return 0 < self.filled == self.words and self.distinct == 2  # noqa: PLR2004


def profiles(raw: "ir.Table") -> dict[str, "ir.Table"]:
    """One row per column, as the fields of `ColumnProfile`."""
    return {name: _profile(raw, name) for name in raw.columns}


def distinct_values(raw: "ir.Table", names: Sequence[str]) -> dict[str, "ir.Table"]:
    """The distinct values of each named column as {"value"}, in their order."""
    return {name: raw.select(value=trimmed(raw[name])).drop_null("value").distinct().order_by("value") for name in names}


def _profile(raw: "ir.Table", name: str) -> "ir.Table":
    import ibis

    cell, value = raw[name], trimmed(raw[name])
    number = parsed(cell, Column(type="number")) if _may_be_number(cell) else ibis.null("float64")
    whole = (number == number.floor()) & (number.abs() <= EXACT)
    no_time = cell.type().is_numeric() or cell.type().is_boolean()
    return raw.aggregate(
        name=ibis.literal(name),
        rows=raw.count(),
        filled=value.count(),
        spaces=raw.count(where=text(cell).notnull() & value.isnull()),
        distinct=value.nunique(),
        numbers=number.count(),
        whole=raw.count(where=whole),
        padded=raw.count(where=value.re_search("^0[0-9]+$")),
        words=raw.count(where=value.lower().isin(TRUE + FALSE)),
        times=ibis.literal(0) if no_time else time(cell).count(),
        low=number.min(),
        high=number.max(),
    )


def _may_be_number(cell: "ir.Value") -> bool:
    kind = cell.type()
    return bool(kind.is_string() or kind.is_numeric())
