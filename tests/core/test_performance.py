"""Estimated and measured performance: against references, known truths and chance."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from benchmarks.monitoring import cases
from benchmarks.monitoring.__main__ import true_auc
from benchmarks.monitoring.worlds import build, stream
from churn.core.monitoring.estimated import apply, estimate, recalibration
from churn.core.monitoring.measured import auc_fell, measure, relation_changed


def draw(rng: np.random.Generator, rows: int, slope: float = 1.0, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and outcomes whose log-odds are slope x the score's + shift."""
    x = rng.normal(-1.2, 1.3, rows)
    return expit(x), rng.random(rows) < expit(slope * x + shift)


def test_recalibration_agrees_with_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    scores, churned = draw(np.random.default_rng(0), 2000, 0.7, 0.3)
    logits = np.log(scores / (1 - scores))[:, None]
    fitted = LogisticRegression(C=1e9, tol=1e-8).fit(logits, churned)
    assert recalibration(scores, churned) == pytest.approx((fitted.intercept_[0], fitted.coef_[0, 0]), abs=1e-4)
    assert apply((0.0, 1.0), scores) == pytest.approx(scores)


def test_recalibration_of_separable_outcomes_stays_finite() -> None:
    scores = np.linspace(0.01, 0.99, 100)
    assert np.isfinite(apply(recalibration(scores, scores > 0.5), scores)).all()


@pytest.mark.parametrize("case", cases.COVARIATES, ids=lambda case: case.name)
def test_the_estimate_is_close_to_the_truth_when_only_customers_change(case: cases.Case) -> None:
    errors = []
    for seed in range(3):
        world = build(seed)
        for sample, probability in stream(world, case, 1000, 4, seed):
            test = world.reference.test
            errors.append(abs(estimate(test.scores, test.churned, sample.scores).roc_auc - true_auc(sample.scores, probability)))  # type: ignore[arg-type]
    assert np.mean(errors) <= 0.02


def test_p_values_of_equal_samples_are_uniform_or_larger() -> None:
    rng = np.random.default_rng(1)
    relation, auc = [], []
    for _ in range(300):
        reference, current = draw(rng, 1400), draw(rng, 1000)
        relation.append(relation_changed(reference, current))
        auc.append(auc_fell(reference, current))
    for found in (relation, auc):
        assert stats.kstest(found, "uniform").pvalue > 0.001
        assert np.mean(np.array(found) < 0.01) <= 0.04


@pytest.mark.parametrize(("slope", "shift"), [(0.6, 0.0), (1.0, 0.5)])
def test_another_relation_is_found(slope: float, shift: float) -> None:
    rng = np.random.default_rng(2)
    found = [relation_changed(draw(rng, 1400), draw(rng, 1000, slope, shift)) for _ in range(40)]
    assert np.mean(np.array(found) < 0.005) > 0.6


def test_a_model_that_was_never_calibrated_is_no_news() -> None:
    rng = np.random.default_rng(3)
    found = [relation_changed(draw(rng, 1400, 0.6, 0.5), draw(rng, 1000, 0.6, 0.5)) for _ in range(100)]
    assert np.mean(np.array(found) < 0.01) <= 0.05


def test_what_is_measured() -> None:
    rng = np.random.default_rng(4)
    reference, current = draw(rng, 1400), draw(rng, 800, 0.5)
    found = measure(reference, current, 1000)
    assert found.coverage == 0.8
    assert found.roc_auc_low < found.roc_auc < found.roc_auc_high < found.reference_roc_auc
    assert found.log_loss_avoidable > 0.003
    assert found.slope == pytest.approx(0.5, abs=0.2)
