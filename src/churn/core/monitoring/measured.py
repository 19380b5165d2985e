"""How good the model was, now that outcomes have arrived."""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.special import xlog1py, xlogy
from scipy.stats import chi2, norm

from churn.core.evaluation.metrics import log_loss, roc_auc
from churn.core.evaluation.ranking import delong
from churn.core.monitoring.estimated import apply, recalibration

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]


class Measured(BaseModel):
    """Performance on predictions whose outcome is known, beside the test customers'.

    `auc_p_value` tests a lower ROC-AUC, `calibration_p_value` another relation between score and outcome; both unadjusted.
    `log_loss_avoidable` is what recalibrating would save, in nats beyond what it saves on the test customers; `rate_share`
    the part of it, from 0 to 1, that another churn rate explains by itself, the rest being the slope's.
    `predictions` counts those that could have an outcome, `coverage` is the share that has one.
    """

    model_config = ConfigDict(frozen=True)

    outcomes: int
    predictions: int
    coverage: float
    churn_rate: float
    mean_prediction: float
    roc_auc: float
    roc_auc_low: float
    roc_auc_high: float
    reference_roc_auc: float
    log_loss: float
    log_loss_avoidable: float
    intercept: float
    slope: float
    reference_slope: float
    rate_share: float
    auc_p_value: float
    calibration_p_value: float


def measure(reference: tuple[Floats, Labels], current: tuple[Floats, Labels], predictions: int) -> Measured:
    """Compare scores and outcomes with those of the test customers; both sides have churners and stayers.

    Args:
        reference: scores (m,) and outcomes (m,) of the test customers.
        current: scores (n,) and outcomes (n,) of predictions.
        predictions: how many predictions the n were taken from.
    """
    scores, churned = current
    auc, low, high = roc_auc(churned, scores)
    usual, fit = recalibration(*reference), recalibration(scores, churned)
    avoidable = log_loss(churned, apply(usual, scores)) - log_loss(churned, apply(fit, scores))
    return Measured(
        outcomes=len(scores),
        predictions=predictions,
        coverage=len(scores) / max(predictions, 1),
        churn_rate=float(churned.mean()),
        mean_prediction=float(scores.mean()),
        roc_auc=auc,
        roc_auc_low=low,
        roc_auc_high=high,
        reference_roc_auc=roc_auc(reference[1], reference[0])[0],
        log_loss=log_loss(churned, scores),
        log_loss_avoidable=avoidable,
        intercept=fit[0],
        slope=fit[1],
        reference_slope=usual[1],
        rate_share=_rate_share(apply(usual, scores), churned, avoidable),
        auc_p_value=auc_fell(reference, current),
        calibration_p_value=relation_changed(reference, current),
    )


def auc_fell(reference: tuple[Floats, Labels], current: tuple[Floats, Labels]) -> float:
    """One-sided p-value that the ROC-AUC is lower: two independent samples, variances of DeLong et al. (1988)."""
    (before, variance), (after, other) = (delong(churned, scores) for scores, churned in (reference, current))
    spread = float(np.sqrt(variance[0, 0] + other[0, 0]))
    return float(norm.sf((before[0] - after[0]) / spread)) if spread > 0 else 1.0


def relation_changed(reference: tuple[Floats, Labels], current: tuple[Floats, Labels]) -> float:
    """P-value that intercept or slope of the outcome on the score's logit (Cox 1958) differ from the test customers'.

    Likelihood-ratio test, two degrees of freedom (Wilks 1938): one recalibration for both samples against one for each.
    Both samples vary, a model that was never calibrated is no news, and other customers with the same
    behaviour keep the relation, so that this tells changed behaviour from changed customers.
    """
    both = (np.concatenate([reference[0], current[0]]), np.concatenate([reference[1], current[1]]))
    apart = sum(_log_likelihood(recalibration(*side), side) for side in (reference, current))
    return float(chi2.sf(max(0.0, 2 * (apart - _log_likelihood(recalibration(*both), both))), 2))


def _log_likelihood(fit: tuple[float, float], side: tuple[Floats, Labels]) -> float:
    p = apply(fit, side[0])
    return float((xlogy(side[1], p) + xlog1py(~side[1], -p)).sum())


def _rate_share(expected: Floats, churned: Labels, avoidable: float) -> float:
    """Score test of the rate alone (Rao 1948) as a part of the likelihood ratio of rate and slope, 2 n `avoidable`."""
    surprise = (churned.sum() - expected.sum()) ** 2 / (expected * (1 - expected)).sum()
    return float(min(1.0, surprise / (2 * len(churned) * avoidable))) if avoidable > 0 else 1.0
