"""Has a column's distribution changed? Two-sample tests with a family-wise error, and a floor of practical size."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from churn.core.monitoring.parameters import DriftParameters
from churn.core.monitoring.table import Values
from churn.core.monitoring.two_sample import bin_edges, chi_square_two_sample, holm, ks_two_sample, population_stability_index

PRESENT = 0.05
"""Adjusted p-value below which a window shows by itself what it shows together with those before it."""


class ColumnDrift(BaseModel):
    """What was measured of one column; `p_value` is adjusted for the number of columns and of looks.

    `place` is the category whose share changed most (None for a number), `before` and `after` its shares, or a
    number's medians (None where there are no values). `pooled`: these are numbers of the window with those before it;
    `present`: the window alone shows it too.
    """

    model_config = ConfigDict(frozen=True)

    column: str
    test: Literal["Kolmogorov-Smirnov", "chi-square"]
    statistic: float
    p_value: float
    psi: float
    missing_reference: float
    missing_current: float
    place: int | None = None
    before: float | None = None
    after: float | None = None
    drifted: bool = False
    pooled: bool = False
    present: bool = True


@dataclass(frozen=True)
class _Measured:
    test: Literal["Kolmogorov-Smirnov", "chi-square"]
    statistic: float
    p_value: float
    psi: float


def compare(
    reference: Mapping[str, Values], current: Mapping[str, Values], error: float, parameters: DriftParameters
) -> tuple[ColumnDrift, ...]:
    """Compare every column of `current` with `reference`; a column has an array (n,) on each side.

    A float array is a number, NaN where missing; an int64 array holds the codes of a category, -1 where
    missing. A column has drifted if its p-value, adjusted by Holm (1979), is below the family-wise `error`
    and its PSI reaches the floor: with many rows a test alone finds differences that matter to nobody.

    Raises:
        ValueError: if the columns differ, or there are none, or one side has no rows.
    """
    if not reference or reference.keys() != current.keys():
        raise ValueError("reference and current must have the same columns, at least one")
    if not all(len(side[name]) for side in (reference, current) for name in reference):
        raise ValueError("reference and current need rows")
    found = {name: _measure(reference[name], current[name], parameters.bins) for name in reference}
    adjusted = holm(np.array([item.p_value for item in found.values()]))
    return tuple(
        _column(name, item, float(p), (reference[name], current[name])).model_copy(
            update={"drifted": bool(p < error and item.psi >= parameters.psi_floor)}
        )
        for (name, item), p in zip(found.items(), adjusted, strict=True)
    )


def compare_twice(
    reference: Mapping[str, Values],
    current: Mapping[str, Values],
    pooled: Mapping[str, Values] | None,
    error: float,
    parameters: DriftParameters,
) -> tuple[ColumnDrift, ...]:
    """Two looks, each with half of the error (Bonferroni): at the window, and at the window with those before it.

    A mild change that one window cannot show adds up in the pooled rows; a strong one shows at once. Where there is
    nothing to pool the window's look still has only its half. A column's numbers are the window's, unless it has drifted
    in the pooled rows alone.
    """
    now = compare(reference, current, error / 2, parameters)
    looks = now if pooled is None else compare(reference, pooled, error / 2, parameters)
    late = {look.column for one, look in zip(now, looks, strict=True) if look.drifted and not one.drifted}
    shown = _shown_alone({name: (reference[name], current[name]) for name in late}, parameters)
    return tuple(
        (look if look.column in late else one).model_copy(
            update={
                "p_value": min(1.0, 2 * min(one.p_value, look.p_value)),
                "pooled": look.column in late,
                "present": look.column not in late - shown,
            }
        )
        for one, look in zip(now, looks, strict=True)
    )


def _shown_alone(sides: Mapping[str, tuple[Values, Values]], parameters: DriftParameters) -> set[str]:
    """Which columns the window shows by itself (Holm over these): what is over leaves its trace in the pooled rows only."""
    if not sides:
        return set()
    adjusted = holm(np.array([_measure(*side, parameters.bins).p_value for side in sides.values()]))
    return {name for name, p in zip(sides, adjusted, strict=True) if p < PRESENT}


def _column(name: str, item: _Measured, p_value: float, sides: tuple[Values, Values]) -> ColumnDrift:
    gone = [float(_missing(side).mean()) for side in sides]
    place, before, after = _largest_change(*sides)
    return ColumnDrift(
        column=name,
        test=item.test,
        statistic=item.statistic,
        p_value=p_value,
        psi=item.psi,
        missing_reference=gone[0],
        missing_current=gone[1],
        place=place,
        before=before,
        after=after,
    )


def _largest_change(reference: Values, current: Values) -> tuple[int | None, float | None, float | None]:
    """For a category the place whose share changed most and its shares, for a number (None, median, median)."""
    if not np.issubdtype(reference.dtype, np.integer):
        medians = [float(np.median(side[~np.isnan(side)])) if not np.isnan(side).all() else None for side in (reference, current)]
        return None, medians[0], medians[1]
    size = int(max(reference.max(), current.max())) + 2
    before, after = (np.bincount(side.astype(np.int64) + 1, minlength=size) / len(side) for side in (reference, current))
    most = int(np.abs(after - before).argmax())
    return most - 1, float(before[most]), float(after[most])


def _measure(reference: Values, current: Values, bins: int) -> _Measured:
    if np.issubdtype(reference.dtype, np.integer):
        counts = _count(reference.astype(np.int64), current.astype(np.int64))
        return _Measured("chi-square", *chi_square_two_sample(*counts), population_stability_index(*counts))
    return _measure_number(reference.astype(np.float64), current.astype(np.float64), bins)


def _measure_number(reference: NDArray[np.float64], current: NDArray[np.float64], bins: int) -> _Measured:
    present = reference[~np.isnan(reference)]
    statistic, p_value = ks_two_sample(present, current[~np.isnan(current)])
    gone = _count(_missing(reference).astype(np.int64), _missing(current).astype(np.int64))
    if len(gone[0]) > 1:  # two chances to find something: the values, and whether there are any (Bonferroni)
        p_value = min(1.0, 2 * min(p_value, chi_square_two_sample(*gone)[1]))
    edges = bin_edges(present, bins)
    coded = (np.where(np.isnan(side), -1, np.searchsorted(edges, side)).astype(np.int64) for side in (reference, current))
    return _Measured("Kolmogorov-Smirnov", statistic, p_value, population_stability_index(*_count(*coded)))


def _missing(values: Values) -> NDArray[np.bool_]:
    return np.asarray(values < 0 if np.issubdtype(values.dtype, np.integer) else np.isnan(values))


def _count(reference: NDArray[np.int64], current: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows by code, those without any on both sides left out; missing (-1) is a category too."""
    size = int(max(reference.max(), current.max())) + 2
    counts = [np.bincount(codes + 1, minlength=size).astype(np.int64) for codes in (reference, current)]
    seen = (counts[0] + counts[1]) > 0
    return counts[0][seen], counts[1][seen]
