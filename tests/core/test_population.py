"""The sample population: what it is made of, that it resembles the real table, that its truth is true."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from pydantic import ValidationError
from sklearn.metrics import log_loss, roc_auc_score

from churn.core.declaration import Declaration
from churn.core.population import tables as t
from churn.core.population.customers import CHUNK, Change, Customers, SampleParameters, bayes_auc, bayes_log_loss, chunks, draw
from churn.core.population.ids import customer_ids
from tests.projects import ROOT

MANY = SampleParameters(rows=300_000, seed=11)
FEATURES = list(
    Declaration.parse(yaml.safe_load((ROOT / "conf/base/parameters/customers.yml").read_text(encoding="utf-8"))["customers"]).columns
)


@pytest.fixture(scope="module")
def many() -> Customers:
    return draw(MANY)


def changed(months: int = 13, **knobs: object) -> Customers:
    """60,000 customers in month 12."""
    return draw(SampleParameters(rows=60_000, first_month=months - 1, change=Change(**knobs)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("knobs", "rate", "auc", "loss"),
    [
        ({}, 0.265, 0.850, 0.410),
        ({"kappa": 1.25, "shift": 0.169}, 0.265, 0.885, None),
        ({"theta": 1.0}, None, 0.871, None),
    ],
)
def test_the_reachable_quality_is_the_documented_one(knobs: dict[str, float], rate: float | None, auc: float, loss: float | None) -> None:
    drawn = draw(MANY.model_copy(update=knobs))
    assert bayes_auc(drawn.probability) == pytest.approx(auc, abs=0.0015)
    if rate is not None:
        assert drawn.probability.mean() == pytest.approx(rate, abs=0.0015)
    if loss is not None:
        assert bayes_log_loss(drawn.probability) == pytest.approx(loss, abs=0.0015)


def test_churn_by_contract(many: Customers) -> None:
    rates = [many.churned[many.codes["Contract"] == contract].mean() for contract in (t.MONTHLY, t.ONE_YEAR, t.TWO_YEARS)]
    assert rates == pytest.approx([0.426, 0.120, 0.030], abs=0.005)


def test_outcomes_follow_their_probabilities(many: Customers) -> None:
    order = np.argsort(many.probability)
    for part in np.array_split(order, 20):
        p = many.probability[part]
        assert abs(many.churned[part].mean() - p.mean()) < 4 * np.sqrt((p * (1 - p)).sum()) / len(part)


def test_services_fit_each_other(many: Customers) -> None:
    no_internet = many.codes["InternetService"] == t.NO_INTERNET
    for name in t.ADD_ONS:
        assert_array_equal(many.codes[name] == t.NOT_AVAILABLE, no_internet)
    assert_array_equal(many.codes["MultipleLines"] == t.NOT_AVAILABLE, many.codes["PhoneService"] == 0)
    assert many.codes["PaymentMethod"].max() < t.DIGITAL_WALLET


def test_charges_fit_the_services(many: Customers) -> None:
    assert many.monthly_charges.min() == t.LOWEST_PRICE
    assert_array_equal(np.isnan(many.total_charges), many.tenure == 0)
    assert_array_equal(many.total_charges[many.tenure == 1], many.monthly_charges[many.tenure == 1])
    old = many.tenure > 1
    ratio = many.total_charges[old] / (many.tenure * many.monthly_charges)[old] - 1
    assert np.std(ratio * np.sqrt(many.tenure[old])) == pytest.approx(t.TOTAL_NOISE, abs=0.005)
    assert_array_equal(many.monthly_charges, np.round(many.monthly_charges, 2))


def test_the_shares_of_every_table_sum_to_one() -> None:
    for shares in (t.TENURE_SHARES, t.CONTRACT_SHARES, t.INTERNET_SHARES, t.PAYMENT_SHARES):
        assert shares.sum(axis=-1) == pytest.approx(1, abs=0.002)


def test_a_longer_table_starts_with_the_shorter_one() -> None:
    short, long = (
        draw(SampleParameters(rows=rows, change=Change(missing=0.1, missing_columns=("TechSupport",)))) for rows in (900, CHUNK + 70)
    )
    assert len(long.customer_id) == CHUNK + 70
    assert_array_equal(long.customer_id[:900], short.customer_id)
    assert_array_equal(long.probability[:900], short.probability)
    assert_array_equal(long.total_charges[:900], short.total_charges)
    assert_array_equal(long.codes["TechSupport"][:900], short.codes["TechSupport"])


def test_chunks_differ_and_so_do_seeds() -> None:
    first, second = (part.probability[:1000] for part in chunks(SampleParameters(rows=CHUNK + 1000)))
    other = draw(SampleParameters(rows=1000, seed=1)).probability
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_the_draw_of_a_seed_stays_what_it_was() -> None:
    """A change here means that every published figure on the sample table changes: say so in the changelog."""
    drawn = draw(SampleParameters(rows=3))
    assert drawn.customer_id.tolist() == [b"7957-YHCMM", b"8939-XFVDK", b"5817-NZEQK"]
    assert drawn.tenure.tolist() == [36, 31, 70]
    assert drawn.monthly_charges.tolist() == [75.0, 70.25, 20.55]


def test_ids_are_unique_and_look_like_the_real_ones(many: Customers) -> None:
    assert len(np.unique(many.customer_id)) == MANY.rows
    assert all(re.fullmatch(rb"\d{4}-[A-Z]{5}", key) for key in many.customer_id[:1000])
    assert not set(customer_ids(np.arange(1000), 1)) & set(customer_ids(np.arange(1000), 2))


@given(st.integers(0, 2**63), st.lists(st.integers(0, 10**4 * 26**5 - 1), unique=True, max_size=50))
def test_no_two_rows_share_an_id(seed: int, rows: list[int]) -> None:
    assert len(set(customer_ids(np.array(rows, np.int64), seed).tolist())) == len(rows)


def test_a_row_without_an_id_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and"):
        customer_ids(np.array([10**4 * 26**5]), 0)


def brute_force_auc(p: NDArray[np.float64]) -> float:
    wins = p[:, None] * (1 - p)[None, :] * np.where(p[:, None] > p[None, :], 1.0, np.where(p[:, None] == p[None, :], 0.5, 0.0))
    return float(wins.sum() / (p.sum() * (1 - p).sum()))


@given(st.lists(st.sampled_from([0.0, 0.01, 0.2, 0.2000001, 0.5, 0.9, 1.0]), min_size=1, max_size=40))
def test_bayes_auc_is_its_definition(values: list[float]) -> None:
    p = np.array(values)
    if 0 < p.sum() < len(p):
        assert bayes_auc(p) == pytest.approx(brute_force_auc(p), abs=1e-12)
    else:
        assert np.isnan(bayes_auc(p))


def test_bayes_figures_are_what_the_truth_scores(many: Customers) -> None:
    assert roc_auc_score(many.churned, many.probability) == pytest.approx(bayes_auc(many.probability), abs=0.004)
    assert log_loss(many.churned, many.probability) == pytest.approx(bayes_log_loss(many.probability), abs=0.004)


def test_bayes_log_loss_of_certainty_is_zero() -> None:
    assert bayes_log_loss(np.array([0.0, 1.0])) == 0
    assert bayes_log_loss(np.array([0.5])) == pytest.approx(np.log(2))
    assert np.isnan(bayes_log_loss(np.array([])))


def share(customers: Customers, name: str, code: int) -> float:
    return float((customers.codes[name] == code).mean())


def test_nothing_changes_unless_a_knob_is_turned() -> None:
    now, later = draw(SampleParameters(rows=1000)), draw(SampleParameters(rows=1000, first_month=24))
    assert_array_equal(now.probability, later.probability)
    assert_array_equal(now.monthly_charges, later.monthly_charges)


def test_each_knob_moves_what_it_names() -> None:
    still = changed()
    assert changed(churn_level=0.05).churned.mean() > still.churned.mean() + 0.05
    assert changed(price=0.01).monthly_charges.mean() == pytest.approx(1.01**12 * still.monthly_charges.mean(), rel=1e-3)
    assert share(changed(monthly_contracts=0.05), "Contract", t.MONTHLY) > share(still, "Contract", t.MONTHLY) + 0.05
    assert share(changed(fiber=-0.05), "InternetService", t.FIBER) < share(still, "InternetService", t.FIBER) - 0.05
    faded = changed(fiber_effect=0.05)
    fiber = still.codes["InternetService"] == t.FIBER
    assert faded.probability[fiber].mean() < still.probability[fiber].mean() - 0.05
    assert_array_equal(faded.probability[~fiber], still.probability[~fiber])


def test_a_competitor_draws_the_customers_it_aims_at_from_its_month_on() -> None:
    before, after = (
        draw(SampleParameters(rows=5000, first_month=m, change=Change(competitor_month=6, competitor_effect=1.0))) for m in (5, 6)
    )
    aimed = (after.codes["InternetService"] == t.FIBER) & (after.codes["Contract"] == t.MONTHLY)
    assert_array_equal(after.probability > before.probability, aimed)


def test_a_new_category_appears_in_its_month() -> None:
    knobs = Change(new_category_month=3, new_category_share=0.2)
    drawn = draw(SampleParameters(rows=20_000, months=5, change=knobs))
    wallet = drawn.codes["PaymentMethod"] == t.DIGITAL_WALLET
    assert not wallet[drawn.month < 3].any()
    assert wallet[drawn.month >= 3].mean() == pytest.approx(0.2, abs=0.01)


def test_missing_cells_grow_and_the_truth_stays() -> None:
    drawn = draw(SampleParameters(rows=20_000, months=3, change=Change(missing=0.1, missing_columns=("TechSupport", "MonthlyCharges"))))
    full = draw(SampleParameters(rows=20_000, months=3))
    for empty in (drawn.codes["TechSupport"] == -1, np.isnan(drawn.monthly_charges)):
        assert [empty[drawn.month == month].mean() for month in range(3)] == pytest.approx([0, 0.1, 0.2], abs=0.01)
    assert_array_equal(drawn.probability, full.probability)


def test_late_outcomes_are_empty_and_kept_in_the_truth() -> None:
    drawn = draw(SampleParameters(rows=1000, months=4, outcome_delay=2))
    assert_array_equal(drawn.codes["Churn"] == -1, drawn.month >= 2)
    known = drawn.month < 2
    assert_array_equal(drawn.codes["Churn"][known] == 1, drawn.churned[known])
    assert drawn.churned[~known].any()


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"rows": 0}, "rows"),
        ({"rows": 60_000_000, "months": 2}, "the most is"),
        ({"outcome_delay": 1}, "no outcome would be known"),
        ({"start": "2026-11-15"}, "first day of a month"),
        ({"change": {"missing_columns": ["tenure"]}}, "missing_columns"),
        ({"row": 5}, "Extra inputs"),
    ],
)
def test_knobs_that_make_no_sense_are_refused(knobs: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SampleParameters.model_validate(knobs)


def test_months_start_on_the_first() -> None:
    parameters = SampleParameters()
    assert [parameters.month_start(m).isoformat() for m in (0, 1, 2, 14)] == ["2026-11-01", "2026-12-01", "2027-01-01", "2028-01-01"]


def test_features_are_the_declared_ones(many: Customers) -> None:
    features = draw(SampleParameters(rows=2000)).features()
    assert list(features) == FEATURES
    assert features["Partner"].dtype == features["SeniorCitizen"].dtype == np.bool_
    assert features["tenure"].dtype == np.int64
    assert not np.isnan(features["TotalCharges"]).any()
    assert set(features["InternetService"]) == {"DSL", "Fiber optic", "No"}


@pytest.mark.real_data
def test_one_way_shares_are_the_real_tables(real_data: Path, many: Customers) -> None:
    import pandas as pd

    real = pd.read_csv(real_data / "telco" / "Telco-Customer-Churn.csv")
    for name, values in many.features().items():
        theirs = real[name].map({"Yes": True, "No": False, 1: True, 0: False}) if values.dtype == np.bool_ else real[name]
        if theirs.nunique() <= 4:
            ours = pd.Series(values).value_counts(normalize=True)
            # gender is 50:50 by design; the table's own 50.5 is noise
            pd.testing.assert_series_equal(
                ours.sort_index(),
                theirs.value_counts(normalize=True).sort_index(),
                check_names=False,
                check_index_type=False,
                rtol=0,
                atol=0.006,
            )
    assert many.tenure.mean() == pytest.approx(real["tenure"].mean(), rel=0.01)
    assert many.monthly_charges.mean() == pytest.approx(real["MonthlyCharges"].mean(), rel=0.01)
    assert many.monthly_charges.std() == pytest.approx(real["MonthlyCharges"].std(), rel=0.02)
    assert many.churned.mean() == pytest.approx((real["Churn"] == "Yes").mean(), abs=0.005)


@pytest.mark.real_data
def test_models_reach_on_the_sample_what_they_reach_on_the_real_table(real_data: Path) -> None:
    """Logistic regression about .844, XGBoost at its defaults .02 to .03 lower, on both; one draw's noise is .005."""
    import pandas as pd

    real = pd.read_csv(real_data / "telco" / "Telco-Customer-Churn.csv")
    real["TotalCharges"] = pd.to_numeric(real["TotalCharges"], errors="coerce").fillna(0.0)
    draws = [draw(SampleParameters(rows=len(real), seed=seed)) for seed in range(3)]
    on_real = _two_aucs(real[FEATURES], real["Churn"] == "Yes")
    on_sample = np.mean([_two_aucs(pd.DataFrame(drawn.features()), drawn.churned) for drawn in draws], axis=0)
    assert on_sample == pytest.approx(on_real, abs=0.015)
    assert on_sample[1] + 0.015 < on_sample[0] < np.mean([bayes_auc(drawn.probability) for drawn in draws])


def _two_aucs(features: Any, churned: Any) -> list[float]:
    """Five-fold ROC-AUC of a logistic regression and of XGBoost at its defaults."""
    import pandas as pd
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from xgboost import XGBClassifier

    table = pd.get_dummies(features).astype(float)
    folds = StratifiedKFold(5, shuffle=True, random_state=1000)
    models = (make_pipeline(StandardScaler(), LogisticRegression()), XGBClassifier(n_jobs=1))
    return [float(roc_auc_score(churned, cross_val_predict(m, table, churned, cv=folds, method="predict_proba")[:, 1])) for m in models]
