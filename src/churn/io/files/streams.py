"""Write the sample table as a stream, and never over a file that somebody else has put there."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset

from churn.core.errors import ChurnError
from churn.core.evaluation.bayes import bayes_auc, bayes_log_loss
from churn.io.files.places import Location, exists, partial, put, read_text, remove, sha256

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

CHURN_PROBABILITY, OUTCOME = "churn_probability", "churned"
"""The last columns of a sample stream: they go to the truth, not into the table."""
KNOBS = "knobs"
"""Key of the stream's schema metadata: the parameters it was drawn with, as JSON."""
NOTE = "A generated sample, not real customers: drawn from a made-up population whose churn probabilities are known."


class SampleDataset(AbstractDataset[Any, dict[str, Any]]):
    """The sample table with its truth and a note that says what it is.

    Saves a `pyarrow.RecordBatchReader`, one batch in memory at a time; loads the note.

    Args:
        filepath: the table, `.csv` or `.parquet`.
        truth: `{filepath: ...}` of the Parquet file with key, churn probability and outcome of every customer.
        note: `{filepath: ...}` of the JSON file with the table's sha256, the knobs and the best reachable metrics.
        metadata: ignored; for Kedro-Viz.
    """

    def __init__(self, filepath: str, truth: dict[str, str], note: dict[str, str], metadata: dict[str, Any] | None = None) -> None:
        self._table, self._truth, self._note = filepath, truth["filepath"], note["filepath"]
        self.metadata = metadata

    def load(self) -> dict[str, Any]:
        """The note."""
        loaded: dict[str, Any] = json.loads(read_text(self._note))
        return loaded

    def save(self, data: Any) -> None:
        """Write table, truth and note.

        Raises:
            ChurnError: if the table's place holds a file that is not an unchanged sample, or is no .csv or .parquet.
        """
        _require_form(self._table)
        require_replaceable(self._table, self._note)
        with partial(self._table) as table, partial(self._truth) as truth, partial(self._note) as note:
            about = _write(data, table, truth, self._table.endswith(".parquet"))
            note.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
            replace_sample(self._table, self._note, {note: self._note, truth: self._truth, table: self._table})
        logger.warning(
            "%s is a SAMPLE of %s generated customers, not real data. The best ROC-AUC to expect of any model on it is %.3f.",
            self._table,
            f"{about['rows']:,}",
            about["bayes_auc"],
        )

    def _exists(self) -> bool:
        return is_sample(self._table, self._note)

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._table, "truth": self._truth, "note": self._note}


def is_sample(table: Location, note: Location) -> bool:
    """Whether `table` is, byte for byte, the sample that `note` describes."""
    try:
        about = json.loads(read_text(note))
        found = sha256(table)
    except (FileNotFoundError, IsADirectoryError, ValueError):
        return False
    return isinstance(about, dict) and about.get("sample") is True and about.get("sha256") == found


def require_replaceable(table: Location, note: Location) -> None:
    """Let pass where there is no table or only a sample of ours.

    Raises:
        ChurnError: if `table` is anything else; it is left as it is.
    """
    if exists(table) and not is_sample(table, note):
        raise ChurnError(
            f"{table} is not a sample that this project wrote (or it was changed since), so it is left alone. "
            "Nothing was written. To use it, run `kedro run`; to have another table in its place, move it away first."
        )


def replace_sample(table: Location, note: Location, moves: Mapping[Path, Location]) -> None:
    """Put finished files in place, the table last.

    The old sample goes first: killed at any point, what is left is a sample with its note or no table at all,
    which the next run may replace.

    Raises:
        ChurnError: if another file has taken the table's place meanwhile.
    """
    require_replaceable(table, note)
    remove(table)
    for source, target in moves.items():
        put(source, target)


def _require_form(table: str) -> None:
    if not table.endswith((".csv", ".parquet")):
        raise ChurnError(f"The sample is written as CSV or Parquet: let {table} end in .csv or .parquet.")


def _write(reader: Any, table: Path, truth: Path, parquet: bool) -> dict[str, Any]:
    """Split the stream into table and truth; what the note says."""
    import numpy as np

    columns = [name for name in reader.schema.names if name not in (CHURN_PROBABILITY, OUTCOME)]
    write_rows = _parquet if parquet else _csv
    probability, churners = [], 0
    with (
        write_rows(table, reader.schema, columns) as rows,
        _parquet(truth, reader.schema, [columns[0], CHURN_PROBABILITY, OUTCOME]) as facts,
    ):
        for batch in reader:
            rows(batch)
            facts(batch)
            probability.append(batch.column(CHURN_PROBABILITY).to_numpy())
            churners += batch.column(OUTCOME).true_count
    truths = np.concatenate(probability)
    del probability  # as large again
    knobs = json.loads((reader.schema.metadata or {}).get(KNOBS.encode(), b"{}"))
    about = {"sample": True, "note": NOTE, "sha256": sha256(table), "seed": knobs.get("seed")}
    return {**about, **_figures(truths, churners), "knobs": knobs}


def _figures(probability: "NDArray[np.float64]", churners: int) -> dict[str, Any]:
    rows = len(probability)
    best = {"bayes_auc": bayes_auc(probability), "bayes_log_loss": bayes_log_loss(probability)}
    return {"rows": rows, "churn_rate": churners / rows, **best}


@contextmanager
def _csv(path: Path, schema: Any, columns: list[str]) -> Iterator[Callable[[Any], None]]:
    """A function that appends a batch; texts of the sample need no quotes, and the telco table has none."""
    import pyarrow as pa
    from pyarrow import csv

    options = csv.WriteOptions(include_header=False, quoting_style="none")
    with path.open("wb") as file:
        file.write((",".join(columns) + "\n").encode())
        with csv.CSVWriter(file, pa.schema([schema.field(name) for name in columns]), write_options=options) as writer:
            yield lambda batch: writer.write_batch(batch.select(columns))


@contextmanager
def _parquet(path: Path, schema: Any, columns: list[str]) -> Iterator[Callable[[Any], None]]:
    """A function that appends a batch as a row group."""
    import pyarrow as pa
    from pyarrow import parquet

    with parquet.ParquetWriter(path, pa.schema([schema.field(name) for name in columns]), compression="zstd") as writer:
        yield lambda batch: writer.write_batch(batch.select(columns))
