"""Two-sample tests, PSI and the verdict: against references, for false alarms and for power."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from churn.core.monitoring.drift import ColumnDrift, compare_twice
from churn.core.monitoring.drift import compare as compare_columns
from churn.core.monitoring.parameters import DriftParameters
from churn.core.monitoring.table import Values
from churn.core.monitoring.two_sample import chi_square_two_sample, holm, ks_two_sample, population_stability_index
from churn.core.population.customers import Change, Customers, SampleParameters, draw

PARAMETERS = DriftParameters()
ERROR = 0.01


def compare(reference: dict[str, Values], current: dict[str, Values]) -> tuple[ColumnDrift, ...]:
    return compare_columns(reference, current, ERROR, PARAMETERS)


def drifted(found: tuple[ColumnDrift, ...]) -> tuple[str, ...]:
    return tuple(column.column for column in found if column.drifted)


def columns(customers: Customers) -> dict[str, Values]:
    """The features of drawn customers as `compare` takes them."""
    numbers = {"tenure": customers.tenure.astype(np.float64), "MonthlyCharges": customers.monthly_charges}
    codes: dict[str, Values] = {name: codes.astype(np.int64) for name, codes in customers.codes.items() if name != "Churn"}
    return {**codes, "SeniorCitizen": customers.senior.astype(np.int64), **numbers}


def part(values: dict[str, Values], rows: slice) -> dict[str, Values]:
    return {name: column[rows] for name, column in values.items()}


def found(summary: tuple[ColumnDrift, ...], name: str) -> tuple[float, float, bool]:
    column = next(column for column in summary if column.column == name)
    return column.p_value, column.psi, column.drifted


@pytest.mark.parametrize("seed", range(5))
def test_ks_agrees_with_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=900), rng.normal(0.1, 1.1, size=400)
    statistic, p_value = ks_two_sample(a, b)
    reference = stats.ks_2samp(a, b, method="asymp")
    assert statistic == pytest.approx(reference.statistic, abs=1e-12)
    assert p_value == pytest.approx(reference.pvalue, abs=0.02)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_ks_with_ties_agrees_with_scipy(a: list[int], b: list[int]) -> None:
    x, y = np.array(a, np.float64), np.array(b, np.float64)
    assert ks_two_sample(x, y)[0] == pytest.approx(stats.ks_2samp(x, y, method="asymp").statistic, abs=1e-12)


def test_chi_square_agrees_with_scipy() -> None:
    reference, current = np.array([500, 300, 200]), np.array([90, 80, 30])
    expected = stats.chi2_contingency([reference, current], correction=False)
    assert chi_square_two_sample(reference, current) == pytest.approx((expected.statistic, expected.pvalue))


def test_rare_categories_are_pooled() -> None:
    many_rare = chi_square_two_sample(np.array([900, 60, 20, 20, 20]), np.array([90, 6, 3, 3, 2]))
    pooled = stats.chi2_contingency([[900, 60, 60], [90, 6, 8]], correction=False)
    assert many_rare == pytest.approx((pooled.statistic, pooled.pvalue))
    assert chi_square_two_sample(np.array([3, 2]), np.array([1, 1])) == (0.0, 1.0)


def test_what_is_rare_even_together_is_tested_exactly() -> None:
    alone = chi_square_two_sample(np.array([5616, 10]), np.array([197, 3]))
    assert alone[1] == pytest.approx(stats.fisher_exact([[5616, 10], [197, 3]]).pvalue)
    beside = chi_square_two_sample(np.array([900, 95, 2, 1, 2]), np.array([90, 8, 1, 1, 0]))
    assert beside[1] == pytest.approx(min(1, 2 * stats.fisher_exact([[995, 5], [98, 2]]).pvalue))
    frequent = stats.chi2_contingency([[500, 495], [80, 18]], correction=False)
    assert chi_square_two_sample(np.array([500, 495, 5]), np.array([80, 18, 1]))[1] == pytest.approx(2 * frequent.pvalue)


def test_columns_with_a_rare_value_stay_quiet() -> None:
    """200 windows of 19 columns each: at 1% family-wise error more than 8 alarms have a chance below 0.1%."""
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(200):
        reference, current = ({f"c{j}": (rng.random(rows) < 0.001).astype(np.int64) for j in range(19)} for rows in (5626, 200))
        alarms += bool(drifted(compare(reference, current)))
    assert alarms <= 8


@pytest.mark.parametrize("share", [0.6, 0.95])
def test_what_moves_beside_a_heavy_value_has_a_size(share: float) -> None:
    rng = np.random.default_rng(0)

    def mostly_zero(rows: int, times: float) -> np.ndarray:
        return np.where(rng.random(rows) < share, 0.0, times * rng.lognormal(0, 1, rows))

    p_value, psi, found_drift = found(compare({"x": mostly_zero(20_000, 1)}, {"x": mostly_zero(20_000, 3)}), "x")
    assert (p_value < 0.001, psi > 0.03, found_drift) == (True, True, True)
    p_value, psi, found_drift = found(compare({"x": mostly_zero(20_000, 1)}, {"x": mostly_zero(20_000, 1)}), "x")
    assert (psi < 0.005, found_drift) == (True, False)


def test_a_constant_that_becomes_another_is_drift() -> None:
    for now in (-1.0, 1e-9, 2.0):
        assert drifted(compare({"x": np.zeros(5000)}, {"x": np.full(1000, now)})) == ("x",)


def test_psi_by_hand() -> None:
    reference, current = np.array([700, 300]), np.array([500, 500])
    assert population_stability_index(reference, current) == pytest.approx(0.2 * np.log(7 / 3), rel=0.01)
    assert population_stability_index(reference, reference) == 0
    assert np.isfinite(population_stability_index(np.array([10, 0]), np.array([0, 10])))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_lies_between_the_raw_values_and_bonferroni(values: list[float]) -> None:
    p = np.array(values)
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(p * len(p), 1) + 1e-15).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_holm_by_hand() -> None:
    assert holm(np.array([0.04, 0.01, 0.03])) == pytest.approx([0.06, 0.03, 0.06])


@pytest.mark.parametrize(("reference_rows", "window"), [(1000, 200), (20_000, 200), (1000, 1000)])
def test_windows_without_drift_stay_quiet(reference_rows: int, window: int) -> None:
    """100 windows each: at 1% family-wise error more than 5 alarms have a chance below 0.1%."""
    reference = columns(draw(SampleParameters(rows=reference_rows, seed=1)))
    stream = columns(draw(SampleParameters(rows=100 * window, seed=2)))
    alarms = 0
    for start in range(0, 100 * window, window):
        # a fresh reference each time where it is small: one unlucky reference would count a hundred times
        if reference_rows <= 1000:
            reference = columns(draw(SampleParameters(rows=reference_rows, seed=1000 + start)))
        alarms += bool(drifted(compare(reference, part(stream, slice(start, start + window)))))
    assert alarms <= 5


@pytest.mark.parametrize(
    ("change", "column"),
    [
        (Change(price=0.02), "MonthlyCharges"),
        (Change(fiber=0.06), "InternetService"),
        (Change(monthly_contracts=0.06), "Contract"),
        (Change(new_category_month=6, new_category_share=0.05), "PaymentMethod"),
        (Change(missing=0.005, missing_columns=("TechSupport",)), "TechSupport"),
        (Change(missing=0.005, missing_columns=("MonthlyCharges",)), "MonthlyCharges"),
    ],
)
def test_moderate_drift_is_found_and_named(change: Change, column: str) -> None:
    reference = columns(draw(SampleParameters(rows=5600, seed=1)))
    current = columns(draw(SampleParameters(rows=1400, seed=2, first_month=12, change=change)))
    assert column in drifted(compare(reference, current))


def test_a_difference_that_matters_to_nobody_is_no_drift() -> None:
    """A million rows make a shift of 0.01 standard deviations certain, and it stays irrelevant."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=1_000_000), rng.normal(0.01, 1, size=1_000_000)
    p_value, psi, drifted = found(compare({"x": a}, {"x": b}), "x")
    assert p_value < 0.001
    assert psi < 0.01
    assert not drifted


def test_a_large_psi_of_few_rows_is_no_drift() -> None:
    rng = np.random.default_rng(1)
    p_value, psi, drifted = found(compare({"x": rng.normal(size=2000)}, {"x": rng.normal(size=30)}), "x")
    assert p_value > 0.01
    assert psi > 0.01
    assert not drifted


def test_a_column_that_goes_missing_is_drift() -> None:
    full = np.random.default_rng(0).normal(size=500)
    summary = compare({"x": full}, {"x": np.full(500, np.nan)})
    assert drifted(summary) == ("x",)
    assert (summary[0].missing_reference, summary[0].missing_current) == (0, 1)
    assert drifted(compare({"x": np.full(500, np.nan)}, {"x": full})) == ("x",)
    assert drifted(compare({"x": np.full(500, np.nan)}, {"x": np.full(50, np.nan)})) == ()


def test_a_constant_column_is_no_drift() -> None:
    reference: dict[str, Values] = {"x": np.zeros(100), "c": np.zeros(100, np.int64)}
    assert drifted(compare(reference, {"x": np.zeros(50), "c": np.zeros(50, np.int64)})) == ()


def test_the_category_that_moved_most_is_named() -> None:
    before, after = np.repeat([0, 1, 2], [500, 300, 200]), np.repeat([0, 1, 2, -1], [500, 100, 200, 200])
    (column,) = compare({"c": before}, {"c": after})
    assert (column.place, column.before, column.after) in ((1, 0.3, 0.1), (-1, 0.0, 0.2))
    (number,) = compare({"x": np.arange(1000.0)}, {"x": np.arange(1000.0) + 500})
    assert (number.place, number.before, number.after) == (None, 499.5, 999.5)


def test_what_one_window_cannot_show_adds_up() -> None:
    rng = np.random.default_rng(3)
    reference = {"x": rng.normal(size=8000)}
    windows = [rng.normal(0.13, 1, size=1000) for _ in range(3)]
    alone = compare_twice(reference, {"x": windows[2]}, None, ERROR, PARAMETERS)
    together = compare_twice(reference, {"x": windows[2]}, {"x": np.concatenate(windows)}, ERROR, PARAMETERS)
    assert drifted(together) == ("x",)
    assert together[0].p_value < alone[0].p_value
    assert (together[0].pooled, together[0].present) == (True, True)
    assert (alone[0].drifted, alone[0].pooled) == (False, False)


def test_a_change_that_is_over_is_not_present() -> None:
    rng = np.random.default_rng(4)
    reference, now = {"x": rng.normal(size=8000)}, rng.normal(size=1000)
    (column,) = compare_twice(reference, {"x": now}, {"x": np.concatenate([rng.normal(1, 1, size=2000), now])}, ERROR, PARAMETERS)
    assert (column.drifted, column.pooled, column.present) == (True, True, False)


def test_the_numbers_are_of_the_window_where_it_shows_the_change_itself() -> None:
    rng = np.random.default_rng(5)
    reference, now = {"x": rng.normal(size=8000)}, rng.normal(1, 1, size=1000)
    (column,) = compare_twice(reference, {"x": now}, {"x": np.concatenate([rng.normal(0.5, 1, size=2000), now])}, ERROR, PARAMETERS)
    assert (column.drifted, column.pooled, column.after) == (True, False, float(np.median(now)))


@pytest.mark.parametrize(
    ("reference", "current"),
    [
        ({}, {}),
        ({"x": np.zeros(3)}, {"y": np.zeros(3)}),
        ({"x": np.zeros(3)}, {"x": np.zeros(0)}),
        ({"x": np.zeros(0)}, {"x": np.zeros(3)}),
    ],
)
def test_nothing_to_compare_is_refused(reference: dict[str, Values], current: dict[str, Values]) -> None:
    with pytest.raises(ValueError, match=r"need rows|same columns"):
        compare(reference, current)
