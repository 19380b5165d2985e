"""The yardstick beside every model: logistic regression, whose coefficients are plain numbers in a JSON file."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from churn.core.declaration import Feature
from churn.core.modelling.encoding import Rows, encode, learn_categories
from churn.core.modelling.ensemble import sigmoid

MOST_ROWS = 200_000
"""Rows that a fit takes at most, evenly spread: more only cost memory, a regression of some dozen terms has long converged."""
BLOCK = 100_000
"""Rows that are scored at a time, to bound memory."""


class Baseline(BaseModel):
    """A fitted logistic regression: one coefficient per term, log-odds per unit of the term.

    Terms: an indicator per category but the first, booleans and numbers standardised with `means`
    and `scales` of the training rows (missing: the mean), and an indicator wherever a training row
    lacked the value.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    features: tuple[Feature, ...]
    terms: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    missing: tuple[bool, ...]
    coefficients: tuple[float, ...]
    intercept: float

    def predict(self, rows: Rows) -> NDArray[np.float64]:
        """The churn probability of raw rows, float64 (n,)."""
        return self.predict_encoded(encode(self.features, rows))

    def predict_encoded(self, codes: NDArray[np.float32]) -> NDArray[np.float64]:
        """The churn probability of encoded rows (n, p), float64 (n,)."""
        return sigmoid(self.margins(codes))

    def margins(self, codes: NDArray[np.float32]) -> NDArray[np.float64]:
        """The log-odds of encoded rows (n, p), float64 (n,)."""
        blocks = [self._block(codes[start : start + BLOCK]) for start in range(0, len(codes), BLOCK)]
        return np.concatenate(blocks) if blocks else np.empty(0)

    def _block(self, codes: NDArray[np.float32]) -> NDArray[np.float64]:
        design, _ = _design(self.features, codes, self.means, self.scales, self.missing)
        return np.asarray((design * np.array(self.coefficients)).sum(axis=1) + self.intercept)


def fit_baseline(rows: Rows, churned: Sequence[bool] | NDArray[np.bool_], features: Sequence[Feature]) -> Baseline:
    """Fit on n rows: a DataFrame or a mapping of columns, and whether each customer left.

    L2-regularised maximum likelihood at scikit-learn's default strength.
    """
    filled = learn_categories(features, rows)
    return fit_baseline_encoded(encode(filled, rows), churned, filled)


def fit_baseline_encoded(codes: NDArray[np.float32], churned: Sequence[bool] | NDArray[Any], features: Sequence[Feature]) -> Baseline:
    """The same on encoded rows (n, p), for features whose categories are filled in."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    step = -(-len(codes) // MOST_ROWS)
    codes, outcomes = codes[::step], np.asarray(churned, bool)[::step]
    means, scales, missing = _moments(codes)
    design, terms = _design(features, codes, means, scales, missing)
    with threadpool_limits(1):  # sums in another order end in other last digits
        fitted = LogisticRegression(max_iter=1000, tol=1e-6).fit(design, outcomes)
    return Baseline(
        features=tuple(features),
        terms=terms,
        means=means,
        scales=scales,
        missing=missing,
        coefficients=tuple(float(value) for value in fitted.coef_[0]),
        intercept=float(fitted.intercept_[0]),
    )


def _moments(codes: NDArray[np.float32]) -> tuple[tuple[float, ...], tuple[float, ...], tuple[bool, ...]]:
    """Mean, standard deviation (1 where it is 0) and whether anything is missing, per column."""
    absent = np.isnan(codes)
    seen = np.maximum((~absent).sum(axis=0), 1)
    means = np.where(absent, 0.0, codes).sum(axis=0, dtype=np.float64) / seen
    spread = np.sqrt(np.where(absent, 0.0, (codes - means) ** 2).sum(axis=0, dtype=np.float64) / seen)
    scales = np.where(spread > 0, spread, 1.0)
    return tuple(means.tolist()), tuple(scales.tolist()), tuple(absent.max(axis=0).tolist())


def _design(
    features: Sequence[Feature], codes: NDArray[np.float32], means: Sequence[float], scales: Sequence[float], missing: Sequence[bool]
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """The terms of encoded rows, float64 (n, k), and their names (k,)."""
    columns: list[NDArray[Any]] = []
    names: list[str] = []
    for place, feature in enumerate(features):
        code = codes[:, place].astype(np.float64)
        if feature.type == "category":
            values = list(enumerate(feature.values or ()))[1:]
            columns += [code == number for number, _ in values]
            names += [f"{feature.name}={value}" for _, value in values]
        else:
            columns.append(np.where(np.isnan(code), 0.0, (code - means[place]) / scales[place]))
            names.append(feature.name)
        if missing[place]:
            columns.append(np.isnan(code))
            names.append(f"{feature.name} missing")
    return np.column_stack([np.asarray(column, np.float64) for column in columns]), tuple(names)
