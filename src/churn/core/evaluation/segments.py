"""How a model does for each declared group of customers."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import stats

from churn.core.declaration import Feature
from churn.core.evaluation.calibration import mean_gap
from churn.core.evaluation.metrics import roc_auc

Verdict = Literal["in line", "predicts too much", "predicts too little", "too small to judge"]
FAMILY_CONFIDENCE = 0.95


class SegmentParameters(BaseModel):
    """Which groups of customers are shown and judged."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_customers: int = Field(default=50, ge=1)
    min_churners: int = Field(default=10, ge=1)
    max_values: int = Field(default=20, ge=1)


class Segment(BaseModel):
    """One value of one feature among the test customers.

    `gap` is mean prediction minus churn rate; within +-`gap_noise` it is noise, with 95% confidence over all
    judged segments together. `roc_auc` and its interval are None where the segment has one class only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    feature: str
    label: str
    value: str
    customers: int
    churners: int
    churn_rate: float
    mean_prediction: float
    gap: float
    gap_noise: float
    roc_auc: float | None
    roc_auc_low: float | None
    roc_auc_high: float | None
    verdict: Verdict


def segments(
    columns: Mapping[str, Sequence[object]],
    features: Sequence[Feature],
    churned: ArrayLike,
    probability: ArrayLike,
    parameters: SegmentParameters,
) -> list[Segment]:
    """Size, churn rate, ROC-AUC and calibration for each value of the category and boolean features.

    Features with more than `max_values` values among these customers are left out; missing values are a
    segment of their own. Groups below `min_customers`, or with fewer than `min_churners` churners or
    as few stayers, are shown and not judged.

    Args:
        columns: Feature name -> values (n,).
        features: The declared features; integers and numbers are passed over.
        churned: Labels (n,).
        probability: Predicted churn probabilities (n,).
        parameters: Limits of what is shown and judged.
    """
    y, p = np.asarray(churned, bool), np.asarray(probability, float)
    groups = [
        (feature, value, member)
        for feature in features
        if feature.type in ("category", "boolean")
        for value, member in _groups(columns[feature.name], parameters.max_values)
    ]
    judged = [_large_enough(y[member], parameters) for *_, member in groups]
    z = _family_z(sum(judged))
    return [
        _segment(feature, value, (y[member], p[member]), z if large else None)
        for (feature, value, member), large in zip(groups, judged, strict=True)
    ]


def _groups(values: Sequence[object], limit: int) -> list[tuple[str, NDArray[np.bool_]]]:
    texts = np.array([_text(value) for value in values], dtype=str)
    names = np.unique(texts)
    return [(str(name), texts == name) for name in names] if len(names) <= limit else []


def _text(value: object) -> str:
    if value is None or str(value) == "<NA>" or value != value:  # noqa: PLR0124 - NaN is what differs from itself; pandas.NA would not say
        return "(missing)"
    if isinstance(value, bool | np.bool_):
        return "Yes" if value else "No"
    return str(value)


def _large_enough(y: NDArray[np.bool_], parameters: SegmentParameters) -> bool:
    rarer = min(int(y.sum()), int((~y).sum()))
    return y.size >= parameters.min_customers and rarer >= parameters.min_churners


def _family_z(count: int) -> float:
    """Two-sided normal quantile with Bonferroni's correction for the number of segments judged."""
    return float(stats.norm.ppf(1 - (1 - FAMILY_CONFIDENCE) / 2 / max(count, 1)))


def _segment(feature: Feature, value: str, rows: tuple[NDArray[np.bool_], NDArray[np.float64]], z: float | None) -> Segment:
    y, p = rows
    gap, error = mean_gap(y, p)
    noise = (z if z is not None else _family_z(1)) * error
    auc = (None, None, None) if y.all() or not y.any() else roc_auc(y, p)
    verdict: Verdict = "too small to judge" if z is None else _verdict(gap, noise)
    return Segment(
        feature=feature.name,
        label=feature.label,
        value=value,
        customers=y.size,
        churners=int(y.sum()),
        churn_rate=float(y.mean()),
        mean_prediction=float(p.mean()),
        gap=gap,
        gap_noise=noise,
        roc_auc=auc[0],
        roc_auc_low=auc[1],
        roc_auc_high=auc[2],
        verdict=verdict,
    )


def _verdict(gap: float, noise: float) -> Verdict:
    if abs(gap) <= noise:
        return "in line"
    return "predicts too much" if gap > 0 else "predicts too little"
