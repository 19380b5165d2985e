"""Paired comparison of two models on the same customers."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict
from scipy import stats

from churn.core.evaluation.metrics import Z, losses
from churn.core.evaluation.profit import Costs, customer_profits
from churn.core.evaluation.ranking import auc_influence, average_precision, average_precision_influence, delong

Floats = NDArray[np.float64]

Clusters = NDArray[np.int64] | None
"""The number of the customer that each row (n,) is about; None where no customer has several."""

POWER = 0.8


class Difference(BaseModel):
    """How much better the first model is than the second, in units of the measure; positive is better.

    `low` and `high` are the 95% interval: `low` is also the one-sided 97.5% lower bound. `detectable` is
    the true difference that a one-sided 97.5% test on these customers finds in 80 of 100 cases.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    standard_error: float
    low: float
    high: float
    detectable: float

    @classmethod
    def of(cls, value: float, standard_error: float) -> Self:
        """A difference with its normal interval."""
        spread = Z * standard_error
        detectable = (Z + float(stats.norm.ppf(POWER))) * standard_error
        return cls(value=value, standard_error=standard_error, low=value - spread, high=value + spread, detectable=detectable)

    @classmethod
    def of_influence(cls, value: float, influence: Floats, clusters: Clusters) -> Self:
        """A difference that the rows move by `influence` (n,) / n each, of mean 0.

        The rows of one customer are one observation: their influences are summed before they are squared (Liang and
        Zeger, Biometrika 73 (1986), 13-22; for ROC-AUC Obuchowski, Biometrics 53 (1997), 567-578).
        """
        summed = influence if clusters is None else np.bincount(clusters, influence)
        variance = float(np.sum(summed**2)) * summed.size / (summed.size - 1)
        return cls.of(value, float(np.sqrt(variance)) / influence.size)

    @classmethod
    def of_pairs(cls, first: Floats, second: Floats, clusters: Clusters = None) -> Self:
        """The mean of first - second over rows (n,)."""
        gain = np.asarray(first - second, np.float64)
        return cls.of_influence(float(gain.mean()), gain - gain.mean(), clusters)

    def lower_bound(self, confidence: float) -> float:
        """The one-sided lower confidence bound."""
        return self.value - float(stats.norm.ppf(confidence)) * self.standard_error


class Comparison(BaseModel):
    """Differences of two models on the same customers, in nats, AUC, average precision and profit per customer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    log_loss: Difference
    roc_auc: Difference
    average_precision: Difference
    profit: Difference


def compare(
    churned: ArrayLike,
    first: tuple[ArrayLike, float],
    second: tuple[ArrayLike, float],
    costs: Costs,
    customer_ids: ArrayLike | None = None,
) -> Comparison:
    """Compare two models; each comes as its probabilities (n,) and its own decision threshold.

    A positive difference in log-loss means that the first model's loss is lower. With `customer_ids` (n,) the standard errors
    count customers, not rows.
    """
    (p, cut), (q, other_cut) = first, second
    clusters = None if customer_ids is None else _clusters(customer_ids)
    profits = customer_profits(churned, p, cut, costs), customer_profits(churned, q, other_cut, costs)
    return Comparison(
        log_loss=Difference.of_pairs(losses(churned, q), losses(churned, p), clusters),
        roc_auc=auc_difference(churned, p, q, clusters),
        average_precision=average_precision_difference(churned, p, q, clusters),
        profit=Difference.of_pairs(*profits, clusters),
    )


def _clusters(customer_ids: ArrayLike) -> Clusters:
    found, numbers = np.unique(np.asarray(customer_ids, str), return_inverse=True)
    return None if found.size == numbers.size else numbers


def auc_difference(churned: ArrayLike, first: ArrayLike, second: ArrayLike, clusters: Clusters = None) -> Difference:
    """Difference of two ROC-AUCs with DeLong's paired standard error, or with that of clusters."""
    auc, covariance = delong(churned, first, second)
    if clusters is not None:
        return Difference.of_influence(float(auc[0] - auc[1]), auc_influence(churned, first) - auc_influence(churned, second), clusters)
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    return Difference.of(float(auc[0] - auc[1]), float(np.sqrt(max(variance, 0.0))))


def average_precision_difference(churned: ArrayLike, first: ArrayLike, second: ArrayLike, clusters: Clusters = None) -> Difference:
    """Difference of two average precisions; the standard error is that of the paired influence functions."""
    value = average_precision(churned, first) - average_precision(churned, second)
    influence = average_precision_influence(churned, first) - average_precision_influence(churned, second)
    return Difference.of_influence(value, influence, clusters)
