"""The monitoring report: our verdict, and Evidently's plots of the same window below it, in one file."""

from typing import Any

from churn.core.lazy_types import DataFrame
from churn.core.monitoring.drift import ColumnDrift, compare
from churn.core.monitoring.judge import Window
from churn.core.monitoring.parameters import MonitoringParameters
from churn.core.monitoring.table import SCORE, Reference, Sample
from churn.io.monitoring.evidently_workspace import WINDOW, EvidentlyRuns
from churn.pipelines.monitoring.nodes import read
from churn.pipelines.monitoring.page import page

MEASURE = "PSI and a two-sample test"
"""How Evidently's plots name their score, which sorts the columns (PSI), and their verdict (both)."""
DRIFT, PERFORMANCE = "drift", "performance"
_OUTCOME, _PREDICTED = "outcome", "predicted to leave"


def draw_report(
    verdict: dict[str, Any], judged: list[Window], reference: Reference | None, parameters: MonitoringParameters
) -> tuple[str, EvidentlyRuns]:
    """One HTML page that opens without a network, and the runs for the Evidently workspace.

    Where there is no verdict yet the page shows the test customers against the training customers.
    """
    found, window = read(verdict), judged[0] if judged else None
    if reference is None:
        return page(found, "", []), EvidentlyRuns()
    current = reference.test if window is None else window.sample
    columns = found.drift or compare(reference.compared(), current.compared(), parameters.family_wise_error, parameters.drift)
    about = {WINDOW: f"version {found.model_version}, {found.window.start} to {found.window.end}"}
    snapshots = {DRIFT: _drift(reference, current, columns, parameters, about)}
    if found.measured is not None and window is not None and window.labelled is not None:
        snapshots[PERFORMANCE] = _classification(reference.test, window.labelled, about)
    frames = [(name, str(snapshot.get_html_str(as_iframe=False))) for name, snapshot in snapshots.items()]
    note = "" if window is not None else "Without a verdict, the plots show the test customers beside the training customers."
    return page(found, note, frames), EvidentlyRuns(snapshots if window is not None else {})


def _drift(
    reference: Reference, current: Sample, columns: tuple[ColumnDrift, ...], parameters: MonitoringParameters, about: dict[str, str]
) -> Any:
    """Evidently's drift report of the features and, apart, of the score, with what our tests found on all rows as its statistics."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift
    from evidently.presets import DataDriftPreset

    judged = [column.column for column in columns]
    numbers = [name for name in judged if name == SCORE or reference.training[name].is_number]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=[name for name in judged if name not in numbers])
    train = Sample(reference.training, reference.test.scores)
    sides = [Dataset.from_pandas(_table(sample, judged, parameters.report_rows), definition) for sample in (current, train)]
    found: dict[str, Any] = {"method": _as_stattest(columns, parameters.drift.psi_floor), "threshold": parameters.drift.psi_floor}
    features = [name for name in judged if name != SCORE]
    # One drifted feature is news; half of them, the default, is a catastrophe.
    preset = DataDriftPreset(columns=features, drift_share=1000 // len(features) / 1000, **found)
    return Report([preset, ValueDrift(column=SCORE, **found)], metadata=about, include_tests=True).run(*sides)


def _classification(test: Sample, labelled: Sample, about: dict[str, str]) -> Any:
    from evidently import BinaryClassification, DataDefinition, Dataset, Report
    from evidently.presets import ClassificationPreset

    task = BinaryClassification(
        target=_OUTCOME, prediction_probas=_PREDICTED, pos_label="left", labels={"left": "left", "stayed": "stayed"}
    )
    definition = DataDefinition(classification=[task], categorical_columns=[_OUTCOME], numerical_columns=[_PREDICTED])
    sides = [Dataset.from_pandas(_outcomes(sample), definition) for sample in (labelled, test)]
    return Report([ClassificationPreset()], metadata=about, include_tests=True).run(*sides)


def _outcomes(sample: Sample) -> DataFrame:
    import numpy as np
    import pandas as pd

    assert sample.churned is not None  # noqa: S101 - both sides have outcomes
    return pd.DataFrame({_OUTCOME: np.where(sample.churned, "left", "stayed"), _PREDICTED: sample.scores})


def _table(sample: Sample, names: list[str], most: int) -> DataFrame:
    """At most so many evenly spaced rows as Evidently takes them; scores repeat where they are of fewer customers."""
    import numpy as np
    import pandas as pd

    rows = max(len(column.values) for column in sample.columns.values())
    chosen = np.unique(np.linspace(0, rows - 1, min(most, rows)).astype(int))
    values: dict[str, Any] = {}
    for name in names:
        if name == SCORE:
            values[name] = np.resize(sample.scores, rows)[chosen]
            continue
        column = sample.columns[name]
        texts = np.array([*column.labels, "(empty)"], dtype=object)
        values[name] = column.values[chosen] if column.is_number else texts[column.values[chosen].astype(int)]
    return pd.DataFrame(values)


def _as_stattest(columns: tuple[ColumnDrift, ...], floor: float) -> str:
    """The name of a statistical test for Evidently that answers with what was found."""
    from evidently.legacy.calculations.stattests import StatTest, register_stattest
    from evidently.legacy.core import ColumnType

    found = {column.column: (column.psi, column.drifted) for column in columns}
    test = StatTest("churn_drift", MEASURE, [ColumnType.Numerical, ColumnType.Categorical], floor)
    register_stattest(test, lambda reference, current, kind, threshold: found[reference.name])  # noqa: ARG005  # Evidently's signature
    name: str = test.name
    return name
