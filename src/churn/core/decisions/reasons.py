"""Reasons in words: what the retention list and the page say of a feature's part in a prediction."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from churn.core.declaration import Declaration, Feature

STRONG, WEAK = math.log(2), math.log(1.2)
"""Log-odds: an effect that doubles (or halves) the odds of leaving is called strong, one below a fifth weak."""

_MISSING = "not known"
_LONGEST_UNIT_CODE = 2
"""Units up to this length are symbols (km, GB, h), which have no plural."""


def current_texts(features: Sequence[Feature], declaration: Declaration) -> tuple[Feature, ...]:
    """A model's features with label and unit as declared today; the values stay those that the model knows.

    A feature that is declared no more keeps the texts that the model has of it.
    """
    declared = {feature.name: feature for feature in declaration.features}
    today = [(feature, declared.get(feature.name, feature)) for feature in features]
    return tuple(feature.model_copy(update={"label": now.label, "unit": now.unit}) for feature, now in today)


def strongest(effects: ArrayLike, count: int) -> NDArray[np.int64]:
    """Places of the `count` largest absolute effects of each row, largest first; ties in the features' order.

    Args:
        effects: contributions in log-odds, (n, p).
        count: how many, at most p.
    """
    return np.argsort(-np.abs(np.asarray(effects, float)), axis=1, kind="stable")[:, :count]


def in_words(feature: Feature, value: Any, effect: float) -> str:
    """One reason, such as `Contract: Month-to-month (raises the risk a lot)`.

    Args:
        feature: with the label, unit and known values; see `current_texts`.
        value: the customer's value, None or NaN where it is missing.
        effect: the feature's contribution to the score, in log-odds.
    """
    return f"{fact(feature, value)} ({effect_in_words(effect)})"


def fact(feature: Feature, value: Any) -> str:
    """A customer's value of a feature, such as `Age: 42 years` or `Senior citizen: yes`."""
    return f"{feature.label}: {value_in_words(feature, value)}"


def value_in_words(feature: Feature, value: Any) -> str:
    """The value alone: yes or no, a number with its unit, a category, or that it is not known."""
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return _MISSING
    if feature.type == "boolean":
        return "yes" if value else "no"
    if feature.type == "category":
        known = feature.values is None or value in feature.values
        return str(value) if known else f"{value}, new to the model"
    return _quantity(feature, value)


def effect_in_words(effect: float) -> str:
    """`raises the risk a lot`, `lowers the risk a little` and the like, from log-odds."""
    if effect == 0:
        return "does not change the risk"
    size = abs(effect)
    strength = " a lot" if size >= STRONG else " a little" if size < WEAK else ""
    return f"{'raises' if effect > 0 else 'lowers'} the risk{strength}"


def _quantity(feature: Feature, value: float) -> str:
    unit = feature.unit or ""
    amount = _number(value, is_currency(unit))
    if not unit or unit.casefold() in feature.label.casefold():  # `Months as a customer: 2` has said it
        return amount
    if unit == "%":
        return f"{amount}%"
    plural = "s" if abs(value) != 1 and unit.islower() and unit.isalpha() and len(unit) > _LONGEST_UNIT_CODE else ""
    return f"{amount} {unit}{plural}"


def is_currency(unit: str) -> bool:
    """Whether a unit looks like a currency code (ISO 4217: three capital letters)."""
    return len(unit) == len("USD") and unit.isalpha() and unit.isupper()


def _number(value: float, currency: bool) -> str:
    if currency:
        return f"{value:,.2f}"
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.2f}".rstrip("0").rstrip(".") if abs(value) >= 1 else f"{value:.3g}"
