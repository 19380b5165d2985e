"""The quick way to one row's score against XGBoost's own call: equal to the last bit, whatever the trees and the row."""

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.core.modelling import quickscorer
from churn.core.modelling.baseline import fit_baseline
from churn.core.modelling.encoding import encode, learn_categories
from churn.core.modelling.ensemble import merge
from churn.core.modelling.linear_trees import linear_booster
from churn.core.modelling.model import feature_types
from churn.core.modelling.quickscorer import QuickScorer, TooLargeError, bound
from tests.core.test_model import FEATURES, boost, customers

ROWS, CHURNED = customers()
FILLED = learn_categories(FEATURES, ROWS)
CODES = encode(FILLED, ROWS)


def thresholds(booster: xgboost.Booster) -> list[float]:
    found = booster.trees_to_dataframe()["Split"].dropna().astype(float)
    return sorted({float(np.float32(value)) for value in found})


def linear() -> xgboost.Booster:
    matrix = xgboost.DMatrix(CODES[:2], CHURNED[:2], feature_types=feature_types(FILLED), enable_categorical=True, nthread=1)
    frame = xgboost.train({"objective": "binary:logistic", "base_score": 0.3}, matrix, 1)
    return linear_booster(fit_baseline(ROWS, CHURNED, FEATURES), CODES, frame, 0.3)


BOOSTERS = {
    "stumps": boost(ROWS, CHURNED, max_depth=1),
    "pairs": boost(ROWS, CHURNED, max_depth=2, max_cat_to_onehot=16),
    "more than a byte of leaves": boost(ROWS, CHURNED, max_depth=9, min_child_weight=0),
    "a logistic regression": linear(),
    "an average of all": merge([boost(ROWS, CHURNED, max_depth=depth) for depth in (1, 3, 6)] + [linear()], [3, 2, 1, 1]),
    "no split at all": boost(ROWS, CHURNED, gamma=1e9),
}
SCORERS = {name: QuickScorer(booster, FILLED) for name, booster in BOOSTERS.items()}
NUMBERS = st.one_of(st.none(), st.floats(-1e6, 1e6), st.integers(-5, 80), st.sampled_from(thresholds(BOOSTERS["an average of all"])))
VALUES = st.tuples(
    st.sampled_from([None, "basic", "plus", "pro", "unseen", ""]),
    st.sampled_from([None, "north", "south", "east", "west", "centre", "abroad", "elsewhere"]),
    st.sampled_from([None, True, False]),
    NUMBERS,
    NUMBERS,
)


def public(booster: xgboost.Booster, rows: list[tuple]) -> list[float]:
    columns = {feature.name: list(column) for feature, column in zip(FILLED, zip(*rows, strict=True), strict=True)}
    return np.asarray(booster.inplace_predict(encode(FILLED, columns)), np.float64).tolist()


@pytest.mark.parametrize("name", BOOSTERS)
@settings(max_examples=30)
@given(rows=st.lists(VALUES, min_size=1, max_size=8))
def test_a_row_scores_as_xgboost_scores_it_to_the_last_bit(name: str, rows: list[tuple]):
    assert [SCORERS[name](row) for row in rows] == public(BOOSTERS[name], rows)


@pytest.mark.parametrize("name", BOOSTERS)
def test_every_training_row_scores_as_among_the_others(name: str):
    rows = list(ROWS.astype(object).where(ROWS.notna(), None).itertuples(index=False, name=None))
    assert [SCORERS[name](row) for row in rows] == public(BOOSTERS[name], rows)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.integers(-3, 3))
def test_the_bound_of_a_threshold_parts_what_rounding_parts(threshold: float, steps: int):
    parted = bound(np.float32(threshold))
    value = parted
    for _ in range(abs(steps)):
        value = float(np.nextafter(value, np.inf if steps > 0 else -np.inf))
    with np.errstate(over="ignore"):
        assert (value >= parted) == (np.float32(value) >= np.float32(threshold))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e300, b"basic", "three", [1]])
def test_an_unusual_value_is_left_to_the_public_encoding(value: object):
    usual = ["basic", "north", True, 3, 5.0]
    for place, feature in enumerate(FILLED):
        if feature.type != "category" or not isinstance(value, str):
            with pytest.raises((TypeError, ValueError)):
                SCORERS["pairs"]([*usual[:place], value, *usual[place + 1 :]])


def test_masks_that_would_take_too_much_memory_are_not_made(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(quickscorer, "MOST_BYTES", 100)
    with pytest.raises(TooLargeError, match="12 trees"):
        QuickScorer(BOOSTERS["stumps"], FILLED)
