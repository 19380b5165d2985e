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
from churn.core.evaluation.gate_rules import AppliedRule, Contender, GateParameters, Path, Policy, comparison_rules, number, threshold_rules

Outcome = Literal["promoted", "rejected", "awaiting-approval", "kept"]
NAMED = 3
"""Misfits that a reason names; the others are counted."""


class Decision(BaseModel):
    """What the gate decided, why, and on which evidence.

    `misfits` says what keeps the champion from scoring these customers, so that the challenger was not compared with it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    outcome: Outcome
    reason: str
    version: str
    champion: str | None
    policy: Policy
    path: Path | None
    customers: int
    misfits: tuple[str, ...]
    rules: tuple[AppliedRule, ...]
    comparison: Comparison | None


def decide(
    churned: ArrayLike,
    challenger: Contender,
    champion: Contender | None,
    comparison: Comparison | None,
    parameters: GateParameters,
    *,
    rolled_back: str | None = None,
) -> Decision:
    """Apply the rules.

    Args:
        churned: Labels (n,) of the test customers.
        challenger: The model that asks for promotion.
        champion: The model in production, None where there is none.
        comparison: Challenger against champion on the same customers, None where there is no champion or it has misfits.
        parameters: The rules.
        rolled_back: The version whose model the challenger is, if it was rolled back and nobody has insisted on it since.
    """
    misfits = champion.misfits if champion else ()
    rival = None if misfits else champion
    same = champion is not None and challenger.sha256 == champion.sha256
    rules = () if same else _rules(churned, challenger, rival, comparison, parameters)
    outcome, reason = _verdict(rules, challenger, comparison, parameters)
    if champion is not None and misfits:
        reason = f"{reason} {_not_compared(champion)}"
    if rolled_back is not None:
        outcome, reason = "rejected", _was_rolled_back(challenger, rolled_back)
    if champion is not None and same:
        outcome, reason = "kept", _same_model(challenger, champion)
    return Decision(
        outcome=outcome,
        reason=reason,
        version=challenger.version,
        champion=champion.version if champion else None,
        policy=parameters.policy,
        path=parameters.comparison.path if rival else None,
        customers=np.size(churned),
        misfits=misfits,
        rules=rules,
        comparison=comparison,
    )


def _rules(
    churned: ArrayLike, challenger: Contender, champion: Contender | None, comparison: Comparison | None, parameters: GateParameters
) -> tuple[AppliedRule, ...]:
    rules = threshold_rules(churned, challenger, champion, parameters)
    if champion is not None and comparison is not None:
        rules += comparison_rules(churned, challenger, champion, comparison, parameters)
    return tuple(rules)


def _verdict(
    rules: tuple[AppliedRule, ...], challenger: Contender, found: Comparison | None, parameters: GateParameters
) -> tuple[Outcome, str]:
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
        return f"the first model of this table, with ROC-AUC {number(auc['roc_auc'])} ({interval})"
    if parameters.comparison.path == "non-inferiority":
        margin = number(parameters.comparison.margins.log_loss)
        return f"a refresh on the non-inferiority path, {_gain(found)}, so at most {margin} worse"
    return f"{_gain(found)}, and nothing else is worse beyond its margin"


def _rejection(failed: list[AppliedRule], found: Comparison | None, parameters: GateParameters) -> str:
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


def _not_compared(champion: Contender) -> str:
    named = "; ".join(champion.misfits[:NAMED])
    more = len(champion.misfits) - NAMED
    return (
        f"There was no comparison: the champion, version {champion.version}, was trained on a table with other columns and cannot "
        f"score this one ({named}{f'; and {more} more' if more > 0 else ''})."
    )


def _was_rolled_back(challenger: Contender, version: str) -> str:
    which = "It" if version == challenger.version else f"It is the model of version {version} (equal sha256), which"
    return f"{which} was rolled back, so the champion stays. To insist: `churn promote {challenger.version}`."


def _same_model(challenger: Contender, champion: Contender) -> str:
    if challenger.version == champion.version:
        return "It is the champion already; nothing was trained since."
    return f"It is the same model as the champion, version {champion.version} (equal sha256), so the champion stays."
