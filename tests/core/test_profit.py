import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from churn.core.evaluation.profit import Costs, customer_profits, empc, gain_curve, profit, profit_curve, profit_threshold
from tests.parameters import COSTS


@st.composite
def scored(draw):
    size = draw(st.integers(1, 50))
    labels = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    scores = draw(st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.7, 1.0]) | st.floats(0, 1), min_size=size, max_size=size))
    return np.array(labels), np.array(scores)


def customers(n=2000, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.beta(0.8, 2.2, n)
    return rng.random(n) < p, p


@settings(max_examples=50)
@given(scored(), st.floats(0, 1))
def test_profit_is_the_formula_of_verbeke(data, t):
    y, p = data
    clv, d, f, gamma = 200, 10, 1, 0.3
    pi = y.mean()
    reached = np.mean(p[y] >= t) if y.any() else 0
    wasted = np.mean(p[~y] >= t) if (~y).any() else 0
    expected = clv * (gamma * (1 - d / clv) - f / clv) * pi * reached - (d + f) * (1 - pi) * wasted
    assert profit(y, p, t, COSTS) == pytest.approx(expected)
    assert customer_profits(y, p, t, COSTS).mean() == pytest.approx(expected)


def test_the_threshold_is_where_a_contact_breaks_even():
    t = profit_threshold(COSTS)
    assert t == pytest.approx(11 / 67)
    assert t * COSTS.churner_gain == pytest.approx((1 - t) * COSTS.stayer_loss)


def test_no_threshold_earns_more_where_probabilities_are_right():
    _, p = customers(50_000)

    def earned(t):
        return np.mean((p >= t) * (p * COSTS.churner_gain - (1 - p) * COSTS.stayer_loss))

    assert max(earned(t) for t in np.linspace(0, 1, 201)) <= earned(profit_threshold(COSTS)) + 1e-12


@settings(max_examples=50)
@given(scored(), st.floats(0, 1))
def test_hindsight_is_never_beaten_and_is_reached(data, t):
    y, p = data
    threshold, best = profit_curve(y, p, COSTS).best
    assert profit(y, p, t, COSTS) <= best + 1e-12
    assert profit(y, p, threshold, COSTS) == pytest.approx(best)


@settings(max_examples=50)
@given(scored())
def test_the_gain_curve_rises_from_nobody_to_everybody(data):
    y, p = data
    curve = gain_curve(y, p)
    assert (curve.contacted[0], curve.reached[0], curve.contacted[-1]) == (0, 0, 1)
    assert curve.reached[-1] == (1 if y.any() else 0)
    assert (np.diff(curve.contacted) > 0).all()
    assert (np.diff(curve.reached) >= 0).all()


@settings(max_examples=50)
@given(scored(), st.sampled_from([COSTS, Costs(clv=50, offer=5, contact=4, success_rate=0.2, success_evidence=5)]))
def test_empc_is_the_integral_of_the_maximum_profit(data, costs):
    y, p = data
    beta = stats.beta(costs.success_evidence * costs.success_rate, costs.success_evidence * (1 - costs.success_rate))
    grid = (np.arange(20_000) + 0.5) / 20_000
    cuts = np.append(np.unique(p), np.inf)
    hits, waste = np.array([[np.sum(y & (p >= t)), np.sum(~y & (p >= t))] for t in cuts]).T
    earned = np.outer(grid * (costs.clv - costs.offer) - costs.contact, hits) - costs.stayer_loss * waste
    expected = np.mean(earned.max(axis=1) / y.size * beta.pdf(grid))
    assert empc(y, p, costs) == pytest.approx(expected, abs=2e-3)


def test_empc_lies_between_the_best_fixed_profit_and_knowing_everything():
    y, p = customers()
    assert profit_curve(y, p, COSTS).best[1] <= empc(y, p, COSTS) < COSTS.churner_gain * y.mean()


def test_costs_with_which_no_campaign_pays_are_refused():
    with pytest.raises(ValidationError, match="loses money"):
        Costs.model_validate(COSTS.model_dump() | {"clv": 12})
    with pytest.raises(ValidationError, match="both 0"):
        Costs.model_validate(COSTS.model_dump() | {"offer": 0, "contact": 0})
