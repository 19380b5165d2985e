import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from churn.core.evaluation.metrics import MEASURES, brier, log_loss, metrics, threshold_metrics


def draw(seed, n=700, blur=0.5):
    rng = np.random.default_rng(seed)
    z = rng.normal(-1.3, 1.4, n)
    return rng.random(n) < 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(-(z + rng.normal(0, blur, n))))


def test_values_are_those_of_scikit_learn():
    y, p = draw(0)
    found = metrics(y, p, 0.3)
    assert found["roc_auc"] == pytest.approx(reference.roc_auc_score(y, p))
    assert found["average_precision"] == pytest.approx(reference.average_precision_score(y, p))
    assert found["log_loss"] == pytest.approx(reference.log_loss(y, p))
    assert found["brier"] == pytest.approx(reference.brier_score_loss(y, p))
    assert found["f1"] == pytest.approx(reference.f1_score(y, p >= 0.3))
    assert found["precision"] == pytest.approx(reference.precision_score(y, p >= 0.3))
    assert found["recall"] == pytest.approx(reference.recall_score(y, p >= 0.3))
    assert (found["churn_rate"], found["mean_prediction"], found["threshold"]) == (y.mean(), p.mean(), 0.3)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(20, 300), st.floats(0.01, 0.99))
def test_every_value_lies_in_its_interval_and_in_its_range(seed, n, threshold):
    y, p = draw(seed, n)
    if y.all() or not y.any():
        return
    found = metrics(y, p, threshold)
    for name in [name.removesuffix("_low") for name in found if name.endswith("_low")]:
        assert found[f"{name}_low"] - 1e-9 <= found[name] <= found[f"{name}_high"] + 1e-9, name
        assert found[f"{name}_low"] >= 0
    for name in ("roc_auc", "average_precision", "f1", "precision", "recall", "churn_rate"):
        assert found[f"{name}_high"] <= 1
    assert found["top_decile_lift_high"] <= 1 / y.mean() + 1e-9
    assert np.isfinite(list(found.values())).all()


@settings(max_examples=30)
@given(st.integers(0, 1000))
def test_the_order_of_the_rows_does_not_matter(seed):
    y, p = draw(seed, 120)
    p = np.round(p, 1)
    if y.all() or not y.any():
        return
    order = np.random.default_rng(seed).permutation(y.size)
    ours, shuffled = metrics(y, p, 0.3), metrics(y[order], p[order], 0.3)
    for name in set(ours) - {"ece"}:  # customers with equal scores fall into bins in the order they come
        assert shuffled[name] == pytest.approx(ours[name]), name


def test_intervals_cover_the_truth_95_times_of_100():
    def measured(seed, n=700):
        y, p = draw(seed, n)
        at_threshold = threshold_metrics(y, p, 0.3)
        cut = {name: tuple(at_threshold[f"{name}{end}"] for end in ("", "_low", "_high")) for name in ("f1", "precision", "recall")}
        return cut | {name: measure(y, p) for name, measure in MEASURES.items()}

    truth, runs = measured(1_000_000, 1_000_000), [measured(seed) for seed in range(300)]
    for name, (value, _, _) in truth.items():
        covered = np.mean([run[name][1] <= value <= run[name][2] for run in runs])
        assert 0.91 <= covered <= 0.985, (name, covered)


def test_certain_and_wrong_costs_much_and_stays_finite():
    assert 30 < log_loss([True], [0.0]) < 40
    assert log_loss([False], [0.0]) == pytest.approx(0, abs=1e-15)
    assert brier([True, False], [0.0, 0.0]) == 0.5


def test_nobody_called_a_churner():
    found = threshold_metrics([True, False], [0.1, 0.2], 0.9)
    assert (found["f1"], found["precision"], found["recall"], found["f1_lift"]) == (0, 0, 0, 1)


def test_calling_customers_by_lot_has_an_f1_lift_of_one():
    rng = np.random.default_rng(0)
    y, p = rng.random(200_000) < 0.2, rng.random(200_000)
    assert threshold_metrics(y, p, 0.4)["f1_lift"] == pytest.approx(1, abs=0.02)
    assert threshold_metrics(y, p, 0.0)["f1_lift"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([True, True], [0.1, 0.2], "one class"),
        ([True, False], [0.1, np.nan], "between 0 and 1"),
        ([True, False], [0.1, 1.2], "between 0 and 1"),
        ([0, 2], [0.1, 0.2], "true or false"),
        ([True, False], [0.1], "equal length"),
    ],
)
def test_what_cannot_be_measured_is_refused(labels, scores, message):
    with pytest.raises(ValueError, match=message):
        metrics(labels, scores, 0.5)
