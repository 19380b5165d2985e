"""Whether predicted probabilities come true: expected calibration error and what noise alone would show."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

BINS = 10
SEED = 20_140_401
MAX_CELLS = 20_000_000


class Reliability(NamedTuple):
    """By bin of equal count, lowest predictions first: mean prediction (b,), churn rate (b,) and customers (b,)."""

    predicted: Floats
    observed: Floats
    size: NDArray[np.int64]


def reliability(churned: ArrayLike, probability: ArrayLike, bins: int = BINS) -> Reliability:
    """Mean prediction and churn rate in bins of equal count."""
    y, p = np.asarray(churned, float), np.asarray(probability, float)
    order, starts = _bins(p, bins)
    size = np.diff(np.append(starts, p.size))
    return Reliability(np.add.reduceat(p[order], starts) / size, np.add.reduceat(y[order], starts) / size, size)


def ece(churned: ArrayLike, probability: ArrayLike, bins: int = BINS) -> float:
    """Expected calibration error: mean absolute gap between prediction and churn rate over bins of equal count."""
    found = reliability(churned, probability, bins)
    return float(np.average(np.abs(found.predicted - found.observed), weights=found.size))


def ece_under_calibration(probability: ArrayLike, bins: int = BINS, seed: int = SEED) -> Floats:
    """The ECEs (draws,) that a perfectly calibrated model would show on test sets of this size.

    Labels are drawn from the model's own probabilities; 1,000 draws, fewer (at least 200) above 20,000 customers.
    """
    p = np.asarray(probability, float)
    gaps, size = _simulated_gaps(p, bins, seed)
    return np.asarray(np.abs(gaps) @ size / p.size, np.float64)


def noise_floor(probability: ArrayLike, quantile: float = 0.95, bins: int = BINS) -> float:
    """The ECE that a perfectly calibrated model stays below with the given probability."""
    return float(np.quantile(ece_under_calibration(probability, bins), quantile))


def noise_band(probability: ArrayLike, level: float = 0.95, bins: int = BINS) -> tuple[Floats, Floats]:
    """Per bin (b,), (b,): the range of churn rates that a perfectly calibrated model shows with this probability."""
    p = np.asarray(probability, float)
    gaps, _ = _simulated_gaps(p, bins, SEED)
    order, starts = _bins(p, bins)
    mean = np.add.reduceat(p[order], starts) / np.diff(np.append(starts, p.size))
    low, high = np.quantile(gaps, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return mean + low, mean + high


def mean_gap(churned: ArrayLike, probability: ArrayLike) -> tuple[float, float]:
    """Mean prediction minus churn rate, and its standard error if every probability were right."""
    y, p = np.asarray(churned, float), np.asarray(probability, float)
    return float(p.mean() - y.mean()), float(np.sqrt(np.sum(p * (1 - p))) / p.size)


def _simulated_gaps(p: Floats, bins: int, seed: int) -> tuple[Floats, NDArray[np.int64]]:
    """Churn rate minus mean prediction (draws, b) of labels drawn from p, and bin sizes (b,)."""
    order, starts = _bins(p, bins)
    p, size = p[order], np.diff(np.append(starts, p.size))
    expected = np.add.reduceat(p, starts)
    rng = np.random.default_rng(seed)
    draws = int(np.clip(MAX_CELLS // p.size, 200, 1000))
    at_once = int(np.clip(MAX_CELLS // 20 // p.size, 1, draws))
    sums = [
        np.add.reduceat(rng.random((min(at_once, draws - done), p.size), np.float32) < p, starts, axis=1, dtype=np.int32)
        for done in range(0, draws, at_once)
    ]
    return (np.concatenate(sums) - expected) / size, size


def _bins(p: Floats, bins: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Order of the customers by probability, and where each bin starts in it."""
    count = min(bins, p.size)
    return np.argsort(p, kind="stable"), np.arange(count) * p.size // count
