"""A model with its reference, and windows of customers of the sample population, changed as a case says."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import xgboost

from churn import config
from churn.core.declaration import Declaration
from churn.core.modelling.encoding import encode, learn_categories
from churn.core.modelling.model import ChurnModel, build_model, feature_types
from churn.core.monitoring.judge import Window, judge
from churn.core.monitoring.parameters import MonitoringParameters
from churn.core.monitoring.table import Reference, Sample, columns
from churn.core.monitoring.verdict import HistoryEntry, Verdict, WindowFacts, remember
from churn.core.population.customers import SampleParameters, draw

ROWS, TRAINING_ROWS = 7043, 5626
"""As many customers as the sample table has, split as it is."""
START = datetime(2026, 11, 1, tzinfo=UTC)
TREES = {"objective": "binary:logistic", "max_depth": 2, "eta": 0.06, "subsample": 0.8, "colsample_bytree": 0.6, "nthread": 1}
Features = dict[str, Any]


@dataclass(frozen=True)
class World:
    """A trained model, the reference stored with it, and the declaration."""

    model: ChurnModel
    reference: Reference
    declaration: Declaration
    parameters: MonitoringParameters

    def sample(self, features: Features, churned: Any = None) -> Sample:
        """Customers scored by the model."""
        return Sample(columns(self.model.spec.features, features), self.model.predict(features), churned)


def build(seed: int) -> World:
    """A world of its own training table."""
    found = config.load()
    drawn = draw(SampleParameters(rows=ROWS, seed=1_000_000 + seed))
    features, churned = drawn.features(), drawn.churned
    known = learn_categories(found.declaration.features, features)
    training, test = (part(features, rows) for rows in (slice(TRAINING_ROWS), slice(TRAINING_ROWS, ROWS)))
    matrix = xgboost.DMatrix(
        encode(known, training), churned[:TRAINING_ROWS], feature_types=feature_types(known), enable_categorical=True, nthread=1
    )
    booster = xgboost.train({**TREES, "seed": seed}, matrix, 150)
    model = build_model(booster, known, training, threshold=0.16, schema_sha256="")
    effects = np.abs(model.explain(part(features, slice(1000)))[0]).mean(axis=0)
    importance = dict(zip(model.names, (effects / effects.sum()).tolist(), strict=True))
    scored = Sample(columns(known, test), model.predict(test), churned[TRAINING_ROWS:])
    reference = Reference("1", known, columns(known, training), scored, importance, f"world {seed}")
    return World(model, reference, found.declaration, MonitoringParameters.model_validate(found.parameters["monitoring"]))


def part(features: Features, rows: slice) -> Features:
    """Some rows of every feature."""
    return {name: values[rows] for name, values in features.items()}


@dataclass(frozen=True)
class Case:
    """A change of the population from month 1 on, or a fault of the data (features -> features)."""

    name: str
    change: dict[str, Any]
    fault: Callable[[Features, np.random.Generator], Features] | None = None
    column: str | None = None
    kind: str | None = None


def stream(world: World, case: Case, rows: int, windows: int, seed: int) -> Iterator[tuple[Sample, Any]]:
    """Windows of customers with outcomes, and the true churn probability of each customer."""
    month = {"first_month": 1} if "change" in case.change else {}
    drawn = draw(SampleParameters(rows=rows * windows, seed=2_000_000 + seed, **month, **case.change))
    features, rng = drawn.features(), np.random.default_rng(seed)
    for start in range(0, rows * windows, rows):
        some = slice(start, start + rows)
        chosen = part(features, some)
        served = case.fault({name: values.copy() for name, values in chosen.items()}, rng) if case.fault else chosen
        yield world.sample(served, drawn.churned[some]), drawn.probability[some]


def judged(world: World, windows: Iterator[tuple[Sample, Any]], outcomes: bool = True) -> Iterator[Verdict]:
    """The verdicts on windows in a row; with outcomes each is measured on the outcomes of its own customers."""
    history: list[HistoryEntry] = []
    earlier: list[Sample | None] = []
    for number, (sample, _) in enumerate(windows):
        start = START + timedelta(days=7 * number)
        facts = WindowFacts(rows=len(sample), start=start, end=start + timedelta(days=6))
        looked_at = [*earlier, sample][-world.parameters.window.pooled_of(len(sample)) :]
        pooled = [one for one in looked_at if one is not None]
        window = Window(
            facts,
            sample,
            np.ones(len(sample)),
            Sample.joined(pooled) if len(pooled) > 1 else None,
            sample.take(slice(-world.parameters.performance.outcomes, None)) if outcomes else None,
            min(len(sample), world.parameters.performance.outcomes),
        )
        verdict = judge(world.reference, window, history, world.declaration.columns, world.parameters, start + timedelta(days=6))
        history = remember(history, verdict, (), 20)
        earlier.append(None if verdict.action == "fix-data" else sample)
        yield verdict
