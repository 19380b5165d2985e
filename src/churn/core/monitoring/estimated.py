"""How good the model seems to be before any outcome is known: confidence-based performance estimation.

If the probabilities are calibrated, they say how many churners to expect at every score, and so the ROC-AUC and
the log-loss to expect of the customers at hand. Sources: Garg et al. 2022, "Leveraging unlabeled data to predict
out-of-distribution performance" (ICLR); Bialek et al. 2024, "Estimating model performance under covariate shift without
labels" (arXiv 2401.08348). It sees changed customers only: where customers of the same features behave
differently than before, the probabilities are wrong and so is what they promise. Outcomes alone show that.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.special import expit, logit

from churn.core.evaluation.bayes import bayes_auc, bayes_log_loss
from churn.core.evaluation.metrics import roc_auc

Floats = NDArray[np.float64]

_PARTS = 20
_REPEATS = 10
_STEPS = 25
_CLIP = 1e-6


class Estimate(BaseModel):
    """The performance to expect of a window, beside what the same method says of the reference.

    `standard_error` is of the window's ROC-AUC as a sample of customers; `error_on_past` is the mean absolute difference
    between estimated and measured ROC-AUC on halves of the test customers, each recalibrated on the other half.
    """

    model_config = ConfigDict(frozen=True)

    roc_auc: float
    standard_error: float
    log_loss: float
    churn_rate: float
    reference_roc_auc: float
    reference_measured: float
    error_on_past: float


def estimate(reference_scores: Floats, churned: NDArray[np.bool_], scores: Floats) -> Estimate:
    """Expected ROC-AUC, log-loss (nats) and churn rate of scored customers (n,) without outcomes.

    Args:
        reference_scores: probabilities of the test customers (m,).
        churned: their outcomes (m,).
        scores: probabilities of the window (n,).
    """
    fit, expected, measured, error = _past(reference_scores.tobytes(), churned.tobytes())
    p = apply(fit, scores)
    return Estimate(
        roc_auc=bayes_auc(p),
        standard_error=_standard_error(p),
        log_loss=bayes_log_loss(p),
        churn_rate=float(p.mean()),
        reference_roc_auc=expected,
        reference_measured=measured,
        error_on_past=error,
    )


@lru_cache(maxsize=32)
def _past(scores: bytes, churned: bytes) -> tuple[tuple[float, float], float, float, float]:
    """Recalibration, expected and measured ROC-AUC, and the method's error, of a reference: the same for all its windows."""
    p, y = np.frombuffer(scores, np.float64), np.frombuffer(churned, np.bool_)
    fit = recalibration(p, y)
    return fit, bayes_auc(apply(fit, p)), roc_auc(y, p)[0], error_on_past(p, y)


def recalibration(scores: Floats, churned: NDArray[np.bool_]) -> tuple[float, float]:
    """Intercept and slope of the logistic regression of the outcome on the score's logit (Cox 1958), by Newton's method."""
    x, y = _logits(scores), churned.astype(np.float64)
    beta = np.array([0.0, 1.0])
    design = np.column_stack([np.ones_like(x), x])
    for _ in range(_STEPS):
        p = expit(design @ beta)
        hessian = design.T @ (design * (p * (1 - p))[:, None]) + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, design.T @ (y - p))
        beta = beta + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-9:  # noqa: PLR2004 - converged
            break
    return float(beta[0]), float(beta[1])


def apply(fit: tuple[float, float], scores: Floats) -> Floats:
    """Recalibrated probabilities (n,)."""
    return np.asarray(expit(fit[0] + fit[1] * _logits(scores)), np.float64)


def error_on_past(scores: Floats, churned: NDArray[np.bool_]) -> float:
    """Mean absolute difference of estimated and measured ROC-AUC over random halves of the reference; NaN if a half has one class."""
    rng, errors = np.random.default_rng(0), []
    for _ in range(_REPEATS):
        order = rng.permutation(len(scores))
        here, there = order[: len(order) // 2], order[len(order) // 2 :]
        if not 0 < churned[here].sum() < len(here) or not 0 < churned[there].sum() < len(there):
            continue
        promised = bayes_auc(apply(recalibration(scores[there], churned[there]), scores[here]))
        errors.append(abs(promised - roc_auc(churned[here], scores[here])[0]))
    return float(np.mean(errors)) if errors else float("nan")


def _logits(scores: Floats) -> Floats:
    return np.asarray(logit(np.clip(scores, _CLIP, 1 - _CLIP)), np.float64)


def _standard_error(p: Floats) -> float:
    """From the spread over parts of the window (batch means)."""
    parts = [bayes_auc(part) for part in np.array_split(np.random.default_rng(0).permutation(p), _PARTS)]
    return float(np.nanstd(parts, ddof=1) / np.sqrt(_PARTS))
