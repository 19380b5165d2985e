import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.core.evaluation.calibration import ece, ece_under_calibration, mean_gap, noise_band, noise_floor, reliability


def probabilities(n, seed=0):
    return np.random.default_rng(seed).beta(0.8, 2.2, n)


def test_ece_by_hand():
    p, y = np.repeat([0.2, 0.8], 5), np.array([1, 0, 0, 0, 0, 1, 1, 1, 0, 0])
    assert ece(y, p, bins=2) == pytest.approx((0 + 0.2) / 2)


@settings(max_examples=50)
@given(st.integers(1, 200), st.integers(0, 100))
def test_bins_hold_everybody_once_and_differ_by_at_most_one(n, seed):
    p = probabilities(n, seed)
    found = reliability(p > 0.3, p)
    assert found.size.sum() == n
    assert found.size.max() - found.size.min() <= 1
    assert (np.diff(found.predicted) >= 0).all()
    assert np.average(found.observed, weights=found.size) == pytest.approx((p > 0.3).mean())


def test_the_noise_floor_holds_for_19_of_20_calibrated_models():
    p, rng = probabilities(1409), np.random.default_rng(1)
    floor = noise_floor(p)
    below = np.mean([ece(rng.random(p.size) < p, p) < floor for _ in range(1000)])
    assert below == pytest.approx(0.95, abs=0.02)


def test_noise_on_1409_customers_is_as_large_as_is_known():
    draws = ece_under_calibration(probabilities(1409))
    assert draws.mean() == pytest.approx(0.023, abs=0.003)
    assert np.quantile(draws, 0.95) == pytest.approx(0.033, abs=0.004)


def test_the_floor_falls_with_the_root_of_the_size_and_is_the_same_each_time():
    assert noise_floor(probabilities(1000)) / noise_floor(probabilities(16_000)) == pytest.approx(4, rel=0.15)
    assert noise_floor(probabilities(500)) == noise_floor(probabilities(500))


def test_a_miscalibrated_model_lies_above_the_floor():
    p = probabilities(1409)
    y = np.random.default_rng(2).random(p.size) < p**1.5
    assert ece(y, p) > noise_floor(p)


def test_the_band_surrounds_the_predictions():
    p = probabilities(1409)
    low, high = noise_band(p)
    predicted = reliability(p > 0.5, p).predicted
    assert ((low < predicted) & (predicted < high)).all()


def test_the_mean_gap_has_the_error_of_a_calibrated_model():
    p, rng = probabilities(800), np.random.default_rng(3)
    gaps = [mean_gap(rng.random(p.size) < p, p) for _ in range(500)]
    assert np.std([gap for gap, _ in gaps]) == pytest.approx(gaps[0][1], rel=0.1)
