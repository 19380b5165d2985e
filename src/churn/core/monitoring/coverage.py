"""May performance be measured on these outcomes? Those that are missing are seldom a random part."""

import numpy as np
from numpy.typing import NDArray

from churn.core.monitoring.parameters import PerformanceParameters


def why_not_measured(churned: NDArray[np.bool_], predictions: int, limits: PerformanceParameters) -> str:
    """The reason in words; empty where performance may be measured.

    Churn is known at once and its absence only in the end, and lost outcomes are often those of one kind. Whoever
    measures on what happens to be known measures that (selection bias), and not the model.

    Args:
        churned: the known outcomes, (n,).
        predictions: how many predictions are old enough to have one; the n are among them.
        limits: the least that is measured.
    """
    if not predictions:
        return f"no prediction is {limits.label_horizon_days:.3g} days old yet"
    if len(churned) < limits.min_outcomes:
        return f"{len(churned):,} outcomes, {limits.min_outcomes:,} needed"
    if len(churned) < limits.min_coverage * predictions:
        share = len(churned) / predictions
        return f"only {share:.1%} of {predictions:,} predictions that are old enough have an outcome, {limits.min_coverage:.0%} needed"
    left = int(churned.sum())
    if min(left, len(churned) - left) < limits.min_churners:
        return f"{left:,} who left and {len(churned) - left:,} who stayed, {limits.min_churners:,} of each needed"
    return ""
