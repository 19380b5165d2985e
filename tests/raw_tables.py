"""Small customer tables that keep a declaration, to be broken in one way at a time."""

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.io import DataCatalog, DatasetError
from kedro.runner import SequentialRunner

from churn.core.declaration import Declaration
from churn.core.errors import ChurnError
from churn.core.raw_table.parameters import ProcessingParameters
from churn.pipelines.data_processing import create_pipeline
from tests.projects import ROOT

Row = dict[str, str]
DECLARED: dict[str, Any] = {
    "key": "id",
    "target": {"column": "left", "positive": "yes", "negative": "no"},
    "columns": {
        "plan": {"type": "category", "values": ["basic", "premium", "trial period"]},
        "region": {"type": "category", "null": True},
        "loyal": {"type": "boolean"},
        "visits": {"type": "integer", "min": 0, "max": 500},
        "fee": {"type": "number", "min": 0.5},
        "spent": {"type": "number", "blank": 0},
    },
    "derived": {"fee_per_visit": "fee / greatest(visits, 1)"},
    "ignore": ["note"],
}
PLAIN = 20
"""Rows at the start without an empty cell: what is broken there is broken alone."""
PARAMETERS: dict[str, Any] = {
    "snapshot_at": "2026-11-01T00:00:00Z",
    "split": {"test_share": 0.3, "test_from": None},
    "leak_auc": 0.99,
    "leak_rows": 5000,
}


def good_rows(count: int = 200, seed: int = 1) -> list[Row]:
    """A table that keeps DECLARED, with some empty cells where they are allowed, after the first PLAIN rows."""
    draw = random.Random(seed)
    return [
        {
            "id": f"C{number:05d}",
            "plan": draw.choice(["basic", "premium", "trial period"]),
            "region": draw.choice(["Nord", "Süd", "West, far", "" if number > PLAIN else "Nord"]),
            "loyal": draw.choice(["Yes", "No"]),
            "visits": str(draw.randrange(0, 300)),
            "fee": f"{draw.uniform(1, 80):.2f}",
            "spent": " " if number % 50 == 49 else f"{draw.uniform(-5, 900):.3f}",
            "note": draw.choice(["", 'said "hm"', "two\nlines"]),
            "left": draw.choice(["yes", "no", "no"]),
        }
        for number in range(count)
    ]


def csv_text(rows: list[Row], delimiter: str = ",", newline: str = "\n", quote_all: bool = False) -> str:
    """The rows as CSV."""
    import csv
    import io

    out = io.StringIO()
    writer = csv.DictWriter(
        out, list(rows[0]), delimiter=delimiter, lineterminator=newline, quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    )
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def process(raw: Path, folder: Path, declared: dict[str, Any] | None = None, **changed: Any) -> None:
    """Run data processing in this process, with the catalog of conf/base, into `folder`."""
    text = (ROOT / "conf/base/catalog/data_processing.yml").read_text(encoding="utf-8")
    for name, value in {"storage": folder, "raw_customers": raw, "engine": "duckdb"}.items():
        text = text.replace(f"${{globals:{name}}}", str(value))
    entries = {name: entry for name, entry in yaml.safe_load(text).items() if not name.startswith("_")}
    catalog = DataCatalog.from_config(entries)
    catalog["params:customers"] = Declaration.parse(declared or DECLARED)
    catalog["params:data_processing"] = ProcessingParameters.model_validate({**PARAMETERS, **changed})
    SequentialRunner().run(create_pipeline(), catalog)


def refusal(raw: Path, folder: Path, declared: dict[str, Any] | None = None, **changed: Any) -> str:
    """The message that stops the run; Kedro wraps what a dataset raises."""
    with pytest.raises((ChurnError, DatasetError)) as caught:
        process(raw, folder, declared, **changed)
    cause: BaseException | None = caught.value
    while cause is not None and not isinstance(cause, ChurnError):
        cause = cause.__cause__
    assert cause is not None, f"not a user's error: {caught.value!r}"
    return str(cause)


def summary(folder: Path) -> dict[str, Any]:
    """The data summary of a run."""
    found: dict[str, Any] = json.loads((folder / "reports/data_summary.json").read_text(encoding="utf-8"))
    return found


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by its path."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}
