"""The promotion gate: a decision with every value, bound and reason.

Without a champion the challenger must meet the minimums. With one it must also pass a paired comparison on
customers that neither has trained on: "the higher score wins" would promote half of all equally good models.
docs/promotion.md explains each rule.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict

from churn.core.evaluation.comparison import Comparison
from churn.core.evaluation.gate_rules import Contender, GateParameters, Path, Policy, Rule, comparison_rules, number, threshold_rules

Outcome = Literal["promoted", "rejected", "awaiting-approval", "kept"]


class Decision(BaseModel):
    """What the gate decided, why, and on which evidence."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    outcome: Outcome
    reason: str
    version: str
    champion: str | None
    policy: Policy
    path: Path | None
    customers: int
    rules: tuple[Rule, ...]
    comparison: Comparison | None


def decide(
    churned: ArrayLike, challenger: Contender, champion: Contender | None, comparison: Comparison | None, parameters: GateParameters
) -> Decision:
    """Apply the rules.

    Args:
        churned: Labels (n,) of the test customers.
        challenger: The model that asks for promotion.
        champion: The model in production, None where there is none.
        comparison: Challenger against champion on the same customers, None where there is no champion.
        parameters: The rules.
    """
    same = champion is not None and challenger.sha256 == champion.sha256
    rules = () if same else _rules(churned, challenger, comparison, parameters)
    outcome, reason = _verdict(rules, challenger, comparison, parameters)
    if champion is not None and same:
        outcome, reason = "kept", _same_model(challenger, champion)
    return Decision(
        outcome=outcome,
        reason=reason,
        version=challenger.version,
        champion=champion.version if champion else None,
        policy=parameters.policy,
        path=parameters.comparison.path if champion else None,
        customers=np.size(churned),
        rules=rules,
        comparison=comparison,
    )


def _rules(churned: ArrayLike, challenger: Contender, comparison: Comparison | None, parameters: GateParameters) -> tuple[Rule, ...]:
    rules = threshold_rules(churned, challenger, parameters)
    if comparison is not None:
        rules += comparison_rules(churned, challenger, comparison, parameters)
    return tuple(rules)


def _verdict(rules: tuple[Rule, ...], challenger: Contender, found: Comparison | None, parameters: GateParameters) -> tuple[Outcome, str]:
    failed = [rule for rule in rules if not rule.passed]
    if failed:
        return "rejected", _rejection(failed, found, parameters)
    merit = _merit(challenger, found, parameters)
    if parameters.policy == "approve":
        return "awaiting-approval", f"Every rule passed: {merit}. It waits for `churn promote {challenger.version}`."
    return "promoted", f"Every rule passed: {merit}."


def _merit(challenger: Contender, found: Comparison | None, parameters: GateParameters) -> str:
    if found is None:
        auc = challenger.metrics
        interval = f"95% interval {number(auc['roc_auc_low'])} to {number(auc['roc_auc_high'])}"
        return f"the first model, with ROC-AUC {number(auc['roc_auc'])} ({interval})"
    if parameters.comparison.path == "non-inferiority":
        margin = number(parameters.comparison.margins.log_loss)
        return f"a refresh on the non-inferiority path, {_gain(found)}, so at most {margin} worse"
    return f"{_gain(found)}, and nothing else is worse beyond its margin"


def _rejection(failed: list[Rule], found: Comparison | None, parameters: GateParameters) -> str:
    if failed[0].name == "leak_alarm":
        return (
            f"ROC-AUC {number(failed[0].value)} is above the leak alarm of {number(failed[0].bound)}: a feature probably gives "
            "the answer away. Look at the top of the SHAP summary; if the table really is that easy, raise "
            "evaluation.gate.leak_alarm_auc."
        )
    sentences = [str(rule) for rule in failed if not (found and rule.name == "log_loss_gain")]
    if found and any(rule.name == "log_loss_gain" for rule in failed):
        sentences.insert(0, _no_proof(found, parameters))
    text = "; ".join(dict.fromkeys(sentences))
    return f"{text[0].upper()}{text[1:]}."


def _no_proof(found: Comparison, parameters: GateParameters) -> str:
    if found.log_loss.high < 0:
        return f"{_gain(found)}: worse than the champion"
    if parameters.comparison.path == "non-inferiority":
        return f"{_gain(found)}: a loss of more than {number(parameters.comparison.margins.log_loss)} cannot be ruled out"
    return f"{_gain(found)}: chance can explain that (these customers show differences from {number(found.log_loss.detectable)})"


def _gain(found: Comparison) -> str:
    gain = found.log_loss
    side = "lower" if gain.value >= 0 else "higher"
    interval = f"95% interval of the gain {number(gain.low)} to {number(gain.high)}"
    return f"log-loss {number(abs(gain.value))} {side} than the champion's ({interval})"


def _same_model(challenger: Contender, champion: Contender) -> str:
    if challenger.version == champion.version:
        return "It is the champion already; nothing was trained since."
    return f"It is the same model as the champion, version {champion.version} (equal sha256), so the champion stays."
