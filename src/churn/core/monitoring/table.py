"""Rows of the prediction log and of the reference as columns of numbers that tests can count."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from churn.core.declaration import Feature

Floats = NDArray[np.float64]
Values = NDArray[np.float64] | NDArray[np.int64]

SCORE = "churn probability"
"""The name under which the score stands beside the features; a space, so that no feature is likely to have it."""
MISSING = -1
_OTHER = -2
_NUMERIC = (int, float, np.integer, np.floating)


@dataclass(frozen=True)
class Column:
    """One feature of n rows.

    `values` are float64 (NaN: missing) for integers and numbers, else int64 places in `labels` (-1: missing),
    where every value that the model does not know shares the last place. `unknown` counts those by text;
    `wrong_type` counts cells that are not of the feature's type (they count as missing).
    """

    values: Values
    labels: tuple[str, ...] = ()
    unknown: Mapping[str, int] = field(default_factory=dict)
    wrong_type: int = 0

    @property
    def is_number(self) -> bool:
        """Whether the values are quantities."""
        return not self.labels

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Which cells are empty, shape (n,)."""
        return np.asarray(np.isnan(self.values) if self.is_number else self.values == MISSING)

    def take(self, rows: NDArray[Any] | slice) -> "Column":
        """Some of the rows; the counts by text are of all of them still."""
        return Column(self.values[rows], self.labels, self.unknown, self.wrong_type)


@dataclass(frozen=True)
class Sample:
    """n scored customers: features by name, churn probabilities (n,), outcomes (n,) where they are known."""

    columns: Mapping[str, Column]
    scores: Floats
    churned: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.scores)

    def take(self, rows: NDArray[Any] | slice) -> "Sample":
        """Some of the rows."""
        columns = {name: column.take(rows) for name, column in self.columns.items()}
        return Sample(columns, self.scores[rows], None if self.churned is None else self.churned[rows])

    @staticmethod
    def joined(samples: "Sequence[Sample]") -> "Sample":
        """Samples one after the other, at least one; a column that some of them lack is empty there."""
        names = dict.fromkeys(name for sample in samples for name in sample.columns)
        known = [sample.churned for sample in samples if sample.churned is not None]
        return Sample(
            {name: _joined([sample.columns.get(name) for sample in samples], [len(sample) for sample in samples]) for name in names},
            np.concatenate([sample.scores for sample in samples]),
            np.concatenate(known) if len(known) == len(samples) else None,
        )

    def compared(self) -> dict[str, Values]:
        """What drift is looked for in: the features, then the score."""
        return {**{name: column.values for name, column in self.columns.items()}, SCORE: self.scores}


@dataclass(frozen=True)
class Reference:
    """What a model version was made from: the training distribution, its scored test customers, and what matters to it.

    `importance` is each feature's share of the mean absolute TreeSHAP contributions; `sha256` is the stored file's.
    """

    version: str
    features: tuple[Feature, ...]
    training: Mapping[str, Column]
    test: Sample
    importance: Mapping[str, float]
    sha256: str

    def compared(self) -> dict[str, Values]:
        """The training distribution of the features, and the test customers' scores: training scores are too good."""
        return {**{name: column.values for name, column in self.training.items()}, SCORE: self.test.scores}


def _joined(parts: Sequence[Column | None], rows: Sequence[int]) -> Column:
    """Parts of one column, of so many rows; None is empty."""
    given = [part for part in parts if part is not None]
    values = [_empty(given[0], n) if part is None else part.values for part, n in zip(parts, rows, strict=True)]
    unknown = sum((Counter(part.unknown) for part in given), Counter[str]())
    whole: Any = np.concatenate(values)
    return Column(whole, given[0].labels, dict(unknown.most_common()), sum(part.wrong_type for part in given))


def _empty(like: Column, rows: int) -> Values:
    return np.full(rows, np.nan) if like.is_number else np.full(rows, MISSING, np.int64)


def columns(features: Sequence[Feature], rows: Mapping[str, Any]) -> dict[str, Column]:
    """Every feature that the rows have.

    Args:
        features: the model's features; categories have their `values`.
        rows: name to a sequence of raw values (n,), or a pandas DataFrame.
    """
    return {feature.name: column(feature, _objects(rows[feature.name])) for feature in features if feature.name in rows}


def column(feature: Feature, raw: NDArray[Any]) -> Column:
    """One feature from raw values (n,) of any kind."""
    if feature.type in ("integer", "number"):
        return _number(raw)
    known: dict[Any, int] = (
        {False: 0, True: 1} if feature.type == "boolean" else dict(zip(feature.values or (), range(len(feature.values or ())), strict=True))
    )
    labels = ("No", "Yes") if feature.type == "boolean" else (feature.values or ())
    places = np.fromiter((known.get(value, _OTHER) for value in raw), np.int64, len(raw))
    if feature.type == "boolean":
        return _boolean(raw, places)
    return _category(raw, places, labels)


def _boolean(raw: NDArray[Any], places: NDArray[np.int64]) -> Column:
    wrong = 0
    for row in np.flatnonzero((places == _OTHER) | _is_number(raw)):
        places[row] = MISSING
        wrong += not is_missing(raw[row])
    return Column(places, ("No", "Yes"), wrong_type=wrong)


def _is_number(raw: NDArray[Any]) -> NDArray[np.bool_]:
    """1 and 0 equal True and False, and are not of their type."""
    if not {type(value) for value in raw} & {int, float}:
        return np.zeros(len(raw), bool)
    return np.fromiter((isinstance(value, _NUMERIC) and not isinstance(value, bool) for value in raw), bool, len(raw))


def _category(raw: NDArray[Any], places: NDArray[np.int64], labels: tuple[str, ...]) -> Column:
    unknown: Counter[str] = Counter()
    wrong = 0
    for row in np.flatnonzero(places == _OTHER):
        value = raw[row]
        if is_missing(value):
            places[row] = MISSING
        elif isinstance(value, str):
            places[row] = len(labels)
            unknown[value] += 1
        else:
            places[row] = MISSING
            wrong += 1
    return Column(places, (*labels, "(unknown)"), dict(unknown.most_common()), wrong)


def _number(raw: NDArray[Any]) -> Column:
    if {type(value) for value in raw} <= {int, float, type(None)}:
        return Column(raw.astype(np.float64))
    values, wrong = np.full(len(raw), np.nan), 0
    for row, value in enumerate(raw):
        if isinstance(value, _NUMERIC) and not isinstance(value, bool):
            values[row] = float(value)
        else:
            wrong += not is_missing(value)
    return Column(values, wrong_type=wrong)


def is_missing(value: Any) -> bool:
    """None, NaN, NaT and pandas.NA."""
    if value is None or str(value) == "<NA>":
        return True
    return bool(value != value)  # noqa: PLR0124 - NaN differs from itself


def _objects(values: Any) -> NDArray[Any]:
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
        if values.dtype == object:
            return np.asarray(values)
        values = values.tolist()  # Python's own types, as the log has them
    filled = np.empty(len(values), object)
    filled[:] = values
    return filled
