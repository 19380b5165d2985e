"""Derived features: SQL expressions of the declaration over the typed columns."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from churn.core.errors import DeclarationError
from churn.core.raw_table.row_by_row import refusal

if TYPE_CHECKING:
    import ibis.expr.types as ir

FAILED = "failed"
"""The column that holds the engine's reason where an expression failed on some value."""


def with_derived(table: "ir.Table", derived: Mapping[str, str]) -> "ir.Table":
    """Add SQL expressions over the columns, as float64.

    Raises:
        DeclarationError: naming the derived feature whose expression does not see its row alone, or which the engine refuses.
    """
    if not derived:
        return table
    for name, expression in derived.items():
        if why := refusal(expression, table.columns):
            raise DeclarationError(f"customers.derived.{name}: {expression}: {why}")
    where = f"customers.derived.{', '.join(derived)}: {'; '.join(derived.values())}"
    added = ", ".join(f"({expression}) as {_identifier(name)}" for name, expression in derived.items())
    try:
        wide = table.alias("customers").sql(f"select *, {added} from customers", dialect="duckdb")  # noqa: S608
    except Exception as error:  # noqa: BLE001  (every engine has errors of its own)
        raise DeclarationError(f"{where}: {reason(error)}") from None
    for name in derived:
        if not (wide[name].type().is_numeric() or wide[name].type().is_boolean()):
            raise DeclarationError(f"{where}: {name} is {wide[name].type()}, not a number")
    return wide.mutate(*(wide[name].cast("float64").name(name) for name in derived))


def reason(error: BaseException) -> str:
    """The first line of an SQL engine's error: the rest repeats the query."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _identifier(name: str) -> str:
    quoted = name.replace('"', '""')
    return f'"{quoted}"'
