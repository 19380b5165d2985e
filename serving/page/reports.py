"""What pipelines leave for the page: the list of customers to call, and the last verdict and report of the monitoring."""

import csv
import json
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

from churn.config import Config, dataset_path
from churn.core.errors import ChurnError
from churn.io.files import places

RETENTION_LIST, VERDICT, REPORT = "retention_list", "monitoring_verdict", "monitoring_report"
_CSV = "customers-to-call.csv"
_writing = threading.Lock()
"""Visitors come in threads, and one who writes removes what is old: another's half-written file would be that."""


def top_rows(config: Config, count: int) -> tuple[list[dict[str, Any]], int]:
    """The first rows of the retention list, and how many it has.

    Raises:
        FileNotFoundError: if there is no list yet.
    """
    from pyarrow import parquet

    system, path = _place(config, RETENTION_LIST)
    with system.open(path, "rb") as file:
        table = parquet.ParquetFile(file)
        batch = next(table.iter_batches(batch_size=count), None)
        return ([] if batch is None else batch.to_pylist()), int(table.metadata.num_rows)


def write_csv(config: Config, folder: Path) -> Path:
    """The whole retention list as CSV, batch by batch; a list that has not changed is not written again.

    Raises:
        FileNotFoundError: if there is no list yet.
    """
    system, path = _place(config, RETENTION_LIST)
    target = folder / str(system.ukey(path)) / _CSV
    with _writing:
        return target if target.exists() else _written(system, path, target)


def last_verdict(config: Config) -> dict[str, Any] | None:
    """The last verdict of the monitoring; None if there is none, or none that can be read."""
    try:
        system, path = _place(config, VERDICT)
        found = json.loads(system.cat_file(path))
    except (ChurnError, OSError, ImportError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def last_report(config: Config) -> bytes | None:
    """The last report of the monitoring, an HTML page; None if there is none, or none that can be read."""
    try:
        system, path = _place(config, REPORT)
        return bytes(system.cat_file(path))
    except (ChurnError, OSError, ImportError):
        return None


def _written(system: Any, path: str, target: Path) -> Path:
    folder = target.parent.parent
    with tempfile.TemporaryDirectory(dir=folder) as aside:
        with system.open(path, "rb") as file:
            _copy(file, Path(aside) / _CSV)
        for old in set(folder.glob(f"*/{_CSV}")) - {Path(aside) / _CSV, target}:
            shutil.rmtree(old.parent, ignore_errors=True)
        target.parent.mkdir(exist_ok=True)
        return (Path(aside) / _CSV).replace(target)


def _copy(file: Any, target: Path) -> None:
    from pyarrow import parquet

    table = parquet.ParquetFile(file)
    with target.open("w", encoding="utf-8-sig", newline="") as output:  # the byte order mark tells spreadsheets that it is UTF-8
        writer = csv.writer(output)
        writer.writerow(table.schema_arrow.names)
        for batch in table.iter_batches():
            writer.writerows(row.values() for row in batch.to_pylist())


def _place(config: Config, dataset: str) -> tuple[Any, str]:
    """The file system of a dataset, local or object storage, and its path there."""
    system, path = places.filesystem(dataset_path(config, dataset))
    system.invalidate_cache()  # a pipeline may have written a new one
    return system, path
