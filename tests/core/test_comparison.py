import numpy as np
import pytest
from scipy import stats

from churn.core.evaluation.comparison import auc_difference, average_precision_difference, compare
from churn.core.evaluation.metrics import log_loss
from churn.core.evaluation.profit import profit
from churn.core.evaluation.ranking import average_precision, delong
from tests.parameters import COSTS


def models(seed=0, n=1409, blurs=(0.2, 0.6)):
    rng = np.random.default_rng(seed)
    z = rng.normal(-1.4, 1.4, n)
    y = rng.random(n) < 1 / (1 + np.exp(-z))
    return y, *(1 / (1 + np.exp(-(z + rng.normal(0, blur, n)))) for blur in blurs)


def test_differences_are_those_of_the_measures_and_positive_is_better():
    y, good, bad = models()
    found = compare(y, (good, 0.164), (bad, 0.3), COSTS)
    assert found.log_loss.value == pytest.approx(log_loss(y, bad) - log_loss(y, good))
    assert found.roc_auc.value == pytest.approx(delong(y, good)[0][0] - delong(y, bad)[0][0])
    assert found.profit.value == pytest.approx(profit(y, good, 0.164, COSTS) - profit(y, bad, 0.3, COSTS))
    assert min(found.log_loss.low, found.roc_auc.low, found.average_precision.low) > 0


def test_the_other_way_round_is_the_negative():
    y, first, second = models()
    there, back = compare(y, (first, 0.2), (second, 0.2), COSTS), compare(y, (second, 0.2), (first, 0.2), COSTS)
    for name in ("log_loss", "roc_auc", "average_precision", "profit"):
        a, b = getattr(there, name), getattr(back, name)
        assert (a.value, a.low, a.high) == pytest.approx((-b.value, -b.high, -b.low))
        assert a.standard_error == pytest.approx(b.standard_error)


def test_a_model_against_itself_differs_by_nothing():
    y, p, _ = models()
    found = compare(y, (p, 0.2), (p, 0.2), COSTS)
    assert found.roc_auc.value == found.log_loss.value == found.log_loss.standard_error == 0
    assert found.roc_auc.standard_error == pytest.approx(0, abs=1e-9)


def test_paired_standard_errors_agree_with_the_paired_bootstrap():
    y, p, q = models()
    rng = np.random.default_rng(1)
    draws = rng.integers(0, y.size, (500, y.size))
    auc = np.std([np.subtract(*delong(y[i], p[i], q[i])[0]) for i in draws])
    ap = np.std([average_precision(y[i], p[i]) - average_precision(y[i], q[i]) for i in draws])
    assert auc_difference(y, p, q).standard_error == pytest.approx(auc, rel=0.15)
    assert average_precision_difference(y, p, q).standard_error == pytest.approx(ap, rel=0.15)


def test_a_difference_of_the_detectable_size_is_found_four_times_of_five():
    """The true difference is known from a large draw; its power on small ones is compared with the promise."""
    y, p, q = models(99, 400_000, (0.2, 0.5))
    truth = compare(y, (p, 0.164), (q, 0.164), COSTS).log_loss
    size = int((truth.detectable * np.sqrt(y.size) / truth.value) ** 2)
    found = [compare(y, (p, 0.164), (q, 0.164), COSTS).log_loss.low > 0 for y, p, q in (models(s, size, (0.2, 0.5)) for s in range(200))]
    assert np.mean(found) == pytest.approx(0.8, abs=0.07)


def test_bounds_follow_the_normal_distribution():
    y, p, q = models()
    found = compare(y, (p, 0.2), (q, 0.2), COSTS).log_loss
    assert found.lower_bound(0.975) == pytest.approx(found.low)
    assert found.lower_bound(0.95) == pytest.approx(found.value - stats.norm.ppf(0.95) * found.standard_error)


def test_rows_of_one_customer_count_once():
    y, p, q = models()
    ids = [f"c{place}" for place in range(y.size)]
    once = compare(y, (p, 0.2), (q, 0.2), COSTS, ids)
    assert once == compare(y, (p, 0.2), (q, 0.2), COSTS)
    repeated = [np.repeat(values, 4) for values in (y, p, q)]
    counted = compare(repeated[0], (repeated[1], 0.2), (repeated[2], 0.2), COSTS, np.repeat(ids, 4))
    naive = compare(repeated[0], (repeated[1], 0.2), (repeated[2], 0.2), COSTS)
    for name in ("log_loss", "roc_auc", "average_precision", "profit"):
        one, four, wrong = (getattr(found, name) for found in (once, counted, naive))
        assert four.value == pytest.approx(one.value, rel=1e-9, abs=1e-12)
        assert four.standard_error == pytest.approx(one.standard_error, rel=0.01)
        assert wrong.standard_error == pytest.approx(one.standard_error / 2, rel=0.01)
