"""Stories of change for the sample population: what the customers do, or what happens to their data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from churn.core.population.customers import Customers, draw
from churn.core.population.knobs import Change, SampleParameters

Features = dict[str, NDArray[Any]]
Fault = Callable[[Features, np.random.Generator], Features]

NULL_SHARE = 0.1
NULL_COLUMNS = ("TechSupport", "PaymentMethod", "MonthlyCharges")
RENAMED = ("PaymentMethod", "Electronic check", "E-check")
UNIT = ("MonthlyCharges", 100.0)
"""Cents instead of dollars."""


def nulls(features: Features, rng: np.random.Generator) -> Features:
    """A tenth of the cells of three columns are empty."""
    lost: Features = {}
    for name in NULL_COLUMNS:
        lost[name] = features[name].astype(object)
        lost[name][rng.random(len(lost[name])) < NULL_SHARE] = None
    return {**features, **lost}


def renamed(features: Features, rng: np.random.Generator) -> Features:  # noqa: ARG001 - as every fault
    """A payment method has a new name."""
    name, old, new = RENAMED
    return {**features, name: np.array([new if value == old else value for value in features[name]], object)}


def another_unit(features: Features, rng: np.random.Generator) -> Features:  # noqa: ARG001
    """Monthly charges in cents."""
    name, factor = UNIT
    return {**features, name: features[name] * factor}


@dataclass(frozen=True)
class Scenario:
    """A change of the population that grows over `ramp` months, or a fault of the data that is there at once."""

    text: str
    change: Mapping[str, Any] = field(default_factory=dict)
    ramp: int = 12
    fault: Fault | None = None


SCENARIOS: Mapping[str, Scenario] = {
    "none": Scenario("nothing changes"),
    "price-rise": Scenario("charges grow by 3% a month", {"price": 0.03}),
    "customer-mix": Scenario("more and more month-to-month contracts and fiber", {"monthly_contracts": 0.12, "fiber": 0.12}),
    "behaviour": Scenario("customers look as before, and those with fiber stop leaving", {"fiber_effect": 0.45}, ramp=3),
    "nulls": Scenario("a tenth of three columns is empty", fault=nulls),
    "renamed-category": Scenario("a payment method has a new name", fault=renamed),
    "unit-error": Scenario("monthly charges come in cents", fault=another_unit),
}


def month_of(scenario: Scenario, month: int, onset: int, customers: int, seed: int) -> tuple[Customers, Features]:
    """The customers of a month, and their features as they are served.

    Args:
        scenario: what changes.
        month: 1, 2, ...; every month has new customers.
        onset: the first month in which something is different.
        customers: how many.
        seed: of the whole story.
    """
    since = min(max(month - onset + 1, 0), scenario.ramp)
    parameters = SampleParameters(rows=customers, seed=1_000 * (seed + 1) + month, first_month=since, change=Change(**scenario.change))
    drawn = draw(parameters)
    features: Features = dict(drawn.features())
    broken = scenario.fault is not None and since > 0
    return drawn, scenario.fault(features, np.random.default_rng(parameters.seed)) if broken and scenario.fault else features
