"""The best that any model can do where the churn probabilities are known."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlog1py, xlogy

_PIECE = 1_000_000
"""Rows worked on at once: bounds the memory."""


def bayes_auc(probability: NDArray[np.floating]) -> float:
    """Expected ROC-AUC of ranking customers by their true churn probability, shape (n,).

    sum_i p_i (sum_{p_j < p_i} (1 - p_j) + half of the ties) / (sum p  sum (1 - p)), over outcomes drawn
    independently; sorting makes it O(n log n). NaN where one class has no weight.
    """
    p = np.sort(np.asarray(probability, np.float64))
    if not p.size or not 0 < p.sum() < p.size:
        return float("nan")
    stays = np.zeros(p.size + 1)
    np.subtract(1, p, out=stays[1:])
    np.cumsum(stays, out=stays)
    ranked = 0.0
    for start in range(0, p.size, _PIECE):
        piece = p[start : start + _PIECE]
        below, up_to = (stays[np.searchsorted(p, piece, side=side)] for side in ("left", "right"))
        ranked += float(piece @ (below + up_to)) / 2
    return float(ranked / (p.sum() * stays[-1]))


def bayes_log_loss(probability: NDArray[np.floating]) -> float:
    """Expected log-loss (nats) of the true probabilities, shape (n,): their mean entropy; NaN if empty."""
    p = np.asarray(probability, np.float64)
    if not p.size:
        return float("nan")
    pieces = (p[start : start + _PIECE] for start in range(0, p.size, _PIECE))
    return -float(sum(float((xlogy(piece, piece) + xlog1py(1 - piece, -piece)).sum()) for piece in pieces)) / p.size
