"""Reports appear whole or not at all, whatever breaks the writing off."""

from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DatasetError
from pydantic import BaseModel

from churn.io.files.whole import WholeFileDataset
from churn.io.tracking.artifacts import ArtifactDataset
from churn.io.tracking.metrics_dataset import MetricsDataset
from churn.io.tracking.pydantic_dataset import PydanticDataset


class Note(BaseModel):
    number: float


BROKEN = {"first": 1, "second": object()}
"""JSON's encoder gives up after the first entry is written."""


def datasets(folder: Path) -> dict[str, WholeFileDataset]:
    definition = {"type": "json.JSONDataset", "filepath": str(folder / "found.json")}
    return {
        "whole": WholeFileDataset(definition),
        "artifact": ArtifactDataset(definition),
        "metrics": MetricsDataset(filepath=definition["filepath"], save_args={"indent": 1}),
    }


@pytest.mark.parametrize("kind", ["whole", "artifact", "metrics"])
def test_what_breaks_off_leaves_the_old_file_and_nothing_else(tmp_path: Path, kind: str) -> None:
    dataset = datasets(tmp_path)[kind]
    assert not dataset.exists()
    dataset.save({"first": 0})
    with pytest.raises(DatasetError):
        dataset.save(BROKEN)
    assert dataset.exists()
    assert dataset.load() == {"first": 0}
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]


def test_parquet_keeps_its_options(tmp_path: Path) -> None:
    path = str(tmp_path / "rows.parquet")
    dataset = WholeFileDataset({"type": "pandas.ParquetDataset", "filepath": path, "load_args": {"columns": ["a"]}})
    dataset.save(pd.DataFrame({"a": [1], "b": [2]}))
    assert list(dataset.load()) == ["a"]
    assert list(pd.read_parquet(path)) == ["a", "b"]


def test_a_model_loads_validated(tmp_path: Path) -> None:
    dataset = PydanticDataset(filepath=str(tmp_path / "note.json"), model=f"{__name__}.Note")
    dataset.save(Note(number=1.5))
    assert dataset.load() == Note(number=1.5)
