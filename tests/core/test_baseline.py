import tracemalloc

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from churn.core.declaration import Feature
from churn.core.modelling.baseline import Baseline, fit_baseline, fit_baseline_encoded

FEATURES = (
    Feature(name="plan", type="category", label="Plan"),
    Feature(name="loyal", type="boolean", label="Loyal"),
    Feature(name="months", type="integer", label="Months"),
    Feature(name="spend", type="number", label="Spend"),
)


def customers(count: int = 800, gaps: float = 0.0) -> tuple[pd.DataFrame, np.ndarray]:
    draw = np.random.default_rng(2)
    rows = pd.DataFrame(
        {
            "plan": draw.choice(["basic", "plus", "pro"], count),
            "loyal": draw.random(count) < 0.3,
            "months": draw.integers(0, 60, count),
            "spend": draw.gamma(2.0, 30.0, count),
        }
    )
    score = 1.0 * (rows.plan == "pro") - 0.04 * rows.months + 0.012 * rows.spend
    churned = draw.random(count) < 1 / (1 + np.exp(-score))
    hidden = draw.random(count) < gaps
    rows.loc[hidden, "spend"] = np.nan
    return rows, churned


def test_it_is_the_logistic_regression_of_scikit_learn():
    rows, churned = customers()
    one_hot = OneHotEncoder(drop="first", sparse_output=False)
    prepare = make_column_transformer((one_hot, ["plan"]), (StandardScaler(), ["loyal", "months", "spend"]))
    reference = make_pipeline(prepare, LogisticRegression(tol=1e-6, max_iter=1000)).fit(rows, churned)
    np.testing.assert_allclose(fit_baseline(rows, churned, FEATURES).predict(rows), reference.predict_proba(rows)[:, 1], atol=1e-4)


def test_it_survives_json_to_the_last_bit():
    rows, churned = customers(gaps=0.2)
    fitted = fit_baseline(rows, churned, FEATURES)
    again = Baseline.model_validate_json(fitted.model_dump_json())
    np.testing.assert_array_equal(again.predict(rows), fitted.predict(rows))
    assert len(fitted.terms) == len(fitted.coefficients)


def test_a_missing_value_has_a_term_of_its_own_only_where_training_missed_one():
    assert "spend missing" in fit_baseline(*customers(gaps=0.2), FEATURES).terms
    assert "spend missing" not in fit_baseline(*customers(), FEATURES).terms


def test_unseen_and_missing_values_still_get_a_probability():
    rows, churned = customers()
    fitted = fit_baseline(rows, churned, FEATURES)
    score = fitted.predict({"plan": ["gold", None], "loyal": [None, True], "months": [None, 3], "spend": [None, 1.0]})
    assert score[0] == pytest.approx(1 / (1 + np.exp(-fitted.intercept)))
    assert ((score > 0) & (score < 1)).all()


def test_a_constant_column_does_no_harm():
    rows, churned = customers()
    fitted = fit_baseline(rows.assign(months=5), churned, FEATURES)
    assert np.isfinite(fitted.coefficients).all()


def test_a_category_of_many_values_costs_a_number_per_row_and_not_one_per_value():
    draw = np.random.default_rng(0)
    feature = Feature(name="city", type="category", label="City", values=tuple(f"c{number}" for number in range(2000)))
    codes, churned = draw.integers(0, 2000, (10_000, 1)).astype(np.float32), draw.random(10_000) < 0.2
    tracemalloc.start()
    fitted = fit_baseline_encoded(codes, churned, [feature])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(fitted.terms) == 1999
    assert peak < 10_000 * 2000 * 8 / 20
