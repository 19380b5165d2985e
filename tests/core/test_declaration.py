"""The declaration is checked against itself, and each mistake is named."""

from typing import Any

import pytest

from churn.core.declaration import Declaration
from churn.core.errors import DeclarationError

GOOD: dict[str, Any] = {
    "key": "id",
    "target": {"column": "left", "positive": "Yes"},
    "columns": {"plan": {"type": "category", "values": ["a", "b"]}, "MonthlyCharges": {"type": "number", "min": 0}},
    "derived": {"charges_per_month": "MonthlyCharges / 2"},
}


def changed(**entries: Any) -> dict[str, Any]:
    return {**GOOD, **entries}


def test_features_are_columns_then_derived_with_texts_for_people() -> None:
    features = Declaration.parse(GOOD).features
    assert [(feature.name, feature.type, feature.label) for feature in features] == [
        ("plan", "category", "Plan"),
        ("MonthlyCharges", "number", "Monthly charges"),
        ("charges_per_month", "number", "Charges per month"),
    ]


def test_numbers_may_stand_for_texts() -> None:
    parsed = Declaration.parse(
        changed(target={"column": "left", "positive": 1}, columns={"plan": {"type": "category", "values": [1, 2]}}, derived={})
    )
    assert (parsed.target.positive, parsed.columns["plan"].values) == ("1", ("1", "2"))


@pytest.mark.parametrize(
    ("raw", "part", "why"),
    [
        (changed(columns={}), "columns", "at least 1"),
        (changed(key="left"), "customers", "left"),
        (changed(columns={"Plan": {"type": "boolean"}, "plan": {"type": "boolean"}}, derived={}), "customers", "Plan, plan"),
        (changed(ignore=["plan"]), "customers", "declared twice"),
        (changed(columns={"Split": {"type": "boolean"}}, derived={}), "customers", "Split (the pipelines use this name)"),
        (changed(columns={"loyalty_y": {"type": "boolean"}}, derived={}), "customers", "loyalty_y (Feast drops"),
        (changed(columns={"plan:type": {"type": "boolean"}}, derived={}), "customers", "plan:type (Feast splits"),
        (changed(columns={"Entity_Row_ID": {"type": "boolean"}}, derived={}), "customers", "Entity_Row_ID (Feast uses"),
        (changed(derived={"x__ts": "MonthlyCharges"}), "customers", "x__ts (Feast uses"),
        (changed(columns={"plan": {"type": "text"}}), "columns.plan.type", "category"),
        (changed(columns={"plan": {"type": "boolean", "values": ["a"]}}), "columns.plan", "belongs to type category"),
        (changed(columns={"plan": {"type": "category", "min": 1}}), "columns.plan", "belong to integer"),
        (changed(columns={"plan": {"type": "number", "min": 2, "max": 1}}), "columns.plan", "above"),
        (changed(columns={"plan": {"type": "category", "values": ["a", "a"]}}), "columns.plan", "twice"),
        (changed(columns={"plan": {"type": "category", "values": ["Yes", False]}}), "columns.plan.values.1", "quotes"),
        (changed(target={"column": "left", "positive": True}), "target.positive", "quotes"),
        (changed(colums={}), "colums", "not permitted"),
        ({key: value for key, value in GOOD.items() if key != "key"}, "key", "required"),
    ],
)
def test_a_mistake_is_named(raw: dict[str, Any], part: str, why: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        Declaration.parse(raw)
    assert part in str(caught.value)
    assert why in str(caught.value)


def test_every_mistake_is_named_at_once() -> None:
    with pytest.raises(DeclarationError) as caught:
        Declaration.parse(changed(columns={"plan": {"type": "text"}}, key=None))
    assert len(str(caught.value).splitlines()) == 3


def test_the_hash_changes_with_the_declaration_only() -> None:
    other = changed(columns={**GOOD["columns"], "plan": {"type": "category", "values": ["a", "b", "c"]}})
    assert Declaration.parse(GOOD).sha256 == Declaration.parse(dict(GOOD)).sha256
    assert Declaration.parse(GOOD).sha256 != Declaration.parse(other).sha256
