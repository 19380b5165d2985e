"""How good predicted churn probabilities are, with 95% confidence intervals."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from churn.core.evaluation import calibration
from churn.core.evaluation.ranking import average_precision, average_precision_influence, delong

Floats = NDArray[np.float64]
Interval = tuple[float, float, float]
"""Value, lower and upper end."""

LEVEL = 0.95
Z = float(stats.norm.ppf(0.5 + LEVEL / 2))
TOP_SHARE = 0.1


def checked(churned: ArrayLike, probability: ArrayLike) -> tuple[NDArray[np.bool_], Floats]:
    """Labels and probabilities as arrays (n,) of bool and float64.

    Raises:
        ValueError: if lengths differ, a class is missing, or a value is no probability.
    """
    y, p = np.asarray(churned), np.asarray(probability, np.float64)
    if y.ndim != 1 or y.shape != p.shape:
        raise ValueError(f"labels {y.shape} and probabilities {p.shape} must be two columns of equal length")
    if not np.isin(y, (0, 1)).all():
        raise ValueError("labels must be true or false (1 or 0), without missing values")
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("probabilities must lie between 0 and 1, without missing values")
    y = y.astype(bool)
    if y.all() or not y.any():
        raise ValueError("labels are of one class only: ranking measures need churners and stayers")
    return y, p


def metrics(churned: ArrayLike, probability: ArrayLike, threshold: float) -> dict[str, float]:
    """All measures of one model as a flat dict: `name`, and `name_low`, `name_high` for its 95% interval.

    Intervals: logit DeLong (`roc_auc`); logit with the influence function's variance (`average_precision`);
    Wilson (`precision`, `recall`, `churn_rate`, `f1`); delta method (`top_decile_lift`); normal with the
    variance of the customers' losses (`log_loss`, `brier`). `ece` has none: it is biased upwards by noise, so
    `ece_noise_floor`, what a perfectly calibrated model stays below in 95 of 100 test sets, stands beside it.

    Args:
        churned: Labels (n,), bool or 0/1.
        probability: Predicted churn probabilities (n,).
        threshold: Customers at or above it count as predicted churners.

    Raises:
        ValueError: for one class only, missing values, or values that are no probabilities.
    """
    y, p = checked(churned, probability)
    found: dict[str, float] = {}
    for name, measure in MEASURES.items():
        found |= _flat(name, measure(y, p))
    found |= {f"average_precision_lift{end}": found[f"average_precision{end}"] / found["churn_rate"] for end in ("", "_low", "_high")}
    found |= threshold_metrics(y, p, threshold)
    found["ece"] = calibration.ece(y, p)
    found["ece_noise_floor"] = calibration.noise_floor(p)
    found["mean_prediction"] = float(p.mean())
    found["threshold"] = float(threshold)
    return found


def threshold_metrics(churned: ArrayLike, probability: ArrayLike, threshold: float) -> dict[str, float]:
    """F1, precision and recall at a threshold, with intervals; 0 where nothing is predicted.

    `f1_lift` is F1 over that of calling as many customers churners by lot, 1 where nobody is called one; in its interval
    the chance result counts as known.
    """
    y, hit = np.asarray(churned, bool), np.asarray(probability, float) >= threshold
    tp, fp, fn = float(np.sum(hit & y)), float(np.sum(hit & ~y)), float(np.sum(~hit & y))
    by_lot = 2 * y.mean() * hit.mean() / (y.mean() + hit.mean())
    found = {**_flat("f1", _f1(tp, fp, fn)), **_flat("precision", _wilson(tp, tp + fp)), **_flat("recall", _wilson(tp, tp + fn))}
    return found | {f"f1_lift{end}": float(found[f"f1{end}"] / by_lot) if by_lot > 0 else 1.0 for end in ("", "_low", "_high")}


def losses(churned: ArrayLike, probability: ArrayLike) -> Floats:
    """Log-loss (n,) of each customer, in nats; certain and wrong is clipped at the smallest float64 step from 1."""
    eps = np.finfo(np.float64).eps
    p = np.clip(np.asarray(probability, np.float64), eps, 1 - eps)
    return -np.where(np.asarray(churned, bool), np.log(p), np.log1p(-p))


def log_loss(churned: ArrayLike, probability: ArrayLike) -> float:
    """Mean log-loss in nats."""
    return float(losses(churned, probability).mean())


def brier(churned: ArrayLike, probability: ArrayLike) -> float:
    """Mean squared error of the probabilities."""
    return float(np.mean((np.asarray(probability, np.float64) - np.asarray(churned, bool)) ** 2))


def roc_auc(churned: ArrayLike, probability: ArrayLike) -> Interval:
    """ROC-AUC, ties counted half, with its DeLong interval on the logit scale, which stays inside [0, 1]."""
    auc, covariance = delong(churned, probability)
    return _logit_interval(float(auc[0]), float(covariance[0, 0]))


def top_decile_lift(churned: ArrayLike, probability: ArrayLike) -> Interval:
    """Churn rate of the tenth with the highest scores over the churn rate of all, with a log interval.

    Customers tied at the edge share its places, so the order of the rows does not matter.
    """
    y, p = np.asarray(churned, bool), np.asarray(probability, float)
    n, k = y.size, max(1, round(TOP_SHARE * y.size))
    edge = np.partition(p, n - k)[n - k]
    above, tied = p > edge, p == edge
    hits = float(y[above].sum() + y[tied].mean() * (k - above.sum()))
    rate, top = float(y.mean()), hits / k
    if hits == 0:
        return 0.0, 0.0, _wilson(0, k)[2] / rate
    # Delta method; the top tenth is part of the whole, hence the covariance.
    variance = (1 - top) / hits + (1 - rate) / (n * rate) - 2 * (1 - top) / (n * rate)
    spread = np.exp(Z * np.sqrt(max(variance, 0.0)))
    lift = top / rate
    return lift, float(lift / spread), float(min(lift * spread, 1 / rate))


def _average_precision(churned: ArrayLike, probability: ArrayLike) -> Interval:
    influence = average_precision_influence(churned, probability)
    return _logit_interval(average_precision(churned, probability), float(np.mean(influence**2) / influence.size))


def _log_loss(churned: ArrayLike, probability: ArrayLike) -> Interval:
    return _mean_interval(losses(churned, probability))


def _brier(churned: ArrayLike, probability: ArrayLike) -> Interval:
    return _mean_interval((np.asarray(probability, np.float64) - np.asarray(churned, bool)) ** 2)


def _churn_rate(churned: ArrayLike, probability: ArrayLike) -> Interval:
    return _wilson(float(np.sum(churned)), float(np.size(probability)))


MEASURES: dict[str, Callable[[ArrayLike, ArrayLike], Interval]] = {
    "roc_auc": roc_auc,
    "average_precision": _average_precision,
    "log_loss": _log_loss,
    "brier": _brier,
    "top_decile_lift": top_decile_lift,
    "churn_rate": _churn_rate,
}
"""Measures that need no threshold: (labels, probabilities) -> value and interval."""


def _flat(name: str, interval: Interval) -> dict[str, float]:
    value, low, high = interval
    return {name: float(value), f"{name}_low": float(low), f"{name}_high": float(high)}


def _mean_interval(values: Floats) -> Interval:
    mean, error = float(values.mean()), Z * float(values.std(ddof=1)) / np.sqrt(values.size)
    return mean, max(mean - error, 0.0), mean + error


def _logit_interval(value: float, variance: float) -> Interval:
    if not 0 < value < 1:
        return value, value, value
    error = Z * np.sqrt(variance) / (value * (1 - value))
    low, high = special.expit(special.logit(value) + np.array([-error, error]))
    return value, float(low), float(high)


def _wilson(hits: float, n: float) -> Interval:
    """Wilson's score interval of a share (Wilson 1927); [0, 1] where nothing was observed."""
    if n == 0:
        return 0.0, 0.0, 1.0
    share, weight = hits / n, Z**2 / n
    centre = (share + weight / 2) / (1 + weight)
    half = Z / (1 + weight) * np.sqrt(share * (1 - share) / n + weight / (4 * n))
    return share, max(float(centre - half), 0.0), min(float(centre + half), 1.0)


def _f1(tp: float, fp: float, fn: float) -> Interval:
    """F1 with the Wilson interval of s = tp / (tp + fp + fn), of which it is a function: F1 = 2 s / (1 + s)."""
    share, low, high = _wilson(tp, tp + fp + fn)
    return 2 * share / (1 + share), 2 * low / (1 + low), 2 * high / (1 + high)
