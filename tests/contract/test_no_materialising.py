"""Data processing stays expressions: its nodes and their core never run a query, so any Ibis engine can."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXPRESSIONS = [
    "src/churn/pipelines/data_processing/nodes.py",
    *(f"src/churn/core/raw_table/{name}.py" for name in ("expressions", "derived", "checks", "leaks", "profile")),
]
RUNS = {
    "execute", "to_pandas", "to_pandas_batches", "to_pyarrow", "to_pyarrow_batches", "to_polars", "to_torch", "to_parquet", "to_csv",
    "to_delta", "to_json", "to_dict", "fetch", "fetchall", "fetchone", "fetchdf", "df", "arrow", "pl", "cache", "persist", "collect",
    "toPandas", "raw_sql", "create_table", "create_view", "insert", "preview", "as_scalar", "as_table", "__dataframe__", "__array__",
    "connect", "memtable", "read_csv", "read_parquet", "get_backend",
}  # fmt: skip
ENGINES = {"pandas", "duckdb", "polars", "pyarrow", "pyspark", "sqlite3", "numpy"}


def offences(source: str) -> list[str]:
    """What in a module runs a query or imports an engine, with its line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in RUNS:
            found.append(f"line {node.lineno}: .{node.attr}")
        if isinstance(node, ast.Import):
            found += [f"line {node.lineno}: import {name.name}" for name in node.names if name.name.split(".")[0] in ENGINES]
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ENGINES:
            found.append(f"line {node.lineno}: from {node.module}")
    return found


@pytest.mark.parametrize("path", EXPRESSIONS)
def test_nothing_materialises(path: str) -> None:
    assert offences((ROOT / path).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line", ["table.count().execute()", "t.to_pandas()", "import pandas as pd", "from duckdb import sql", "con.raw_sql('x')"]
)
def test_the_lint_sees(line: str) -> None:
    assert len(offences(line)) == 1
