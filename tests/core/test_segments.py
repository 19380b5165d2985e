import numpy as np
import pandas as pd
import pytest

from churn.core.declaration import Feature
from churn.core.evaluation.segments import SegmentParameters, segments

FEATURES = (
    Feature(name="plan", type="category", label="Plan"),
    Feature(name="senior", type="boolean", label="Senior citizen"),
    Feature(name="months", type="integer", label="Months"),
)
LIMITS = SegmentParameters()


def customers(n=2000, seed=0):
    rng = np.random.default_rng(seed)
    plan = rng.choice(["basic", "pro"], n).astype(object)
    senior = (rng.random(n) < 0.3).astype(object)
    p = rng.beta(1, 2, n)
    return {"plan": plan, "senior": senior, "months": rng.integers(0, 60, n)}, rng.random(n) < p, p


def by_value(found):
    return {(segment.feature, segment.value): segment for segment in found}


def test_categories_and_booleans_split_the_customers_and_numbers_do_not():
    columns, y, p = customers()
    found = by_value(segments(columns, FEATURES, y, p, LIMITS))
    assert set(found) == {("plan", "basic"), ("plan", "pro"), ("senior", "No"), ("senior", "Yes")}
    member = columns["plan"] == "basic"
    basic = found["plan", "basic"]
    assert (basic.customers, basic.churners) == (member.sum(), y[member].sum())
    assert basic.gap == pytest.approx(p[member].mean() - y[member].mean())
    assert basic.roc_auc_low < basic.roc_auc < basic.roc_auc_high


def test_a_group_for_which_the_model_is_wrong_is_named_and_the_others_are_not():
    columns, y, p = customers()
    wrong = np.where(columns["plan"] == "pro", p * 0.6, p)
    verdicts = {key: segment.verdict for key, segment in by_value(segments(columns, FEATURES[:1], y, wrong, LIMITS)).items()}
    assert verdicts == {("plan", "basic"): "in line", ("plan", "pro"): "predicts too little"}
    over = segments(columns, FEATURES[:1], y, np.where(columns["plan"] == "pro", np.sqrt(p), p), LIMITS)
    assert by_value(over)["plan", "pro"].verdict == "predicts too much"


def test_small_groups_are_shown_and_not_judged():
    columns, y, p = customers()
    columns["plan"][:20] = "rare"
    y[:20] = False
    rare = by_value(segments(columns, FEATURES, y, p, LIMITS))["plan", "rare"]
    assert (rare.customers, rare.verdict, rare.roc_auc) == (20, "too small to judge", None)


def test_missing_values_are_a_group_of_their_own():
    columns, y, p = customers()
    columns["plan"][:100], columns["senior"][:60] = None, np.nan
    found = by_value(segments(columns, FEATURES, y, p, LIMITS))
    assert found["plan", "(missing)"].customers == 100
    assert found["senior", "(missing)"].customers == 60
    columns["senior"][:60] = [pd.NA] * 60  # what a nullable boolean of the training rows holds
    assert by_value(segments(columns, FEATURES, y, p, LIMITS))["senior", "(missing)"].customers == 60


def test_a_feature_with_too_many_values_is_left_out():
    columns, y, p = customers()
    columns["plan"] = np.array([f"plan {i % 30}" for i in range(y.size)], object)
    assert {segment.feature for segment in segments(columns, FEATURES, y, p, LIMITS)} == {"senior"}


def test_a_calibrated_model_is_blamed_in_at_most_one_of_twenty_runs():
    blamed = 0
    features = tuple(Feature(name=f"f{i}", type="boolean", label="f") for i in range(5))
    for seed in range(100):
        rng = np.random.default_rng(seed)
        p = rng.beta(1, 2, 600)
        columns = {feature.name: (rng.random(600) < 0.5).tolist() for feature in features}
        blamed += any(segment.verdict != "in line" for segment in segments(columns, features, rng.random(600) < p, p, LIMITS))
    assert blamed <= 0.05 * 100 + 4
