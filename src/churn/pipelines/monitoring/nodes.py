"""Drift of the current customers against the training customers: the verdict is ours, Evidently draws the page."""

from typing import Any

from churn.core.declaration import Declaration
from churn.core.drift import DriftParameters, DriftSummary, Values, compare
from churn.core.errors import ChurnError
from churn.core.lazy_types import DataFrame

MEASURE = "PSI and a two-sample test"
"""How the report names its score, which sorts the columns (PSI), and its verdict (both)."""


def compare_frames(reference: DataFrame, current: DataFrame, customers: Declaration, parameters: DriftParameters) -> dict[str, Any]:
    """The drift summary as JSON: per column test, p-value, PSI and missing share; the verdict `ok` or `watch`.

    Raises:
        ChurnError: if a side has no rows, or a score column is missing or not numeric.
    """
    for name, frame in (("training_frame", reference), ("test_frame", current)):
        if not len(frame):
            raise ChurnError(f"{name} has no rows, so there is nothing to compare. Run `kedro run --pipelines training` on a larger table.")
    numbers, categories = _columns(customers, parameters)
    pairs: dict[str, tuple[Values, Values]] = {name: _codes(reference[name], current[name]) for name in categories}
    pairs |= {name: (_floats(name, reference), _floats(name, current)) for name in numbers}
    order = [*(feature.name for feature in customers.features), *parameters.scores]
    summary = compare({name: pairs[name][0] for name in order}, {name: pairs[name][1] for name in order}, parameters)
    return summary.model_dump(mode="json")


def render_drift(
    reference: DataFrame, current: DataFrame, customers: Declaration, parameters: DriftParameters, summary: dict[str, Any]
) -> str:
    """One HTML page that opens without a network: Evidently's plots with the summary's PSI and verdicts.

    Target, key and time are left out; from large tables at most `report_rows` evenly spaced rows are drawn.
    """
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    numbers, categories = _columns(customers, parameters)
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=categories)
    sides = [Dataset.from_pandas(_drawn(frame, numbers, categories, parameters.report_rows), definition) for frame in (current, reference)]
    found = DriftSummary.model_validate(summary)
    preset = DataDriftPreset(
        columns=[column.column for column in found.columns],
        method=_verdict_as_stattest(found),
        threshold=found.psi_floor,
        drift_share=1000 // len(found.columns) / 1000,  # one drifted column is news; half of them, the default, is a catastrophe
    )
    return str(Report([preset], include_tests=True).run(*sides).get_html_str(as_iframe=False))


def _columns(customers: Declaration, parameters: DriftParameters) -> tuple[list[str], list[str]]:
    """Names of the numeric columns, scores at the end, and of the others."""
    numbers = [feature.name for feature in customers.features if feature.type in ("integer", "number")]
    return [*numbers, *parameters.scores], [feature.name for feature in customers.features if feature.name not in numbers]


def _codes(reference: Any, current: Any) -> tuple[Values, Values]:
    """Codes of the values of both sides, -1 where missing."""
    import pandas as pd

    codes, _ = pd.factorize(pd.concat([reference, current], ignore_index=True).astype(object))
    return codes[: len(reference)], codes[len(reference) :]


def _floats(name: str, frame: DataFrame) -> Values:
    import numpy as np
    import pandas as pd

    if name not in frame:
        raise ChurnError(f"monitoring.scores names {name!r}, which the training and test rows do not have.")
    values: Values = pd.to_numeric(frame[name]).to_numpy(np.float64, na_value=np.nan)
    return values


def _drawn(frame: DataFrame, numbers: list[str], categories: list[str], most: int) -> DataFrame:
    import numpy as np

    rows = np.unique(np.linspace(0, len(frame) - 1, most).astype(int)) if len(frame) > most else slice(None)
    drawn = frame[[*numbers, *categories]].iloc[rows].reset_index(drop=True)
    for name in numbers:
        drawn[name] = drawn[name].astype("float64")
    for name in categories:
        drawn[name] = drawn[name].astype(object).where(drawn[name].notna(), "(missing)").astype(str)
    return drawn


def _verdict_as_stattest(summary: DriftSummary) -> Any:
    """A statistical test for Evidently that answers with what was found on all rows."""
    from evidently.legacy.calculations.stattests import StatTest, register_stattest
    from evidently.legacy.core import ColumnType

    found = {column.column: (column.psi, column.drifted) for column in summary.columns}
    test = StatTest("churn_drift", MEASURE, [ColumnType.Numerical, ColumnType.Categorical], summary.psi_floor)
    register_stattest(test, lambda reference, current, kind, threshold: found[reference.name])  # noqa: ARG005  # Evidently's signature
    return test
