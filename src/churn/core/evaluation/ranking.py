"""ROC-AUC and average precision with their sampling variances."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]


def delong(churned: ArrayLike, *scores: ArrayLike) -> tuple[Floats, Floats]:
    """ROC-AUC (k,) of k models on the same customers, and the covariance (k, k) of these estimates.

    Covariance of DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988), 837-845, by midranks as in
    Sun and Xu, IEEE Signal Processing Letters 21 (2014), 1389-1393: O(n log n). Ties count half.

    Args:
        churned: Labels (n,) with both classes.
        scores: One array (n,) per model; only their order matters.
    """
    y = np.asarray(churned, bool)
    m, n = int(y.sum()), int((~y).sum())
    ranked = [_placements(np.asarray(score, float), y) for score in scores]
    of_churners = np.stack([a for a, _ in ranked])
    of_stayers = np.stack([b for _, b in ranked])
    auc = of_churners.mean(axis=1)
    return auc, _covariance(of_churners) / m + _covariance(of_stayers) / n


def auc_influence(churned: ArrayLike, score: ArrayLike) -> Floats:
    """Influence (n,) of each customer on the ROC-AUC, of mean 0; the variance is mean(influence^2) / n, DeLong's for large n."""
    y = np.asarray(churned, bool)
    below, above = _placements(np.asarray(score, float), y)
    influence = np.empty(y.size)
    influence[y] = (below - below.mean()) * y.size / below.size
    influence[~y] = (above - above.mean()) * y.size / above.size
    return influence


def _placements(score: Floats, y: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """For each churner the share of stayers below, for each stayer the share of churners above (ties half)."""
    rank = stats.rankdata(score)
    churners, stayers = score[y], score[~y]
    below = (rank[y] - stats.rankdata(churners)) / stayers.size
    above = 1 - (rank[~y] - stats.rankdata(stayers)) / churners.size
    return below, above


def _covariance(rows: Floats) -> Floats:
    """Covariance (k, k) of rows (k, n); 0 where a class has one customer and none can be estimated."""
    if rows.shape[1] < 2:  # noqa: PLR2004
        return np.zeros((rows.shape[0], rows.shape[0]))
    return np.atleast_2d(np.cov(rows)).astype(np.float64)


def average_precision(churned: ArrayLike, score: ArrayLike) -> float:
    """Mean precision at the rank of each churner; equal scores enter together, without interpolation."""
    y, precision, _, back = _by_score(churned, score)
    return float(precision[back][y].mean())


def average_precision_influence(churned: ArrayLike, score: ArrayLike) -> Floats:
    """Influence (n,) of each customer on the average precision; the variance is mean(influence^2) / n.

    With S(t) the share of customers at or above t and Prec(t) the precision there, AP = E[y Prec(s)] / pi.
    A customer k moves it by its own term, y_k (Prec(s_k) - AP) / pi, and by moving the precision at every
    threshold t at or below its score, (y_k - Prec(t)) / S(t), averaged over the churners at those t.
    """
    y, precision, share, back = _by_score(churned, score)
    rate = y.mean()
    here = np.bincount(back, weights=y, minlength=precision.size) / y.size
    # Groups run from the highest score down, so "at or below" is a sum from the end.
    weight = np.cumsum((here / share)[::-1])[::-1]
    drop = np.cumsum((here * precision / share)[::-1])[::-1]
    ap = precision[back][y].mean()
    own = y * (precision[back] - ap)
    return np.asarray((own + y * weight[back] - drop[back]) / rate, np.float64)


def _by_score(churned: ArrayLike, score: ArrayLike) -> tuple[NDArray[np.bool_], Floats, Floats, NDArray[np.int64]]:
    """Labels (n,), precision (g,) and share of customers (g,) at or above each distinct score, and the group (n,) of each."""
    y = np.asarray(churned, bool)
    _, back = np.unique(-np.asarray(score, float), return_inverse=True)
    size = np.cumsum(np.bincount(back))
    hits = np.cumsum(np.bincount(back, weights=y))
    return y, hits / size, size / y.size, back.astype(np.int64)
