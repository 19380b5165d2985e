"""Tables that pass through the pipelines batch by batch, so that memory does not grow with their length."""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset

from churn.io.files.delimited import TableError
from churn.io.files.places import filesystem, is_file, written_whole
from churn.io.files.rows import failed

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from pyarrow import RecordBatchReader

logger = logging.getLogger(__name__)


class QueryBatchesDataset(AbstractDataset["ir.Table", "RecordBatchReader"]):
    """Saving keeps an Ibis expression; loading runs it and hands on its rows in batches.

    Args:
        rows: rows in a batch.
        memory: how much the engine may hold in memory, such as `1GB`; beyond it DuckDB goes on in its temporary folder.
            Engines other than DuckDB have their own setting and ignore it.
    """

    _EPHEMERAL = True

    def __init__(self, rows: int = 20_000, memory: str = "1GB", metadata: dict[str, Any] | None = None) -> None:
        self._rows, self._memory, self.metadata = rows, memory, metadata
        self._expression: ir.Table | None = None

    def save(self, data: "ir.Table") -> None:
        """Keep the expression; nothing runs yet."""
        self._expression = data

    def load(self) -> "RecordBatchReader":
        """Run the expression; the reader ends with the next query on the same engine.

        Raises:
            TableError: if the engine stops, here or while the batches are read.
        """
        import pyarrow as pa

        if self._expression is None:
            raise TableError("Nothing has been asked yet.")
        schema = self._expression.schema().to_pyarrow()
        return pa.RecordBatchReader.from_batches(schema, _run(self._expression, self._rows, self._memory))

    def release(self) -> None:
        """Forget the expression."""
        self._expression = None

    def _exists(self) -> bool:
        return self._expression is not None

    def _describe(self) -> dict[str, Any]:
        return {"rows": self._rows, "memory": self._memory}


def _run(expression: "ir.Table", rows: int, memory: str) -> Iterator[Any]:
    """Batches, under a limit of the memory while they are read.

    There is no `finally`: whoever collects the garbage closes a reader that was left behind, perhaps the very thread that a
    query of the same engine waits for. The limit then stays until the next reader.
    """
    engine = expression.get_backend()
    try:
        _limit(engine, f"SET memory_limit = '{memory}'")
        yield from engine.to_pyarrow_batches(expression, chunk_size=rows)
    except Exception as error:
        _limit(engine, "RESET memory_limit")
        raise failed("", error) from error
    _limit(engine, "RESET memory_limit")


def _limit(engine: Any, statement: str) -> None:
    if engine.name == "duckdb":
        engine.raw_sql(statement)


class ParquetBatchesDataset(AbstractDataset["RecordBatchReader", "RecordBatchReader"]):
    """A Parquet file written and read batch by batch; it appears under its name only when it is whole.

    Args:
        filepath: a local path or an address that fsspec knows.
        rows: rows in a batch that is read.
    """

    def __init__(self, filepath: str, rows: int = 20_000, metadata: dict[str, Any] | None = None) -> None:
        self._filepath, self._rows, self.metadata = filepath, rows, metadata

    def save(self, data: "RecordBatchReader") -> None:
        """Write the batches as they come."""
        from pyarrow import parquet

        count = 0
        with written_whole(self._filepath) as file, parquet.ParquetWriter(file, data.schema, compression="zstd") as writer:
            for batch in data:
                writer.write_batch(batch)
                count += batch.num_rows
        logger.info("%s: %s rows", self._filepath, f"{count:,}")

    def load(self) -> "RecordBatchReader":
        """The rows in batches.

        Raises:
            TableError: if there is no such file.
        """
        import pyarrow as pa
        from pyarrow import parquet

        if not self._exists():
            raise TableError(f"There is no {self._filepath} yet. Write it with: kedro run --pipelines scoring")
        system, path = filesystem(self._filepath)
        file = parquet.ParquetFile(system.open(path, "rb"))
        return pa.RecordBatchReader.from_batches(file.schema_arrow, file.iter_batches(self._rows))

    def _exists(self) -> bool:
        return is_file(self._filepath)

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "rows": self._rows}
