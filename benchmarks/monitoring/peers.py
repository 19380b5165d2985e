"""Evidently's default drift preset on the same windows."""

from typing import Any

from benchmarks.monitoring.worlds import Case, World, stream
from churn.core.monitoring.table import SCORE, Column, Sample


def shares(worlds: list[World], case: Case, rows: int, windows: int) -> tuple[float, float]:
    """Share of windows with "dataset drift" (half of the columns), and with at least one drifted column."""
    whole, any_column = 0, 0
    for number in range(windows):
        world = worlds[number % len(worlds)]
        sample, _ = next(iter(stream(world, case, rows, 1, 50_000 + number)))
        drifted = _drifted(world, sample)
        whole += drifted >= (len(world.reference.features) + 1) / 2
        any_column += drifted > 0
    return whole / windows, any_column / windows


def _drifted(world: World, sample: Sample) -> int:
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    numbers = [name for name, column in sample.columns.items() if column.is_number]
    texts = [name for name in sample.columns if name not in numbers]
    definition = DataDefinition(numerical_columns=[*numbers, SCORE], categorical_columns=texts)
    test = world.reference.test
    sides = [Dataset.from_pandas(_frame(one.columns, one.scores), definition) for one in (sample, test)]
    found = Report([DataDriftPreset()]).run(*sides).dict()["metrics"]
    return int(next(metric["value"]["count"] for metric in found if "DriftedColumnsCount" in str(metric)))


def _frame(columns: dict[str, Column], scores: Any) -> Any:
    import numpy as np
    import pandas as pd

    texts = {name: np.array([*column.labels, None], object) for name, column in columns.items()}
    values = {name: column.values if column.is_number else texts[name][column.values.astype(int)] for name, column in columns.items()}
    return pd.DataFrame({**values, SCORE: scores})
