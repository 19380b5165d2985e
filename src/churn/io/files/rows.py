"""Small results: Ibis expressions run, their rows handed on as dicts."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset

from churn.core.raw_table.derived import FAILED, reason
from churn.io.files.delimited import TableError, explain

if TYPE_CHECKING:
    import ibis.expr.types as ir

Rows = list[dict[str, Any]]


class RowsDataset(AbstractDataset[Any, Any]):
    """A small result: runs an Ibis expression, or a dict of them by name, and hands on its rows as dicts.

    With `failures_are_rows`, what the engine cannot compute is handed on as one row {FAILED: the engine's reason}:
    for expressions of the user's, whose failure is a finding among others.
    """

    _EPHEMERAL = True

    def __init__(self, failures_are_rows: bool = False, metadata: dict[str, Any] | None = None):
        self._failures_are_rows = failures_are_rows
        self.metadata = metadata
        self._rows: Rows | dict[str, Rows] | None = None

    def save(self, data: "ir.Table | Mapping[str, ir.Table]") -> None:
        """Run the expressions.

        Raises:
            TableError: naming the expression that the engine cannot run.
        """
        one = _run_or_failure if self._failures_are_rows else run
        self._rows = {name: one(name, table) for name, table in data.items()} if isinstance(data, Mapping) else one("", data)

    def load(self) -> Rows | dict[str, Rows]:
        """The rows, by name where several expressions were saved."""
        if self._rows is None:
            raise TableError("Nothing has been computed yet.")
        return self._rows

    def release(self) -> None:
        """Forget the rows."""
        self._rows = None

    def _exists(self) -> bool:
        return self._rows is not None

    def _describe(self) -> dict[str, Any]:
        return {}


def run_all(expressions: Mapping[str, "ir.Table"]) -> dict[str, Rows]:
    """`run` for expressions by name."""
    return {name: run(name, one) for name, one in expressions.items()}


def run(name: str, expression: "ir.Table") -> Rows:
    """Run an expression on its engine.

    Raises:
        TableError: with the name and the engine's reason.
    """
    try:
        rows: Rows = expression.to_pyarrow().to_pylist()
    except Exception as error:
        raise failed(name, error) from error
    return rows


def _run_or_failure(name: str, expression: "ir.Table") -> Rows:
    try:
        return run(name, expression)
    except TableError as error:
        return [{FAILED: reason(error.__cause__ or error)}]


def failed(what: str, error: Exception) -> TableError:
    """What an engine's error means for a file or an expression."""
    if "CSV Error" in str(error):
        return explain(what, error)
    return TableError(f"{what or 'The table'}: the engine stopped: {reason(error)}")
