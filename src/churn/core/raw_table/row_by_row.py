"""Derived expressions see one row and nothing else, so that a what-if about one customer computes what training saw.

DuckDB's own parser takes an expression apart, and its catalogue says which functions aggregate and which are volatile.
"""

import json
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

CLOCK = frozenset({"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"})
"""Functions without parentheses: the parser takes them for columns."""


def refusal(expression: str, columns: Sequence[str]) -> str | None:
    """Why an SQL expression over these columns is no function of one row alone; None if it is one.

    An expression that cannot be parsed is left to the engine, which says where.
    """
    known = {name.casefold() for name in columns}
    kinds = _kinds()
    for part in _parts(_parsed(expression)):
        name = str(part.get("function_name", "")).lower()
        if part["class"] == "WINDOW" or (part["class"] == "FUNCTION" and kinds.get(name) == "aggregate"):
            return f"{name}() looks across rows; an expression sees one customer's row alone"
        if part["class"] == "SUBQUERY":
            return "a query inside the expression looks across rows; an expression sees one customer's row alone"
        if part["class"] == "FUNCTION" and name == "unnest":
            return "unnest() makes several rows of one"
        clock = [] if part["class"] != "COLUMN_REF" else [word for word in part["column_names"] if word.lower() in CLOCK - known]
        if clock or kinds.get(name) == "volatile":
            return f"{clock[0] if clock else f'{name}()'} gives another value in every run; the same row must always give the same"
    return None


def _parsed(expression: str) -> Any:
    import duckdb

    with duckdb.connect() as engine:
        answer = engine.execute("select json_serialize_sql($query::varchar)", {"query": f"select ({expression})"})
        return json.loads(answer.fetchall()[0][0])


def _parts(tree: Any) -> Iterator[dict[str, Any]]:
    """Every node of a parsed expression that has a class."""
    inner = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    if isinstance(tree, dict) and "class" in tree:
        yield tree
    for part in inner:
        yield from _parts(part)


@cache
def _kinds() -> dict[str, str]:
    """The functions of DuckDB that are not plain: `aggregate` or `volatile`, by name."""
    import duckdb

    query = """
        select distinct function_name, if(function_type = 'aggregate', 'aggregate', 'volatile') from duckdb_functions()
        where function_type = 'aggregate' or (function_type = 'scalar' and stability <> 'CONSISTENT')"""
    with duckdb.connect() as engine:
        return dict(engine.execute(query).fetchall())
