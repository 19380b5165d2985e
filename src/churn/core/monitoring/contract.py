"""Is what was served still the data that the model was made for? Columns, types, nulls, values, range, unit, copies."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom

from churn.core.declaration import Column as Declared
from churn.core.declaration import Feature
from churn.core.monitoring.findings import Finding, broken
from churn.core.monitoring.parameters import ContractParameters
from churn.core.monitoring.table import Column, Floats, Reference, Sample
from churn.core.monitoring.two_sample import ks_two_sample

_ERROR = 1e-4
"""A count that chance brings about less often is no chance: far below the window's error, over all columns."""
_QUARTERS = (0.5, 0.75, 0.9)
_FITS = 1e-3
"""A unit explains the change if undoing it leaves a difference that chance exceeds more often than this ..."""
_NEAR = 0.05
"""... or this distance of the distribution functions: in many rows something else will have moved a little."""
_AROUND = np.linspace(0.85, 1.15, 61)
"""Factors beside the quantiles' own, which a sample's chance moves by some percent."""
_SHOWN = 3


def check_contract(reference: Reference, window: Sample, declared: Mapping[str, Declared], parameters: ContractParameters) -> list[Finding]:
    """Every breach, column by column, then copies of rows; no statistics of the outcome are involved."""
    return [*check_columns(reference, window, declared, parameters), *_copies(reference, window, parameters)]


def check_columns(reference: Reference, window: Sample, declared: Mapping[str, Declared], parameters: ContractParameters) -> list[Finding]:
    """Every breach of one column.

    Empty cells and values out of range are compared with the training rows by Fisher's exact test (Fisher 1935) and a floor in
    size, the others by a floor alone.
    """
    found: list[Finding] = []
    for feature in reference.features:
        if feature.name not in window.columns:
            text = f"{feature.name} is not in the predictions' features any more"
            found.append(broken("missing-column", feature.name, text, "share of rows", 1.0))
            continue
        found.extend(_column_findings(feature, reference, window.columns[feature.name], declared.get(feature.name), parameters))
    return found


def _column_findings(
    feature: Feature, reference: Reference, current: Column, declared: Declared | None, parameters: ContractParameters
) -> Iterator[Finding]:
    training = reference.training[feature.name]
    yield from _types(feature, current, parameters)
    yield from _nulls(feature, training, current, parameters)
    if current.is_number:
        yield from _numbers(feature, training.values, current.values, declared, parameters)
    else:
        yield from _values(feature, training, reference.test.columns[feature.name], current, parameters)


def _types(feature: Feature, current: Column, parameters: ContractParameters) -> Iterator[Finding]:
    share = current.wrong_type / len(current.values)
    if share >= parameters.unknown_share:
        yield broken("types", feature.name, f"{share:.1%} of {feature.name} are not of type {feature.type}", "share of rows", share)


def _nulls(feature: Feature, training: Column, current: Column, parameters: ContractParameters) -> Iterator[Finding]:
    before, after = training.missing, current.missing
    if after.mean() - before.mean() >= parameters.null_increase and _too_many(before, after):
        text = f"{after.mean():.1%} of {feature.name} are empty, {before.mean():.1%} in training"
        yield broken("nulls", feature.name, text, "increase of the share of empty cells", float(after.mean() - before.mean()))


def _too_many(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> bool:
    """Fisher's exact test, one-sided."""
    hits = int(before.sum() + after.sum())
    return bool(hypergeom.sf(int(after.sum()) - 1, len(before) + len(after), hits, len(after)) < _ERROR)


def _values(feature: Feature, training: Column, test: Column, current: Column, parameters: ContractParameters) -> Iterator[Finding]:
    place = len(current.labels) - 1
    if feature.type == "boolean" or not current.unknown:
        return
    share = float((current.values == place).mean())
    if share - float((test.values == place).mean()) < parameters.unknown_share:
        return
    new = ", ".join(repr(value) for value in list(current.unknown)[:_SHOWN])
    gone = _gone(training, current)
    if gone is not None and share >= gone[1] / 2:
        text = f"{feature.name}: {current.labels[gone[0]]!r} ({gone[1]:.1%} in training) is gone and {new} ({share:.1%}) is new: renamed?"
        yield broken("renamed-value", feature.name, text, "share of rows", share)
    else:
        text = f"{share:.1%} of {feature.name} are values that the model does not know: {new}"
        yield broken("unknown-values", feature.name, text, "share of rows", share)


def _gone(training: Column, current: Column) -> tuple[int, float] | None:
    """The place and training share of the most frequent value that has all but vanished."""
    known = len(current.labels) - 1
    before, after = (
        np.bincount(side.values[side.values >= 0].astype(np.int64), minlength=known + 1)[:known] / max(len(side.values), 1)
        for side in (training, current)
    )
    vanished = np.where((after < before / 10) & (before >= 0.01), before, 0.0)  # noqa: PLR2004 - a hundredth is worth a name
    place = int(vanished.argmax()) if known else 0
    return (place, float(vanished[place])) if known and vanished[place] > 0 else None


def _numbers(
    feature: Feature,
    training: Floats | NDArray[np.int64],
    current: Floats | NDArray[np.int64],
    declared: Declared | None,
    parameters: ContractParameters,
) -> Iterator[Finding]:
    before, after = (side[~np.isnan(side)].astype(np.float64) for side in (training, current))
    if not len(before) or not len(after):
        return
    factor = unit_factor(before, after, parameters.unit_factor)
    if factor is not None:
        times = f"{_rounded(factor)} times" if factor > 1 else f"1/{_rounded(1 / factor)} of"
        text = f"{feature.name} is about {times} what it was (median {np.median(before):.4g} -> {np.median(after):.4g}): another unit?"
        yield broken("unit", feature.name, text, "factor", factor)
        return
    low, high = _limits(before, declared)
    outside = (after < low) | (after > high)
    if outside.mean() >= parameters.range_share and _too_many((before < low) | (before > high), outside):
        text = f"{outside.mean():.1%} of {feature.name} lie outside {low:.4g} to {high:.4g} ({after.min():.4g} to {after.max():.4g})"
        yield broken("range", feature.name, text, "share of rows", float(outside.mean()))


def _rounded(factor: float) -> str:
    """Two significant digits: 102 is 100."""
    return f"{float(f'{factor:.1e}'):,g}"


def _limits(before: Floats, declared: Declared | None) -> tuple[float, float]:
    """As declared, else the training range and half of its width on each side."""
    low, high = float(before.min()), float(before.max())
    margin = (high - low) / 2
    given = (None, None) if declared is None else (declared.min, declared.max)
    return (low - margin if given[0] is None else given[0], high + margin if given[1] is None else given[1])


def unit_factor(before: Floats, after: Floats, least: float) -> float | None:
    """By how much all values seem multiplied, or None.

    The upper quantiles give the factor, and undoing it has to bring the distribution back (Kolmogorov-Smirnov): other
    customers change a column's shape too. Zeros say nothing of a unit, nor does a sign.

    Args:
        before: training values (n,), without NaN.
        after: current values (m,), likewise.
        least: the smallest factor, or its inverse, that may be a unit.
    """
    was, now = (np.abs(side[side != 0]) for side in (before, after))
    if not len(was) or not len(now):
        return None
    factor = float(np.median(np.quantile(now, _QUARTERS) / np.quantile(was, _QUARTERS)))
    if 1 / least < factor < least or ks_two_sample(was, now)[1] >= _ERROR:
        return None
    whole = bool((was == np.rint(was)).all())
    fits = [(*ks_two_sample(was, np.rint(now / tried) if whole else now / tried), tried) for tried in factor * _AROUND]
    distance, p_value, best = min(fits)
    return float(best) if p_value >= _FITS or distance <= _NEAR else None


def _copies(reference: Reference, window: Sample, parameters: ContractParameters) -> Iterator[Finding]:
    """Different customers with the very same features, in equally many rows on both sides: chance copies grow with the rows."""
    rows = min(len(window), len(reference.test))
    if set(window.columns) != set(reference.training) or rows == 0:
        return
    before, after = (_copied_share(sample, rows) for sample in (reference.test, window))
    if after - before >= parameters.duplicate_increase:
        text = f"{after:.1%} of the customers have the very features of another customer, {before:.1%} of the test customers"
        yield broken("duplicates", None, text, "increase of the share of copied rows", after - before)


def _copied_share(sample: Sample, rows: int) -> float:
    chosen: NDArray[Any] = np.sort(np.random.default_rng(0).permutation(len(sample))[:rows])
    table = np.column_stack([sample.columns[name].values[chosen].astype(np.float64) for name in sorted(sample.columns)])
    keys = np.ascontiguousarray(table).view(np.dtype((np.void, table.dtype.itemsize * table.shape[1]))).ravel()
    _, counts = np.unique(keys, return_counts=True)
    return float(counts[counts > 1].sum() / rows)
