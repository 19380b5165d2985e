"""The cases of the benchmark: what is changed, and what monitoring should say of it."""

from typing import Any

import numpy as np

from benchmarks.monitoring.worlds import Case, Features
from churn.core.population.scenarios import another_unit, nulls, renamed

QUIET = Case("no change", {})


def _days(features: Features, rng: np.random.Generator) -> Features:  # noqa: ARG001 - as every fault
    return {**features, "tenure": (features["tenure"] * 30.4).astype(np.int64)}


def _mix(strength: float) -> dict[str, Any]:
    return {"change": {"monthly_contracts": strength, "fiber": strength}}


BROKEN = (
    Case("10% nulls in three columns", {}, nulls, "TechSupport", "nulls"),
    Case("a renamed value", {}, renamed, "PaymentMethod", "renamed-value"),
    Case("cents for dollars", {}, another_unit, "MonthlyCharges", "unit"),
    Case("days for months", {}, _days, "tenure", "unit"),
)
MODERATE = Case("moderate change of the mix", _mix(0.4))
MILD = Case("mild change of the mix", _mix(0.25))
MILDER = Case("milder change of the mix", _mix(0.2))
BEHAVIOUR = Case("behaviour: fiber's effect on churn turns", {"change": {"fiber_effect": 1.35}})
WEAKER = Case("behaviour: every effect on churn weakens", {"kappa": 0.75, "shift": -0.2})
COVARIATES = (
    QUIET,
    MODERATE,
    Case("strong change of the mix", _mix(1.0)),
    Case("the mix the other way", _mix(-0.7)),
    Case("prices 20% up", {"change": {"price": 0.2}}),
)
