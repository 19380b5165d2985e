"""The yardstick beside every model: logistic regression, whose coefficients are plain numbers in a JSON file."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from churn.core.declaration import Feature
from churn.core.modelling.encoding import Rows, encode, learn_categories
from churn.core.modelling.ensemble import sigmoid

if TYPE_CHECKING:
    from scipy.sparse import csr_array

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
        return np.asarray(design @ np.array(self.coefficients) + self.intercept)


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
) -> tuple["csr_array", tuple[str, ...]]:
    """The terms of encoded rows, sparse (n, k), and their names (k,).

    A category with a thousand values is one number per row here: each feature has one slot in every row, which says
    which of its terms is not 0, and one more where its missing values are a term.
    """
    from scipy.sparse import csr_array

    places: list[NDArray[np.int32]] = []
    values: list[NDArray[np.float64]] = []
    names: list[str] = []
    for place, feature in enumerate(features):
        code = codes[:, place].astype(np.float64)
        absent = np.isnan(code)
        if feature.type != "category":
            places.append(np.full(len(code), len(names), np.int32))
            values.append(np.where(absent, 0.0, (code - means[place]) / scales[place]))
            names.append(feature.name)
        elif terms := [f"{feature.name}={value}" for value in (feature.values or ())[1:]]:
            known = np.where(absent, 0, code).astype(np.int32)  # the first value is the one without a term
            places.append(len(names) + np.maximum(known - 1, 0))
            values.append((known > 0).astype(np.float64))
            names += terms
        if missing[place]:
            places.append(np.full(len(code), len(names), np.int32))
            values.append(absent.astype(np.float64))
            names.append(f"{feature.name} missing")
    starts = np.arange(len(codes) + 1, dtype=np.int32) * len(places)
    design = csr_array((np.column_stack(values).ravel(), np.column_stack(places).ravel(), starts), shape=(len(codes), len(names)))
    return design, tuple(names)
