import math

import numpy as np
import pytest

from churn.core.decisions.reasons import current_texts, effect_in_words, in_words, strongest, value_in_words
from churn.core.declaration import Declaration, Feature

CONTRACT = Feature(name="Contract", type="category", values=("Month-to-month", "One year"), label="Contract")
TENURE = Feature(name="tenure", type="integer", unit="month", label="Months as a customer")
AGE = Feature(name="age", type="integer", unit="year", label="Age")
CHARGES = Feature(name="charges", type="number", unit="USD", label="Monthly charges")
SHARE = Feature(name="share", type="number", unit="%", label="Share of calls")
USAGE = Feature(name="usage", type="number", unit="GB", label="Data used")
RATIO = Feature(name="ratio", type="number", label="Ratio")
SENIOR = Feature(name="senior", type="boolean", label="Senior citizen")


@pytest.mark.parametrize(
    ("feature", "value", "effect", "words"),
    [
        (CONTRACT, "Month-to-month", 0.8, "Contract: Month-to-month (raises the risk a lot)"),
        (CONTRACT, "One year", -0.3, "Contract: One year (lowers the risk)"),
        (TENURE, 2, 0.1, "Months as a customer: 2 (raises the risk a little)"),
        (SENIOR, True, -0.7, "Senior citizen: yes (lowers the risk a lot)"),
        (CHARGES, None, 0.0, "Monthly charges: not known (does not change the risk)"),
    ],
)
def test_a_reason_says_label_value_and_effect(feature, value, effect, words):
    assert in_words(feature, value, effect) == words


@pytest.mark.parametrize(
    ("feature", "value", "words"),
    [
        (AGE, 42, "42 years"),
        (AGE, 1, "1 year"),
        (AGE, np.int64(1200), "1,200 years"),
        (CHARGES, 70.3, "70.30 USD"),
        (CHARGES, 1234567, "1,234,567.00 USD"),
        (SHARE, 12.5, "12.5%"),
        (USAGE, 3.0, "3 GB"),
        (RATIO, 0.0123456, "0.0123"),
        (RATIO, -17.256, "-17.26"),
        (RATIO, 0.0, "0"),
        (SENIOR, np.False_, "no"),
        (SENIOR, None, "not known"),
        (RATIO, math.nan, "not known"),
        (CONTRACT, "Weekly", "Weekly, new to the model"),
    ],
)
def test_values_read_like_english(feature, value, words):
    assert value_in_words(feature, value) == words


def test_strength_is_in_the_odds_of_leaving():
    assert effect_in_words(math.log(2)) == "raises the risk a lot"
    assert effect_in_words(math.log(1.99)) == "raises the risk"
    assert effect_in_words(-math.log(1.2)) == "lowers the risk"
    assert effect_in_words(-math.log(1.19)) == "lowers the risk a little"


def test_the_strongest_come_first_whatever_their_sign_and_ties_keep_the_features_order():
    effects = [[0.1, -0.9, 0.5, 0.5], [0.0, 0.0, 0.0, -0.2]]
    np.testing.assert_array_equal(strongest(effects, 3), [[1, 2, 3], [3, 0, 1]])


def test_texts_are_those_declared_today_and_values_those_of_the_model():
    declaration = Declaration.parse(
        {
            "key": "id",
            "target": {"column": "left", "positive": "yes"},
            "columns": {
                "Contract": {"type": "category", "label": "Kind of contract", "values": ["a", "b"]},
                "charges": {"type": "number", "unit": "EUR"},
            },
        }
    )
    contract, charges, tenure = current_texts([CONTRACT, CHARGES, TENURE], declaration)
    assert (contract.label, contract.values) == ("Kind of contract", CONTRACT.values)
    assert in_words(charges, 5, 1.0) == "Charges: 5.00 EUR (raises the risk a lot)"
    assert tenure == TENURE
