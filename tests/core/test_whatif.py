import math

import ibis
import pytest

from churn.core.decisions.whatif import ChangeError, derive, with_changes
from churn.core.declaration import Declaration
from churn.core.raw_table.expressions import with_derived

DECLARATION = Declaration.parse(
    {
        "key": "id",
        "target": {"column": "left", "positive": "yes"},
        "columns": {
            "plan": {"type": "category", "values": ["basic", 'it\'s "pro"']},
            "region": {"type": "category"},
            "loyal": {"type": "boolean", "actionable": True},
            "months": {"type": "integer", "min": 0, "max": 90},
            "spend": {"type": "number", "null": True, "min": 0.5},
        },
        "derived": {
            "per_month": "spend / greatest(months, 1)",
            "twice per month": '2 * "per_month" + (case when loyal then 1 else 0 end)',
            "root": "sqrt(spend) / 3",
        },
    }
)
ROW = {"plan": 'it\'s "pro"', "region": "east", "loyal": True, "months": 7, "spend": 0.1 + 0.7}
FEATURES = {**ROW, **derive(DECLARATION, ROW)}


def test_derived_features_are_those_of_data_processing_to_the_last_bit(tmp_path):
    import pandas as pd

    rows = [
        {**ROW, "spend": value, "months": months} for value, months in [(0.1 + 0.7, 7), (1e-300, 0), (1 / 3, 13), (None, 5), (9.99e17, 90)]
    ]
    frame = pd.DataFrame(rows).astype({"months": "int64", "spend": "float64"})
    frame.to_parquet(tmp_path / "rows.parquet")
    table = ibis.duckdb.connect().read_parquet(tmp_path / "rows.parquet")
    expected = with_derived(table, DECLARATION.derived).to_pyarrow().to_pylist()
    for row, processed in zip(rows, expected, strict=True):
        missing = {
            name: None if processed[name] is None or math.isnan(processed[name]) else processed[name] for name in DECLARATION.derived
        }
        assert derive(DECLARATION, row) == missing


def test_no_change_leaves_every_feature_as_it_is():
    stored = {**FEATURES, "per_month": 123.0}  # not what the expression gives: nothing may be computed anew
    assert with_changes(DECLARATION, stored, {}) == stored


def test_a_change_carries_into_the_derived_features_and_nothing_else():
    after = with_changes(DECLARATION, FEATURES, {"months": 2.0, "loyal": False})
    assert after["months"] == 2
    assert isinstance(after["months"], int)
    assert after["per_month"] == ROW["spend"] / 2
    assert after["twice per month"] == ROW["spend"]
    assert {name for name in after if after[name] != FEATURES[name]} == {"months", "loyal", "per_month", "twice per month"}
    assert list(after) == list(FEATURES)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("plan", "gold", "must be one of: basic, it's"),
        ("plan", 3, "must be text"),
        ("plan", None, "may not be empty"),
        ("region", "moon", "must be one of: east, west"),
        ("loyal", 1, "must be true or false"),
        ("loyal", "yes", "must be true or false"),
        ("months", 3.5, "must be a whole number"),
        ("months", True, "must be a number"),
        ("months", "3", "must be a number"),
        ("months", -1, "must be at least 0"),
        ("months", 91, "must be at most 90"),
        ("months", 10**400, "is too large"),
        ("spend", 1e300, "is too large"),
        ("spend", float("inf"), "is too large"),
        ("spend", float("nan"), "must be a number"),
        ("spend", 0.4, "must be at least 0.5"),
        ("month", 3, "is no declared column; did you mean months?"),
        ("per_month", 3, "is computed from other columns"),
        ("id", "x", "is no declared column"),
    ],
)
def test_what_the_declaration_does_not_allow_is_refused_by_name(name, value, message):
    with pytest.raises(ChangeError) as raised:
        with_changes(
            DECLARATION,
            FEATURES,
            {name: value, "loyal" if name != "loyal" else "months": True if name != "loyal" else 1},
            {"region": ("east", "west")},
        )
    assert list(raised.value.mistakes) == [name]
    assert message in raised.value.mistakes[name]


def test_every_mistake_is_named_at_once():
    with pytest.raises(ChangeError) as raised:
        with_changes(DECLARATION, FEATURES, {"plan": "gold", "months": -1, "loyal": False})
    assert set(raised.value.mistakes) == {"plan", "months"}


def test_a_missing_value_is_allowed_where_it_is_declared():
    after = with_changes(DECLARATION, FEATURES, {"spend": None})
    assert after["spend"] is None
    assert after["per_month"] is None


def test_a_derived_feature_that_becomes_infinite_is_refused():
    declaration = DECLARATION.model_copy(update={"derived": {"ratio": "exp(months * 100)"}})
    with pytest.raises(ChangeError, match="ratio"):
        with_changes(declaration, {**ROW, "ratio": 1.0}, {"months": 50})


def test_a_column_that_the_model_does_not_know_is_refused():
    known = {name: value for name, value in FEATURES.items() if name != "months"}
    with pytest.raises(ChangeError, match="months: is not a feature of the model"):
        with_changes(DECLARATION, known, {"months": 3})
