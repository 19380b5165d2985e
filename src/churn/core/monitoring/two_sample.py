"""Two samples of one column: are they of one distribution, and how far apart are they?"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, kolmogorov
from scipy.stats import fisher_exact

_LEAST_EXPECTED = 5
"""Cochran's (1954) rule: below this expected count a cell is too small for a chi-square test."""


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Step-down adjusted p-values, shape (n,): rejecting those below alpha errs with at most alpha in all (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def ks_two_sample(reference: NDArray[np.float64], current: NDArray[np.float64]) -> tuple[float, float]:
    """The largest distance of two empirical distributions, and its asymptotic p-value (Smirnov 1948).

    Ties, as in whole numbers, make the p-value too large, never too small. Without values on one side: (0, 1).
    """
    if not len(reference) or not len(current):
        return 0.0, 1.0
    a, b = np.sort(reference), np.sort(current)
    both = np.concatenate([a, b])
    distance = np.abs(np.searchsorted(a, both, side="right") / len(a) - np.searchsorted(b, both, side="right") / len(b)).max()
    return float(distance), float(kolmogorov(np.sqrt(len(a) * len(b) / (len(a) + len(b))) * distance))


def chi_square_two_sample(reference: NDArray[np.int64], current: NDArray[np.int64]) -> tuple[float, float]:
    """Pearson's test that two rows of counts, shape (k,), come from one distribution: statistic and p-value.

    Both samples vary: the reference is not taken for the truth. Categories too rare for the test are pooled. Where even
    together they are, the table is parted in two, each with half of the error: the frequent categories by Pearson's test,
    the rare ones against all others by Fisher's exact test (1935).
    """
    counts = np.stack([reference, current]).astype(np.float64)
    rare = _expected_in_smaller(counts) < _LEAST_EXPECTED
    if not rare.any():
        return _pearson(counts)
    frequent, pooled = counts[:, ~rare], counts[:, rare].sum(axis=1, keepdims=True)
    table = np.column_stack([frequent, pooled])
    statistic, p_value = _pearson(table)
    if not frequent.size or _expected_in_smaller(table)[-1] >= _LEAST_EXPECTED:
        return statistic, p_value
    exact = float(fisher_exact(np.column_stack([frequent.sum(axis=1), pooled]).astype(np.int64)).pvalue)
    return statistic, exact if frequent.shape[1] == 1 else min(1.0, 2 * min(exact, _pearson(frequent)[1]))


def _expected_in_smaller(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of each category (k,) to expect in the smaller of two samples (2, k) of one distribution."""
    return np.asarray(counts.sum(axis=0) * counts.sum(axis=1).min() / counts.sum())


def _pearson(counts: NDArray[np.float64]) -> tuple[float, float]:
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
    freedom = counts.shape[1] - 1
    if freedom < 1 or not expected.all():
        return 0.0, 1.0
    statistic = float(((counts - expected) ** 2 / expected).sum())
    return statistic, float(chdtrc(freedom, statistic))


def population_stability_index(reference: NDArray[np.int64], current: NDArray[np.int64]) -> float:
    """Sum of (c - r) ln(c / r) over the shares of k bins (Siddiqi 2006), counts of shape (k,).

    Half a row is added to each bin, so that an empty one does not make it infinite.
    """
    r, c = ((counts + 0.5) / (counts.sum() + 0.5 * len(counts)) for counts in (reference, current))
    return float(((c - r) * np.log(c / r)).sum())


def bin_edges(values: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Upper edges, for bins closed above, of values (n,) without NaN: the quantiles, and a bin for each heavy value alone.

    A value that fills a bin by itself (most often zero) would make quantiles coincide and hide whatever moves beside it:
    the quantiles are those of all other values.
    """
    distinct, counts = np.unique(values, return_counts=True)
    heavy = distinct[counts * bins >= len(values)]
    others = values[~np.isin(values, heavy)]
    inner = np.quantile(others, np.arange(1, bins) / bins) if len(others) else others
    return np.unique(np.concatenate([inner, heavy, np.nextafter(heavy, -np.inf)]))
