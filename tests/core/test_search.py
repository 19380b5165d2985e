import numpy as np
import pandas as pd
import pytest
import xgboost
from pydantic import ValidationError

from churn.core.declaration import Feature
from churn.core.errors import ChurnError
from churn.core.modelling.baseline import fit_baseline, fit_baseline_encoded
from churn.core.modelling.boosting import FIXED, Examples
from churn.core.modelling.encoding import encode, learn_categories
from churn.core.modelling.ensemble import log_loss
from churn.core.modelling.linear_trees import linear_booster
from churn.core.modelling.model import feature_types
from churn.core.modelling.search import LIBRARY_DEFAULTS, STARTERS
from churn.core.modelling.training import TrainedModel, TrainingParameters, train
from churn.core.split import folds

FEATURES = (
    Feature(name="plan", type="category", values=("basic", "plus", "pro", "never sold"), label="Plan"),
    Feature(name="region", type="category", label="Region"),
    Feature(name="loyal", type="boolean", label="Loyal"),
    Feature(name="months", type="integer", label="Months"),
    Feature(name="spend", type="number", label="Spend"),
)
BUDGET = {"trials": 8, "folds": 3, "members": 3, "rounds": 200, "patience": 10}


def quick(**changes: object) -> TrainingParameters:
    raw = {"budget": "quick", "budgets": {"quick": BUDGET}, "search_rows": 5000, "seed": 1, "threads": 1}
    return TrainingParameters.model_validate({**raw, **changes})


def customers(count: int = 800, seed: int = 4) -> tuple[pd.DataFrame, np.ndarray, list[str]]:
    draw = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "plan": draw.choice(["basic", "plus", "pro"], count),
            "region": draw.choice(["north", "south", "east"], count),
            "loyal": draw.random(count) < 0.4,
            "months": draw.integers(0, 72, count),
            "spend": draw.gamma(2.0, 30.0, count),
        }
    )
    linear = 0.9 * (rows.plan == "basic") - 0.04 * rows.months + 0.01 * rows.spend
    score = linear + 2.0 * ((rows.months > 30) & (rows.plan == "pro"))
    rows.loc[draw.random(count) < 0.1, "spend"] = np.nan
    return rows, (draw.random(count) < 1 / (1 + np.exp(-score))).to_numpy(), [f"C{number:05d}" for number in draw.permutation(count)]


def fit(rows: pd.DataFrame, churned: np.ndarray, ids: list[str], parameters: TrainingParameters | None = None) -> TrainedModel:
    return train(rows, churned, ids, FEATURES, parameters or quick(), threshold=0.2, schema_sha256="s")


@pytest.fixture(scope="module")
def table() -> tuple[pd.DataFrame, np.ndarray, list[str]]:
    return customers()


@pytest.fixture(scope="module")
def trained(table) -> TrainedModel:
    return fit(*table)


def logit(probability: np.ndarray) -> np.ndarray:
    return np.log(probability / (1 - probability))


def test_threads_and_the_order_of_rows_do_not_change_the_model(table, trained):
    rows, churned, ids = table
    shuffled = np.random.default_rng(0).permutation(len(ids))
    again = fit(rows.iloc[shuffled], churned[shuffled], [ids[place] for place in shuffled], quick(threads=2))
    assert again.model.sha256 == trained.model.sha256
    np.testing.assert_array_equal(again.oof, trained.oof[shuffled])


def test_several_rows_of_a_customer_may_come_in_any_order_and_stay_in_one_fold(table):
    rows, churned, ids = table
    twice = [f"C{int(key[1:]) // 2}" for key in ids]
    parameters = quick(budgets={"quick": {**BUDGET, "trials": 4}})
    shuffled = np.random.default_rng(1).permutation(len(ids))
    first = fit(rows, churned, twice, parameters)
    second = fit(rows.iloc[shuffled], churned[shuffled], [twice[place] for place in shuffled], parameters)
    assert first.model.sha256 == second.model.sha256


def test_the_seed_changes_the_model(table, trained):
    assert fit(*table, quick(seed=2)).model.sha256 != trained.model.sha256


def test_the_starters_are_always_among_the_trials_and_run_on_all_folds(trained):
    first = [trial["parameters"] for trial in trained.trials[: len(STARTERS)]]
    assert [parameters["max_depth"] for parameters in first] == [starter["max_depth"] for starter in STARTERS]
    assert {name: first[0][name] for name in ("eta", "lambda", "alpha", "gamma")} == {"eta": 0.3, "lambda": 1, "alpha": 0, "gamma": 0}
    assert LIBRARY_DEFAULTS["max_depth"] == 6
    assert 1 in [parameters["max_depth"] for parameters in first]
    assert all(len(trial["rounds"]) == 3 for trial in trained.trials[: len(STARTERS)])
    assert len(trained.trials) == BUDGET["trials"]


def test_weights_sum_to_one_and_the_heaviest_member_is_reported(trained):
    weights = [trial["weight"] for trial in trained.trials]
    assert sum(weights) + trained.parameters["linear_weight"] == pytest.approx(1)
    heaviest = trained.trials[int(np.argmax(weights))]["parameters"]
    assert heaviest.items() <= trained.parameters.items()
    assert min(trained.history) < trained.history[0]


def test_out_of_fold_scores_are_honest_and_in_the_order_of_the_rows(table, trained):
    rows, churned, _ = table
    seen = log_loss(churned, logit(trained.model.predict(rows)))
    held_out = log_loss(churned, logit(trained.oof))
    assert seen < held_out < log_loss(churned, np.full(len(churned), logit(churned.mean())))


def test_the_model_beats_defaults_and_baseline_on_fresh_customers(trained, table):
    rows, churned, _ = table
    fresh, outcome, _ = customers(8000, seed=5)
    features = trained.model.spec.features
    matrix = xgboost.DMatrix(encode(features, rows), churned, feature_types=feature_types(features), enable_categorical=True)
    defaults = xgboost.train({"objective": "binary:logistic", "nthread": 1}, matrix, 100).inplace_predict(encode(features, fresh))
    ours = log_loss(outcome, logit(trained.model.predict(fresh)))
    assert ours < log_loss(outcome, logit(defaults.astype(float)))
    assert ours < log_loss(outcome, logit(fit_baseline(rows, churned, FEATURES).predict(fresh)))


def test_on_a_small_linear_table_the_logistic_regression_is_in_the_model_and_no_worse():
    features = tuple(Feature(name=f"x{place}", type="number", label="X") for place in range(8))
    draw = np.random.default_rng(6)
    values = draw.normal(size=(6400, 8))
    churned = draw.random(6400) < 1 / (1 + np.exp(-0.5 * values.sum(axis=1)))
    rows = pd.DataFrame(values, columns=[feature.name for feature in features])
    seen, fresh = rows.iloc[:400], rows.iloc[400:]
    ids = [str(number) for number in range(400)]
    fitted = train(seen, churned[:400], ids, features, quick(), threshold=0.2, schema_sha256="s")
    baseline = log_loss(churned[400:], logit(fit_baseline(seen, churned[:400], features).predict(fresh)))
    assert fitted.parameters["linear_weight"] > 0
    assert log_loss(churned[400:], logit(fitted.model.predict(fresh))) < baseline + 0.003


def test_a_logistic_regression_written_as_trees_scores_as_it_does_and_explains_exactly(table):
    rows, churned, _ = table
    features = learn_categories(FEATURES, rows)
    codes = encode(features, rows)
    codes[:40, 0] = np.nan
    baseline = fit_baseline_encoded(codes, churned, features)
    matrix = xgboost.DMatrix(codes, churned, feature_types=feature_types(features), enable_categorical=True)
    frame = xgboost.train({**FIXED, "base_score": 0.4}, matrix, 1)
    booster = linear_booster(baseline, codes, frame, 0.4)
    margins = booster.predict(matrix, output_margin=True)
    gaps = np.abs(margins - baseline.margins(codes))
    assert gaps.mean() < 0.01
    known = np.isnan(codes[:, 4])  # without the one feature of more values than bins, the steps are exact
    np.testing.assert_allclose(margins[known], baseline.margins(codes)[known], atol=1e-5)
    np.testing.assert_array_equal(booster.inplace_predict(codes, predict_type="margin"), margins)
    np.testing.assert_allclose(booster.predict(matrix, pred_contribs=True).sum(axis=1), margins, atol=1e-5)


def test_learned_categories_stay_with_the_model(trained):
    assert trained.model.spec.features[1].values == ("east", "north", "south")
    assert trained.model.spec.features[0].values == FEATURES[0].values
    assert trained.model.golden_difference() == 0


def test_a_large_table_is_searched_on_some_rows_and_fitted_on_all(table):
    rows, churned, ids = customers(3000)
    parameters = quick(search_rows=1000, budgets={"quick": {**BUDGET, "trials": 4}})
    fitted = fit(rows, churned, ids, parameters)
    assert parameters.final_folds(3000) == 2
    assert (parameters.members(900), parameters.members(3000)) == (3, 1)
    assert sum(trial["weight"] > 0 for trial in fitted.trials) + (fitted.parameters["linear_weight"] > 0) == 1
    assert parameters.final_folds(1100) == 2
    assert np.isfinite(fitted.oof).all()
    assert ((fitted.oof > 0) & (fitted.oof < 1)).all()


def test_too_few_churners_are_named_before_anything_is_fitted(table):
    rows, churned, ids = table
    few = np.zeros_like(churned)
    few[:1] = True
    with pytest.raises(ChurnError, match="800 training rows with 1 churners do not fill even 2 folds"):
        fit(rows, few, ids)


def test_so_few_churners_that_a_fold_would_lack_them_get_fewer_folds(table, caplog):
    rows, _, ids = table
    thirds, halves = folds(ids, 3), folds(ids, 2)
    few = np.zeros(len(ids), bool)
    few[[*np.flatnonzero((thirds == 0) & (halves == 0))[:6], *np.flatnonzero((thirds == 2) & (halves == 1))[:5]]] = True
    fitted = fit(rows, few, ids, quick(budgets={"quick": {**BUDGET, "trials": 4}}))
    assert all(len(trial["rounds"]) == 2 for trial in fitted.trials)
    assert np.isfinite(fitted.oof).all()
    assert "2 folds instead of 3" in caplog.text


def test_a_budget_that_is_not_listed_is_refused_with_the_choices():
    with pytest.raises(ValidationError, match="'thorough', but `budgets` has quick"):
        quick(budget="thorough")


def test_an_empty_and_a_constant_column_do_no_harm():
    rows, churned, ids = customers(600)
    fitted = fit(rows.assign(spend=np.nan, months=5), churned, ids, quick(budgets={"quick": {**BUDGET, "trials": 4}}))
    assert np.isfinite(fitted.model.predict(rows)).all()


def test_examples_know_their_folds_and_churn_rate():
    examples = Examples(np.zeros((4, 1), np.float32), np.array([0, 1, 0, 0], np.float32), np.array([0, 2, 0, 2]), FEATURES[-1:])
    assert examples.folds == (0, 2)
    assert examples.churn_rate == 0.25
