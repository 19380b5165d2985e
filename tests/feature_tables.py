"""Small feature tables, and projects that hold only what the feature store needs."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from churn.core.declaration import Declaration
from tests.projects import ROOT

FIRST = datetime(2026, 10, 1, 0, 0, 0, 1, tzinfo=UTC)
LAST = datetime(2026, 11, 1, 12, 30, 59, 999_999, tzinfo=UTC)
COLUMNS: dict[str, dict[str, Any]] = {
    "plan": {"type": "category", "null": True},
    "zone": {"type": "category", "values": ["north", "süd"], "label": "Sales zone", "actionable": True},
    "partner": {"type": "boolean", "null": True},
    "tenure": {"type": "integer", "null": True, "unit": "month"},
    "amount": {"type": "number", "null": True},
}
_ARROW = {"category": pa.string(), "boolean": pa.bool_(), "integer": pa.int64(), "number": pa.float64()}


def declaration(columns: dict[str, dict[str, Any]] = COLUMNS) -> Declaration:
    """A declared table with these columns."""
    return Declaration.parse({"key": "id", "target": {"column": "left", "positive": "yes"}, "columns": columns})


def customers(count: int = 60, add: int = 0) -> list[dict[str, Any]]:
    """Rows with every type and missing values; `add` changes the numbers. The last two stand at FIRST and LAST."""
    rows = [
        {
            "customer_id": f"C{i:04d}",
            "event_timestamp": datetime(2026, 10, 15, tzinfo=UTC),
            "plan": None if i % 7 == 0 else ("basic", "gold", 'with "quotes", ünï')[i % 3],
            "zone": ("north", "süd")[i % 2],
            "partner": None if i % 5 == 0 else i % 2 == 0,
            "tenure": None if i % 11 == 0 else 2**52 + i + add,
            "amount": None if i % 13 == 0 else 0.1 * i + add,
        }
        for i in range(count)
    ]
    rows[-2]["event_timestamp"], rows[-1]["event_timestamp"] = FIRST, LAST
    return rows


def write_features(project: Path, rows: list[dict[str, Any]], declared: Declaration | None = None) -> Path:
    """The Parquet file that Feast reads, with columns as declared."""
    types = {feature.name: _ARROW[feature.type] for feature in (declared or declaration()).features}
    schema = pa.schema({"customer_id": pa.string(), "event_timestamp": pa.timestamp("us", "UTC"), **types})
    path = project / "data" / "features" / "customer_features.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema), path, row_group_size=25)
    return path


def feature_project(folder: Path, online_write_batch_size: int = 25) -> Path:
    """A project with conf, feature_repo and a feature table."""
    for name in ("conf/base", "feature_repo"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "conf" / "local").mkdir()
    (folder / "data" / "features").mkdir(parents=True)
    yaml = feast_file(folder)
    yaml.write_text(yaml.read_text().replace("online_write_batch_size: 10000", f"online_write_batch_size: {online_write_batch_size}"))
    write_features(folder, customers())
    return folder


def feast_file(project: Path) -> Path:
    """Where the project keeps its Feast configuration."""
    return project / "feature_repo" / "feature_store.yaml"
