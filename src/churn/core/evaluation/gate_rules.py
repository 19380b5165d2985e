"""The rules of the promotion gate as data: parameters, and each rule with its value and bound."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import stats

from churn.core.evaluation.calibration import ece, ece_under_calibration, mean_gap
from churn.core.evaluation.comparison import Comparison

Policy = Literal["auto", "approve"]
Path = Literal["superiority", "non-inferiority"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Margins(_Strict):
    """How much worse than the champion a challenger may turn out: in nats, in AUC, and as a share of the champion's profit."""

    log_loss: float = Field(ge=0)
    roc_auc: float = Field(ge=0)
    profit: float = Field(ge=0)


class ComparisonRules(_Strict):
    """How a challenger is compared with the champion.

    `superiority` asks for a proven gain; `non-inferiority`, for a refresh after drift, asks for proof that
    nothing is lost beyond its margins.
    """

    path: Path
    confidence: float = Field(gt=0.5, lt=1)
    auc_confidence: float = Field(gt=0.5, lt=1)
    calibration_confidence: float = Field(gt=0.5, lt=1)
    superiority: Margins
    non_inferiority: Margins

    @property
    def margins(self) -> Margins:
        """The margins of the chosen path."""
        return self.superiority if self.path == "superiority" else self.non_inferiority


class GateParameters(_Strict):
    """Bounds on the test metrics, by their names in `churn.core.evaluation.evaluate`, and the comparison with the champion."""

    policy: Policy
    leak_alarm_auc: float = Field(gt=0.5, le=1)
    minimum: dict[str, float]
    maximum: dict[str, float]
    ece_confidence: float = Field(gt=0.5, lt=1)
    calibration_tolerance: float = Field(ge=0)
    comparison: ComparisonRules


class AppliedRule(_Strict):
    """One rule of the gate as it was applied: `value` must be `relation` `bound`."""

    name: str
    title: str
    value: float
    relation: Literal["at least", "above", "at most"]
    bound: float
    passed: bool

    def __str__(self) -> str:
        """The rule and its value in words."""
        return f"{self.title} is {number(self.value)} and must be {self.relation} {number(self.bound)}"


@dataclass(frozen=True)
class Contender:
    """A model at the gate: its version, hash, probabilities (n,) for the test customers, and test metrics.

    `misfits` is what keeps it from scoring these customers: then it has neither probabilities nor metrics.
    """

    version: str
    sha256: str
    probability: NDArray[np.float64]
    metrics: dict[str, float]
    misfits: tuple[str, ...] = ()


def threshold_rules(churned: ArrayLike, model: Contender, champion: Contender | None, parameters: GateParameters) -> list[AppliedRule]:
    """The minimums that every champion must meet, and the alarm for a result too good to be true."""
    found = model.metrics
    return [
        _at_most("leak_alarm", "ROC-AUC", found["roc_auc"], parameters.leak_alarm_auc),
        *(_at_least(f"minimum_{name}", _title(name), found[name], bound) for name, bound in parameters.minimum.items()),
        *(_at_most(f"maximum_{name}", _title(name), found[name], bound) for name, bound in parameters.maximum.items()),
        _calibration_rule("calibration_error", churned, (model, champion), parameters.ece_confidence, parameters.calibration_tolerance),
    ]


def comparison_rules(
    churned: ArrayLike, model: Contender, champion: Contender, found: Comparison, parameters: GateParameters
) -> list[AppliedRule]:
    """What a challenger must show against the champion; who is calibrated no worse than the champion is calibrated well enough."""
    rules, margins, tolerance = parameters.comparison, parameters.comparison.margins, parameters.calibration_tolerance
    (gap, error), (champions_gap, _) = (mean_gap(churned, each.probability) for each in (model, champion))
    noise = float(stats.norm.ppf(0.5 + rules.calibration_confidence / 2)) * error
    gain, auc = found.log_loss.lower_bound(rules.confidence), found.roc_auc.lower_bound(rules.auc_confidence)
    may_lose = margins.profit * abs(champion.metrics["profit"])
    return [
        _above("log_loss_gain", f"the lower {100 * rules.confidence:g}% bound of the gain in log-loss", gain, 0 - margins.log_loss),
        _above(
            "auc_not_inferior", f"the lower {100 * rules.auc_confidence:g}% bound of the difference in ROC-AUC", auc, 0 - margins.roc_auc
        ),
        _at_most("mean_prediction", "the gap between mean prediction and churn rate", abs(gap), max(noise, tolerance, abs(champions_gap))),
        _calibration_rule("calibration_noise", churned, (model, champion), rules.calibration_confidence, tolerance),
        _at_least("profit_not_lower", "the difference in profit per customer", found.profit.value, 0 - may_lose),
    ]


def _calibration_rule(
    name: str, churned: ArrayLike, models: tuple[Contender, Contender | None], confidence: float, tolerance: float
) -> AppliedRule:
    """At most what noise alone shows, or the tolerance, or, within noise, the champion's own error on the same customers."""
    model, champion = models
    title = f"the calibration error (ECE), which stays below its bound in at least {100 * confidence:g}% of perfectly calibrated models,"
    by_noise = ece_under_calibration(model.probability)
    floor = float(np.quantile(by_noise, confidence))
    bound = max(floor, tolerance)
    if champion is not None:
        bound = max(bound, ece(churned, champion.probability) + floor - float(by_noise.mean()))
    return _at_most(name, title, ece(churned, model.probability), bound)


def _at_least(name: str, title: str, value: float, bound: float) -> AppliedRule:
    return AppliedRule(name=name, title=title, value=value, relation="at least", bound=bound, passed=value >= bound)


def _above(name: str, title: str, value: float, bound: float) -> AppliedRule:
    return AppliedRule(name=name, title=title, value=value, relation="above", bound=bound, passed=value > bound)


def _at_most(name: str, title: str, value: float, bound: float) -> AppliedRule:
    return AppliedRule(name=name, title=title, value=value, relation="at most", bound=bound, passed=value <= bound)


ABBREVIATIONS = {"roc auc": "ROC-AUC", "f1": "F1", "ece": "ECE", "log loss": "log-loss"}


def _title(metric: str) -> str:
    """`roc_auc_low` as `the lower end of ROC-AUC`."""
    name = metric.removesuffix("_low").removesuffix("_high")
    words = name.replace("_", " ")
    for plain, written in ABBREVIATIONS.items():
        words = words.replace(plain, written)
    end = {"_low": "the lower end of ", "_high": "the upper end of "}.get(metric[len(name) :], "")
    return f"{end}{words}"


def number(value: float) -> str:
    """Four decimals below 1, three significant digits above."""
    return f"{value:.4f}" if abs(value) < 1 else f"{value:.4g}"
