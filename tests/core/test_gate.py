import numpy as np
import pytest
from pydantic import ValidationError

from churn.core.evaluation.comparison import compare
from churn.core.evaluation.evaluate import EvaluationParameters, evaluate
from churn.core.evaluation.gate import decide
from churn.core.evaluation.gate_rules import Contender, comparison_rules
from churn.core.evaluation.profit import profit, profit_threshold
from tests.parameters import COSTS, EVALUATION

CUT = profit_threshold(COSTS)
RULES = EVALUATION.gate
REFRESH = RULES.model_copy(update={"comparison": RULES.comparison.model_copy(update={"path": "non-inferiority"})})


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def customers(seed=0, n=1409):
    rng = np.random.default_rng(seed)
    z = rng.normal(-1.45, 1.45, n)
    return rng, z, rng.random(n) < sigmoid(z)


def contender(y, p, version="2", cut=CUT):
    return Contender(version, f"hash of {version}", p, evaluate(y, p, cut, COSTS))


def meet(y, ours, theirs, rules=RULES, cuts=(CUT, CUT)):
    compared = compare(y, (ours, cuts[0]), (theirs, cuts[1]), COSTS)
    return decide(y, contender(y, ours, "2", cuts[0]), contender(y, theirs, "1", cuts[1]), compared, rules)


def failed(decision):
    return {rule.name for rule in decision.rules if not rule.passed}


def test_a_first_model_that_meets_the_minimums_is_promoted():
    _, z, y = customers()
    decision = decide(y, contender(y, sigmoid(z)), None, None, RULES)
    assert (decision.outcome, decision.champion, decision.path, decision.customers) == ("promoted", None, None, 1409)
    assert "first model" in decision.reason
    assert all(rule.passed for rule in decision.rules)


def test_a_first_model_that_ranks_like_a_coin_is_rejected_with_every_reason():
    rng, _, y = customers()
    p = np.clip(y.mean() + rng.normal(0, 0.01, y.size), 0.01, 0.99)
    decision = decide(y, contender(y, p), None, None, RULES)
    assert decision.outcome == "rejected"
    assert {"minimum_roc_auc_low", "minimum_average_precision_lift_low"} <= failed(decision)
    assert "lower end of ROC-AUC" in decision.reason
    assert "must be at least 0.55" in decision.reason


def test_a_first_model_whose_probabilities_are_wrong_is_rejected():
    _, z, y = customers()
    decision = decide(y, contender(y, sigmoid(z) ** 0.5), None, None, RULES)
    assert (decision.outcome, failed(decision)) == ("rejected", {"calibration_error"})


def test_a_model_that_knows_the_answer_is_refused_as_a_leak():
    rng, _, y = customers()
    p = np.where(y, 0.98, 0.02) + rng.normal(0, 0.005, y.size)
    decision = decide(y, contender(y, np.clip(p, 0, 1)), None, None, RULES)
    assert decision.outcome == "rejected"
    assert "gives the answer away" in decision.reason


def test_a_clearly_better_challenger_is_promoted_with_its_gain():
    rng, z, y = customers(1, 4000)
    decision = meet(y, sigmoid(z), sigmoid(0.8 * z - 0.25 + rng.normal(0, 0.7, y.size)))
    assert decision.outcome == "promoted"
    assert "lower than the champion's" in decision.reason
    assert decision.comparison.log_loss.low > 0


def test_a_worse_challenger_is_rejected_and_said_to_be_worse():
    rng, z, y = customers(1, 4000)
    decision = meet(y, sigmoid(z + rng.normal(0, 0.8, y.size)), sigmoid(z))
    assert decision.outcome == "rejected"
    assert {"log_loss_gain", "auc_not_inferior"} <= failed(decision)
    assert "worse than the champion" in decision.reason


def test_at_most_one_of_twenty_equal_models_is_promoted():
    promoted = 0
    for seed in range(150):
        rng, z, y = customers(seed)
        ours, theirs = (sigmoid(z + rng.normal(0, 0.25, y.size)) for _ in range(2))
        pair = [Contender(str(i), str(i), p, {"profit": profit(y, p, CUT, COSTS)}) for i, p in enumerate((ours, theirs))]
        promoted += all(rule.passed for rule in comparison_rules(y, *pair, compare(y, (ours, CUT), (theirs, CUT), COSTS), RULES))
    assert promoted <= 0.05 * 150


def test_equal_models_are_rejected_as_chance_with_what_could_have_been_seen():
    rng, z, y = customers(3)
    decision = meet(y, sigmoid(z + rng.normal(0, 0.05, y.size)), sigmoid(z + rng.normal(0, 0.05, y.size)))
    assert "chance can explain" in decision.reason
    assert f"{decision.comparison.log_loss.detectable:.4f}" in decision.reason


def test_the_same_model_is_kept_whatever_its_rules_say():
    _, z, y = customers()
    same = contender(y, sigmoid(z), "1")
    again = Contender("2", same.sha256, same.probability, same.metrics)
    compared = compare(y, (same.probability, CUT), (same.probability, CUT), COSTS)
    decision = decide(y, again, same, compared, RULES)
    assert (decision.outcome, decision.rules) == ("kept", ())
    assert "same model as the champion, version 1" in decision.reason
    assert "champion already" in decide(y, same, same, compared, RULES).reason


def test_the_refresh_path_lets_an_equal_model_in_and_says_so():
    rng, z, y = customers(4, 4000)
    ours, theirs = (sigmoid(z + rng.normal(0, 0.1, y.size)) for _ in range(2))
    assert meet(y, ours, theirs).outcome == "rejected"
    decision = meet(y, ours, theirs, REFRESH)
    assert (decision.outcome, decision.path) == ("promoted", "non-inferiority")
    assert "non-inferiority path" in decision.reason


def test_the_refresh_path_still_refuses_a_loss_beyond_its_margin():
    rng, z, y = customers(4, 4000)
    decision = meet(y, sigmoid(z + rng.normal(0, 0.8, y.size)), sigmoid(z), REFRESH)
    assert decision.outcome == "rejected"


def test_a_better_model_with_a_bad_threshold_earns_less_and_is_rejected():
    rng, z, y = customers(1, 4000)
    better, other = sigmoid(z), sigmoid(z + rng.normal(0, 0.5, y.size))
    assert meet(y, better, other).outcome == "promoted"
    decision = meet(y, better, other, cuts=(0.6, CUT))
    assert failed(decision) == {"profit_not_lower"}
    assert profit(y, better, 0.6, COSTS) < profit(y, other, CUT, COSTS)


def test_a_sharper_model_that_predicts_too_much_is_rejected():
    rng, z, y = customers(1, 4000)
    decision = meet(y, sigmoid(z + 0.25), sigmoid(0.7 * z - 0.35 + rng.normal(0, 0.7, y.size)))
    assert {"mean_prediction", "calibration_noise"} <= failed(decision)
    assert decision.outcome == "rejected"


def test_a_harmless_calibration_error_in_a_huge_test_set_is_tolerated():
    rng, z, y = customers(5, 100_000)
    strict = RULES.model_copy(update={"calibration_tolerance": 0.0})
    ours, theirs = sigmoid(z + 0.04), sigmoid(z + rng.normal(0, 0.5, y.size))
    assert meet(y, ours, theirs).outcome == "promoted"
    assert meet(y, ours, theirs, strict).outcome == "rejected"


def test_with_approval_nothing_is_promoted_by_itself():
    _, z, y = customers()
    decision = decide(y, contender(y, sigmoid(z)), None, None, RULES.model_copy(update={"policy": "approve"}))
    assert decision.outcome == "awaiting-approval"
    assert "churn promote 2" in decision.reason


def test_thresholds_are_data():
    _, z, y = customers()
    rules = RULES.model_copy(update={"minimum": {"f1": 0.99}, "maximum": {"log_loss": 0.01}})
    decision = decide(y, contender(y, sigmoid(z)), None, None, rules)
    assert failed(decision) == {"minimum_f1", "maximum_log_loss"}


def bounds(**minimum):
    return EvaluationParameters.model_validate(EVALUATION.model_dump() | {"gate": RULES.model_dump() | {"minimum": minimum}}).gate


def test_a_metric_that_does_not_exist_is_named():
    with pytest.raises(ValidationError, match="no such metric: auc"):
        bounds(auc=0.8)


def test_every_metric_of_the_report_may_be_a_minimum():
    _, z, y = customers()
    ours = contender(y, sigmoid(z))
    rules = bounds(**ours.metrics)
    assert {"minimum_profit", "minimum_empc", "minimum_profit_share"} <= {r.name for r in decide(y, ours, None, None, rules).rules}


def test_correct_models_of_rare_churn_are_not_refused_for_calling_few():
    refused = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        z = rng.normal(-6.2, 1.6, 1500)
        y = rng.random(1500) < sigmoid(z)
        if y.any():
            refused += "minimum_f1_lift_high" in failed(decide(y, contender(y, sigmoid(z)), None, None, RULES))
    assert refused <= 1


def test_calls_that_hit_fewer_than_a_lottery_are_refused():
    _, z, y = customers()
    assert "minimum_f1_lift_high" in failed(decide(y, contender(y, sigmoid(-z - 2.9)), None, None, RULES))


def test_a_challenger_that_is_calibrated_no_worse_than_the_champion_passes():
    rng, z, y = customers(1, 4000)
    champion = sigmoid(z + 0.5 + rng.normal(0, 0.9, y.size))
    decision = meet(y, sigmoid(z + 0.25), champion)
    assert decision.outcome == "promoted"
    bounds_met = {rule.name: rule.bound for rule in decision.rules}
    assert contender(y, champion).metrics["ece"] < bounds_met["calibration_noise"] < contender(y, champion).metrics["ece"] + 0.01
    assert bounds_met["mean_prediction"] == pytest.approx(champion.mean() - y.mean())


def test_a_champion_that_cannot_score_these_customers_is_named_and_not_compared_with():
    _, z, y = customers()
    misfits = tuple(f"{name} is missing" for name in ("gender", "tenure", "Contract", "Partner"))
    champion = Contender("1", "hash of 1", np.empty(0), {}, misfits)
    decision = decide(y, contender(y, sigmoid(z)), champion, None, RULES)
    assert (decision.outcome, decision.champion, decision.path, decision.misfits) == ("promoted", "1", None, misfits)
    assert "the champion, version 1, was trained on a table with other columns" in decision.reason
    assert "(gender is missing; tenure is missing; Contract is missing; and 1 more)" in decision.reason
    worse = decide(y, contender(y, sigmoid(z) ** 0.5), champion, None, RULES)
    assert worse.outcome == "rejected"
    assert "version 1" in worse.reason


def test_a_model_that_was_rolled_back_is_not_promoted_again_by_itself():
    rng, z, y = customers(1, 4000)
    pair = sigmoid(z), sigmoid(0.8 * z - 0.25 + rng.normal(0, 0.7, y.size))
    found = compare(y, *((p, CUT) for p in pair), COSTS)
    ours, champion = (contender(y, p, version) for p, version in zip(pair, ("3", "1"), strict=True))
    assert decide(y, ours, champion, found, RULES).outcome == "promoted"
    decision = decide(y, ours, champion, found, RULES, rolled_back="2")
    assert decision.outcome == "rejected"
    assert "model of version 2" in decision.reason
    assert "churn promote 3" in decision.reason


def test_a_decision_survives_json():
    rng, z, y = customers()
    decision = meet(y, sigmoid(z), sigmoid(z + rng.normal(0, 0.5, y.size)))
    assert type(decision).model_validate_json(decision.model_dump_json()) == decision
