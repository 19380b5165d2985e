import numpy as np
import pandas as pd
import pytest
import xgboost

from churn.core.decisions.reasons import in_words
from churn.core.decisions.retention import REASONS, misfits, reason_columns, score_columns
from churn.core.declaration import Feature
from churn.core.evaluation.profit import Costs, expected_value, profit, profit_threshold
from churn.core.modelling.encoding import encode
from churn.core.modelling.model import ChurnModel, build_model, feature_types

FEATURES = (
    Feature(name="contract", type="category", values=("monthly", "yearly"), label="Contract"),
    Feature(name="senior", type="boolean", label="Senior citizen"),
    Feature(name="tenure", type="integer", unit="month", label="Tenure"),
    Feature(name="charges", type="number", unit="USD", label="Monthly charges"),
)
COSTS = Costs(clv=300, offer=20, contact=2, success_rate=0.25, success_evidence=20)


def table(rows: int, seed: int = 0) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "contract": draw.choice(["monthly", "yearly"], rows),
            "senior": draw.random(rows) < 0.3,
            "tenure": draw.integers(0, 72, rows),
            "charges": draw.gamma(4.0, 15.0, rows),
        }
    )


def fit(features: tuple[Feature, ...], rows: pd.DataFrame) -> ChurnModel:
    draw = np.random.default_rng(1)
    churned = -0.05 * rows["tenure"] + 1.5 * (rows["contract"] == "monthly") + draw.normal(size=len(rows)) > 0
    matrix = xgboost.DMatrix(encode(features, rows), churned, feature_types=feature_types(features), enable_categorical=True)
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 3, "nthread": 1}, matrix, 15)
    return build_model(booster, features, rows, threshold=0.4, schema_sha256="")


@pytest.fixture(scope="module")
def model() -> ChurnModel:
    return fit(FEATURES, table(800))


def test_the_expected_value_of_contacting_by_hand():
    # A churner is worth .25 x (300 - 20) - 2 = 68; a stayer costs the offer and the contact, 22.
    values = expected_value([0.0, 0.1, 0.5, 1.0], COSTS)
    np.testing.assert_allclose(values, [-22.0, 0.1 * 68 - 0.9 * 22, 0.5 * 68 - 0.5 * 22, 68.0], rtol=1e-15)


def test_contacting_pays_above_the_threshold_and_only_there():
    threshold = profit_threshold(COSTS)
    below, above = expected_value([threshold - 1e-9, threshold + 1e-9], COSTS)
    assert below < 0 < above


def test_the_expected_value_is_what_a_campaign_earns_on_average():
    draw = np.random.default_rng(3)
    probability = draw.random(200_000)
    churned = draw.random(200_000) < probability
    earned = profit(churned, probability, 0.0, COSTS)
    assert earned == pytest.approx(expected_value(probability, COSTS).mean(), abs=0.5)


def test_scores_are_the_models(model):
    rows = table(50, seed=5)
    found = score_columns(model, rows, COSTS)
    np.testing.assert_array_equal(found["churn_probability"], model.predict(rows))
    np.testing.assert_array_equal(found["expected_value"], expected_value(model.predict(rows), COSTS))
    np.testing.assert_array_equal(found["churn"], model.predict(rows) >= 0.4)
    assert found["threshold"] == 0.4


def test_the_reasons_are_the_three_strongest_contributions(model):
    rows = table(20, seed=6)
    rows.loc[3, "contract"] = None
    values = {name: rows[name].tolist() for name in model.names}
    found = reason_columns(model, rows, values, model.spec.features)
    effects, _ = model.explain(rows)
    for row in range(len(rows)):
        by_strength = sorted(range(4), key=lambda place: -abs(effects[row, place]))[:3]
        expected = [in_words(FEATURES[place], rows.iloc[row, place], effects[row, place]) for place in by_strength]
        assert [found[name][row] for name in REASONS] == expected
    assert any("contract: not known" in str(found[name][3]).casefold() for name in REASONS)


def test_a_model_of_two_features_has_two_reasons():
    features, rows = (FEATURES[0], FEATURES[2]), table(300)
    small = fit(features, rows)
    found = reason_columns(small, rows.head(4), {name: rows[name].head(4).tolist() for name in small.names}, features)
    assert all(found["reason_1"])
    assert all(found["reason_2"])
    assert found["reason_3"] == [None] * 4


def test_misfits_name_what_is_missing_and_what_is_of_another_kind():
    types = {"contract": "integer", "tenure": "category", "charges": None, "other": "number"}
    assert misfits(FEATURES, types) == [
        "senior is missing",
        "contract is a number, to the model text",
        "tenure is text, to the model a number",
        "charges is of an unknown type, to the model a number",
    ]
    assert misfits(FEATURES, {"contract": "category", "senior": "integer", "tenure": "number", "charges": "integer"}) == []
