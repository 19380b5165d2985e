"""What a raw table holds, column by column: as Ibis expressions, and as the record that they fill."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from churn.core.declaration import Column
from churn.core.raw_table.expressions import EXACT, FALSE, TRUE, nothing, parsed, text, time, trimmed

if TYPE_CHECKING:
    import ibis.expr.types as ir


@dataclass(frozen=True)
class ColumnProfile:
    """Counts over the rows of one column; `low` and `high` are the range of its numbers.

    `spaces` cells hold white space alone; `padded` are whole numbers with a leading zero, such as
    postcodes; `words` are cells that say yes or no. `kind` is the stored type, and `plain` whether a cell
    of it holds one value: a list, a structure or bytes do not.
    """

    name: str
    kind: str
    plain: bool
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
    kind = cell.type()
    number = nothing(cell, "float64") if kind.is_boolean() else parsed(cell, Column(type="number"))
    whole = (number == number.floor()) & (number.abs() <= EXACT)
    no_time = kind.is_numeric() or kind.is_boolean()
    return raw.aggregate(
        name=ibis.literal(name),
        kind=ibis.literal(str(kind)),
        plain=ibis.literal(not (kind.is_nested() or kind.is_binary())),
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
