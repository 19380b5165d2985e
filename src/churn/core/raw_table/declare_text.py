"""A drafted declaration as commented YAML."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from churn.core.raw_table.declare import Roles


def written(columns: Mapping[str, tuple[dict[str, Any] | None, str]], found: Roles, source: str) -> str:
    """The draft as commented YAML."""
    kept = {name: entry for name, entry in columns.items() if entry[0] is not None}
    ignored = {name: comment for name, (column, comment) in columns.items() if column is None}
    target = {"column": found.target, "positive": found.positive, "negative": found.negative}
    lines = [
        f"# Drafted by `churn declare` from {_one_line(source)}: read it, edit it, and put it at conf/base/parameters/customers.yml.",
        "customers:",
        _line(2, f"key: {_yaml(found.key)}", "becomes customer_id"),
        _line(2, f"target: {_yaml(target)}", "positive: the value that means churned"),
        _line(2, f"observed_at: {_yaml(found.observed_at)}", "a column with the time a row describes; null: one row per customer"),
        "  columns:                  # further keys: max, unit, label (text for people), actionable: true (the business can change it)",
        *(_line(4, f"{_yaml(name)}: {_yaml(column)}", comment) for name, (column, comment) in kept.items()),
        _line(2, "derived: {}", 'name: "SQL expression over the columns above"'),
        _line(2, "ignore:" if ignored else "ignore: []", "columns that must not become features"),
        *(_line(4, f"- {_yaml(name)}", comment) for name, comment in ignored.items()),
    ]
    return "\n".join(lines) + "\n"


def _line(indent: int, entry: str, comment: str) -> str:
    return " " * indent + (f"{entry}   # {_one_line(comment)}" if comment else entry)


class _Writer(yaml.SafeDumper):
    """One line per value, and texts that every YAML reader takes for texts: Kedro's reads 1e3 as a number, PyYAML does not."""


def _text(writer: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Quoted unless it starts with a letter and is made of words; in double quotes, which escape line breaks, if need be."""
    words = re.fullmatch(r"[^\W\d_][\w .()/-]*", text) is not None
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style=None if words else "'" if text.isprintable() else '"')


_Writer.add_representer(str, _text)


def _yaml(value: Any) -> str:
    text: str = yaml.dump(value, Dumper=_Writer, default_flow_style=True, width=10**9, allow_unicode=True, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def _one_line(text: str) -> str:
    return " ".join(text.split())
