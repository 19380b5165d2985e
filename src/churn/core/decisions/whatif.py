"""A customer's features with some columns changed: checked against the declaration, derived features computed anew."""

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

from churn.core.declaration import Column, Declaration
from churn.core.errors import ChurnError

_SQL_TYPES = {"category": "VARCHAR", "boolean": "BOOLEAN", "integer": "BIGINT", "number": "DOUBLE"}
_LARGEST_INTEGER = 2**53
_LARGEST_NUMBER = 3.4e38
"""What the encoding's float32 holds."""


class ChangeError(ChurnError):
    """Changes that the declaration does not allow; `mistakes` has a text for each column."""

    def __init__(self, mistakes: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in mistakes.items()))
        self.mistakes = dict(mistakes)


def with_changes(
    declaration: Declaration, features: Mapping[str, Any], changes: Mapping[str, Any], learned: Mapping[str, tuple[str, ...]] | None = None
) -> dict[str, Any]:
    """The features after the changes; unchanged ones keep their value, derived ones follow the changed columns.

    Args:
        declaration: the customer table.
        features: a customer's features by name, as the feature store has them.
        changes: declared columns with their new values.
        learned: category -> the values the model knows, for categories whose values are not declared.

    Raises:
        ChangeError: naming every change that is not allowed, or a derived feature that becomes no finite number.
    """
    mistakes: dict[str, str] = {}
    changed = dict(features)
    for name, value in changes.items():
        try:
            checked = _checked(declaration, name, value, (learned or {}).get(name))
            if name not in features:
                raise ValueError("is not a feature of the model")
            changed[name] = checked
        except ValueError as error:
            mistakes[name] = str(error)
    if mistakes:
        raise ChangeError(mistakes)
    if not changes or not declaration.derived:
        return changed
    return {**changed, **{name: value for name, value in derive(declaration, changed).items() if name in features}}


def derive(declaration: Declaration, row: Mapping[str, Any]) -> dict[str, float | None]:
    """The derived features of one row, by the same SQL expressions and engine as in data processing.

    Args:
        declaration: the customer table.
        row: the declared columns by name, in their types.

    Raises:
        ChangeError: naming a derived feature that is no finite number.
    """
    import duckdb

    columns = ", ".join(f"{_literal(row.get(name), column)} AS {_quoted(name)}" for name, column in declaration.columns.items())
    query = f"SELECT {columns}"
    for name, expression in declaration.derived.items():
        query = f"SELECT *, CAST(({expression}) AS DOUBLE) AS {_quoted(name)} FROM ({query})"  # noqa: S608 - the declaration's own
    try:
        found = _engine().cursor().execute(query).fetchall()[0]
    except duckdb.Error as error:
        raise ChangeError({"derived": str(error).splitlines()[0]}) from None
    derived = dict(zip(declaration.derived, found[len(declaration.columns) :], strict=True))
    if infinite := [name for name, value in derived.items() if value is not None and not math.isfinite(value)]:
        raise ChangeError(dict.fromkeys(infinite, "is no finite number after these changes"))
    return derived


@cache
def _engine() -> Any:
    import duckdb

    return duckdb.connect(config={"threads": 1})


def _literal(value: Any, column: Column) -> str:
    """A value as SQL. Text that is cast, because it is exact for every type, and because parameters make DuckDB import pandas."""
    text = "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"
    return f"CAST({text} AS {_SQL_TYPES[column.type]})"


def _checked(declaration: Declaration, name: str, value: Any, learned: tuple[str, ...] | None) -> Any:
    column = declaration.columns.get(name)
    if column is None:
        raise ValueError(_unknown(declaration, name))
    if value is None:
        if column.null:
            return None
        raise ValueError("may not be empty")
    if column.type == "category":
        return _category(column, value, learned)
    if column.type == "boolean":
        if not isinstance(value, bool):
            raise ValueError("must be true or false")
        return value
    return _number(column, value)


def _unknown(declaration: Declaration, name: str) -> str:
    import difflib

    if name in declaration.derived:
        return f"is computed from other columns ({declaration.derived[name]}); change those"
    near = difflib.get_close_matches(name, declaration.columns, 1, 0.5)
    return "is no declared column" + (f"; did you mean {near[0]}?" if near else "")


def _category(column: Column, value: Any, learned: tuple[str, ...] | None) -> str:
    allowed = column.values if column.values is not None else learned
    if not isinstance(value, str):
        raise ValueError("must be text")
    if allowed is not None and value not in allowed:
        raise ValueError(f"must be one of: {', '.join(allowed)}")
    return value


def _number(column: Column, value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:  # noqa: PLR0124 - NaN
        raise ValueError("must be a number")
    if abs(value) > (_LARGEST_INTEGER if column.type == "integer" else _LARGEST_NUMBER):
        raise ValueError("is too large")
    if column.type == "integer" and not float(value).is_integer():
        raise ValueError("must be a whole number")
    if column.min is not None and value < column.min:
        raise ValueError(f"must be at least {column.min:g}")
    if column.max is not None and value > column.max:
        raise ValueError(f"must be at most {column.max:g}")
    return int(value) if column.type == "integer" else float(value)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
