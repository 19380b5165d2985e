"""Rows of features as the float32 codes that the booster is trained on and serves from."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from churn.core.declaration import Feature
from churn.core.errors import ChurnError


class Rows(Protocol):
    """A pandas DataFrame, or a mapping from feature name to a sequence of values."""

    def __getitem__(self, name: str, /) -> Any:
        """The values of one feature, row by row."""


def learn_categories(features: Sequence[Feature], rows: Rows) -> tuple[Feature, ...]:
    """The features with `values` filled in: as declared, else the sorted values of these rows.

    Raises:
        ChurnError: if a category has no value at all, so that it can carry no information.
    """
    return tuple(_with_values(feature, rows) for feature in features)


def _with_values(feature: Feature, rows: Rows) -> Feature:
    if feature.type != "category" or feature.values is not None:
        return feature
    values = tuple(sorted({_text(value) for value in _objects(rows, feature.name) if not _missing(value)}))
    if not values:
        raise ChurnError(
            f"Feature {feature.name!r} is a category without a single value in the training rows. "
            "Declare its `values` or put the column under `ignore`."
        )
    return feature.model_copy(update={"values": values})


def encode(features: Sequence[Feature], rows: Rows) -> NDArray[np.float32]:
    """The codes of the rows, float32 (n, p), columns in the order of `features`.

    A category becomes its place in `values`, a boolean 0 or 1, a number itself; whatever is missing,
    and a category that `values` does not list, becomes NaN, which the booster treats as missing.

    Raises:
        ChurnError: if a feature is absent, is not a number where it must be, or is infinite.
    """
    columns = [_encode_column(feature, rows) for feature in features]
    codes = np.empty((len(columns[0]), len(columns)), np.float32)
    for place, column in enumerate(columns):
        codes[:, place] = column
    return codes


def _encode_column(feature: Feature, rows: Rows) -> NDArray[Any]:
    if feature.type == "category":
        places: dict[Any, float] = {value: float(code) for code, value in enumerate(feature.values or ())}
        values = _objects(rows, feature.name)
        return np.fromiter((_place(value, places) for value in values), np.float32, len(values))
    numbers = _numbers(rows, feature.name)
    if (np.abs(numbers) > np.finfo(np.float32).max).any():
        raise ChurnError(f"Feature {feature.name!r} holds a value that is infinite or above 3.4e38. Correct it or leave it empty.")
    return numbers


def _place(value: Any, places: Mapping[Any, float]) -> float:
    if isinstance(value, str):
        return places.get(value, np.nan)
    return np.nan if _missing(value) else places.get(_text(value), np.nan)


def _objects(rows: Rows, name: str) -> NDArray[Any]:
    column = _column(rows, name)
    if hasattr(column, "to_numpy"):
        found: NDArray[Any] = column.to_numpy(dtype=object)
        return found
    values = np.empty(len(column), object)
    values[:] = column
    return values


def _numbers(rows: Rows, name: str) -> NDArray[np.float64]:
    column = _column(rows, name)
    try:
        if hasattr(column, "to_numpy"):
            found: NDArray[np.float64] = column.to_numpy(dtype=np.float64, na_value=np.nan)
            return found
        return np.asarray(column, np.float64)
    except (TypeError, ValueError) as error:
        raise ChurnError(f"Feature {name!r} must be a number, true, false or empty: {error}.") from None


def _column(rows: Rows, name: str) -> Any:
    try:
        return rows[name]
    except KeyError:
        raise ChurnError(f"The rows have no feature {name!r}, which the model needs.") from None


def _missing(value: Any) -> bool:
    """None, NaN, NaT and pandas.NA: the values that are not equal to themselves (pandas.NA: not known to be)."""
    return value is None or not _same(value)


def _same(value: Any) -> bool:
    try:
        return bool(value == value)  # noqa: PLR0124 - NaN is what differs from itself
    except TypeError:  # pandas.NA == pandas.NA has no truth value
        return False


def _text(value: Any) -> str:
    return str(value)
