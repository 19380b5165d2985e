"""Everything measured of one model on the test customers, and the parameters of the evaluation."""

from functools import cache
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field, model_validator

from churn.core.errors import ChurnError
from churn.core.evaluation.gate_rules import GateParameters
from churn.core.evaluation.metrics import Z, checked, metrics
from churn.core.evaluation.profit import Costs, customer_profits, empc, profit_curve
from churn.core.evaluation.segments import SegmentParameters


class EvaluationParameters(BaseModel):
    """The parameters `evaluation`: promotion rules, segments, and how many customers the SHAP summary shows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gate: GateParameters
    segments: SegmentParameters
    explained_customers: int = Field(ge=10)

    @model_validator(mode="after")
    def _metrics_exist(self) -> Self:
        unknown = sorted({*self.gate.minimum, *self.gate.maximum} - set(metric_names()))
        if unknown:
            raise ValueError(f"no such metric: {', '.join(unknown)}; there are {', '.join(metric_names())}")
        return self


def evaluate(churned: ArrayLike, probability: ArrayLike, threshold: float, costs: Costs) -> dict[str, float]:
    """Test metrics of one model as a flat dict: those of `churn.core.evaluation.metrics.metrics`, and its worth.

    In money per customer: `profit` at the threshold with its interval, `profit_best` at `threshold_best` in
    hindsight, and `empc`. `profit_share` is profit over profit_best.

    Raises:
        ChurnError: if the test customers cannot be evaluated, such as all of one class.
    """
    try:
        y, p = checked(churned, probability)
    except ValueError as error:
        advice = "Check the target's `positive` value in the declaration, and whether the table holds enough customers for a test set."
        raise ChurnError(f"The test customers cannot be evaluated: {error}. {advice}") from None
    earned = customer_profits(y, p, threshold, costs)
    profit, spread = float(earned.mean()), Z * float(earned.std(ddof=1)) / np.sqrt(y.size)
    threshold_best, best = profit_curve(y, p, costs).best
    return {
        **metrics(y, p, threshold),
        "profit": profit,
        "profit_low": profit - spread,
        "profit_high": profit + spread,
        "profit_best": best,
        "profit_share": profit / best if best > 0 else 1.0,
        "threshold_best": min(threshold_best, 1.0),
        "empc": empc(y, p, costs),
    }


@cache
def metric_names() -> tuple[str, ...]:
    """The names that `evaluate` gives, whatever the customers and the costs."""
    costs = Costs(clv=100, offer=1, contact=1, success_rate=0.5, success_evidence=2)
    return tuple(evaluate([0, 1], [0.2, 0.8], 0.5, costs))
