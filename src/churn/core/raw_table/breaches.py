"""What a raw table can do wrong against its declaration, and the one message that says so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from churn.core.declaration import TEST, TRAIN, Column, Declaration
from churn.core.errors import BreachError
from churn.core.raw_table.derived import FAILED
from churn.core.raw_table.rules import NEGATIVES, OTHER_VALUES, POSITIVES, ROWS, Rule, count_name
from churn.core.texts import listed, nearest

DECLARED_IN = "conf/base/parameters/customers.yml"
SHOWN = 60
"""Characters of a value that a message shows."""


@dataclass(frozen=True)
class Breach:
    """One column that breaks one rule: in how many rows, shown by (key, value) examples."""

    column: str
    rule: Rule
    detail: str
    rows: int | None = None
    examples: tuple[tuple[str | None, str | None], ...] = ()

    def line(self, key: str) -> str:
        """The breach as one line of the message; `key` is the raw name of the key column."""
        rows = "" if self.rows is None else f", {self.rows:,} row{'s' if self.rows > 1 else ''}"
        shown = ", ".join(_example(key, owner, value) for owner, value in self.examples)
        return f"  {self.column}: {self.rule}{rows}: {self.detail}{f' Found {shown}.' if shown else ''}"


def column_breaches(columns: Sequence[str], declaration: Declaration) -> list[Breach]:
    """Compare the names in the file with the declared ones: repeated, missing, unknown and renamed."""
    repeated = [name for name in columns if _is_repeated(name, columns)]
    known = {*declaration.raw_columns, *declaration.ignore}
    unknown = [name for name in columns if name not in known and name not in repeated]
    missing = [name for name in declaration.raw_columns if name not in columns]
    breaches = [Breach(name.rsplit(" (repeated", 1)[0], Rule.REPEATED_COLUMN, "the header names it more than once.") for name in repeated]
    for name in missing:
        near = nearest(name, unknown)
        if near is None:
            breaches.append(Breach(name, Rule.MISSING_COLUMN, f"the file has no such column; it has {listed(columns)}."))
        else:
            unknown.remove(near)
            breaches.append(Breach(name, Rule.RENAMED_COLUMN, f"the file has no such column, but {near!r}, which is not declared."))
    for name in unknown:
        near = nearest(name, sorted(known))
        hint = f" Did you mean {near!r}?" if near else ""
        breaches.append(Breach(name, Rule.UNKNOWN_COLUMN, f"it is not declared.{hint} Declare it, or list it under `ignore`."))
    return breaches


def broken(counts: Mapping[str, Any], declaration: Declaration) -> dict[str, tuple[Rule, str, int]]:
    """The rules that some rows break, by `count_name`: the rule, the column and the number of rows."""
    found = {}
    for rule, column in ((rule, column) for column in (*declaration.raw_columns, *declaration.derived) for rule in Rule):
        name = count_name(rule, column)
        rows = int(counts.get(name) or 0)
        if rows and not (rule is Rule.BLANK and _may_be_blank(column, declaration)):
            found[name] = (rule, column, rows)
    if declaration.target.negative is None and int(counts.get(OTHER_VALUES) or 0) > 1:
        column = declaration.target.column
        found[count_name(Rule.UNKNOWN_VALUE, column)] = (Rule.UNKNOWN_VALUE, column, int(counts[NEGATIVES]))
    return found


def row_breaches(counts: Mapping[str, Any], examples: Mapping[str, Sequence[Mapping[str, Any]]], declaration: Declaration) -> list[Breach]:
    """The rules that rows break.

    Args:
        counts: rows that break a rule, by `count_name`, and ROWS, POSITIVES, NEGATIVES, OTHER_VALUES.
        examples: up to three {"owner", "shown"} by `count_name`.
        declaration: the declared table.
    """
    if not counts[ROWS]:
        return [Breach("the table", Rule.NO_ROWS, "it holds column names and nothing below them.")]
    breaches = []
    for name, (rule, column, rows) in broken(counts, declaration).items():
        found = tuple((row["owner"], row["shown"]) for row in examples.get(name, ()))
        breaches.append(Breach(column, rule, _detail(rule, column, declaration, found), rows, found))
    return breaches + _class_breaches(counts, declaration)


def bad_expression(name: str, why: str) -> Breach:
    """A derived feature whose expression cannot be computed."""
    return Breach(name, Rule.BAD_EXPRESSION, why)


def failed_expressions(counted: Mapping[str, Mapping[str, Any]], declaration: Declaration) -> list[Breach]:
    """The derived features whose expression fails on some row: those counted as {FAILED: the engine's reason}."""
    advice = "Let it give null there, such as `case when x > 0 then ln(x) end`."
    return [
        bad_expression(name, f"customers.derived.{name}: {declaration.derived[name]}: {row[FAILED]}. {advice}")
        for name, row in counted.items()
        if FAILED in row
    ]


def leak_breaches(aucs: Mapping[str, float], limit: float) -> list[Breach]:
    """The features whose own ROC-AUC for the target is above `limit`."""
    return [
        Breach(
            name,
            Rule.LEAK,
            f"alone it ranks customers with a ROC-AUC of {auc:.4f} (limit {limit}): it is known only once the customer has left, "
            "or is the target itself. Move it to `ignore`; if it is honest, raise data_processing.leak_auc.",
        )
        for name, auc in aucs.items()
        if auc > limit
    ]


def split_breaches(sides: Sequence[Mapping[str, Any]] | None, target: str, test_share: float) -> list[Breach]:
    """Sides of the split that hold no row of a class; `sides` are {"split", "churned", "rows"}, None if not counted."""
    held = {(row["split"], row["churned"]) for row in sides or ()}
    missing = (
        [] if sides is None else [(side, churned) for side in (TRAIN, TEST) for churned in (True, False) if (side, churned) not in held]
    )
    return [
        Breach(
            target,
            Rule.SPLIT,
            f"the {side} side (data_processing.split, test_share {test_share}) holds no customer who {'left' if churned else 'stayed'}: "
            "the table is too small, or test_from cuts it wrongly.",
        )
        for side, churned in missing
    ]


def refuse(breaches: Sequence[Breach], table: str, key: str) -> None:
    """Stop if the table breaks its declaration.

    Raises:
        BreachError: with a line for every breach.
    """
    if not breaches:
        return
    head = (
        f"{table} breaks its declaration ({DECLARED_IN}) in {len(breaches)} place{'s' if len(breaches) > 1 else ''}; nothing was written:"
    )
    advice = "Mend the table, or change the declaration if the table is right; `churn declare FILE` drafts one."
    raise BreachError("\n".join([head, *(breach.line(key) for breach in breaches), advice]))


def _may_be_blank(name: str, declaration: Declaration) -> bool:
    column = declaration.columns.get(name)
    return column is not None and (column.null or column.blank is not None)


def _class_breaches(counts: Mapping[str, Any], declaration: Declaration) -> list[Breach]:
    target = declaration.target
    if counts.get(POSITIVES) is None:
        return []
    if not counts[POSITIVES]:
        return [Breach(target.column, Rule.ONE_CLASS, f"no row holds {target.positive!r}, the value that means churned.")]
    if not counts[NEGATIVES]:
        return [Breach(target.column, Rule.ONE_CLASS, f"every row holds {target.positive!r}: nobody stayed.")]
    return []


def _detail(rule: Rule, column: str, declaration: Declaration, found: Sequence[tuple[str | None, str | None]]) -> str:
    if column == declaration.key:
        return "the key is empty." if rule is Rule.BLANK else _duplicate(declaration)
    if column == declaration.target.column:
        return _target_detail(rule, declaration, found)
    if column == declaration.observed_at:
        return "no time is given." if rule is Rule.BLANK else "not a time; write ISO 8601, such as 2026-11-01 or 2026-11-01T08:30:00Z."
    if column in declaration.derived:
        return "the expression gives infinity or not-a-number."
    return _column_detail(rule, declaration.columns[column], found)


def _duplicate(declaration: Declaration) -> str:
    if declaration.observed_at is None:
        return "the key must be unique; for several rows per customer declare `observed_at`."
    return f"the key must be unique at each {declaration.observed_at}."


def _target_detail(rule: Rule, declaration: Declaration, found: Sequence[tuple[str | None, str | None]]) -> str:
    target = declaration.target
    if rule is Rule.BLANK:
        return "nobody knows whether these customers left; leave such rows out."
    known = [target.positive] if target.negative is None else [target.positive, target.negative]
    hint = "" if target.negative is not None else " and one other value; if it is right, declare `negative`, or merge the values"
    return f"the target holds {listed(known)}{hint}.{_near_values(known, found)}"


def _column_detail(rule: Rule, column: Column, found: Sequence[tuple[str | None, str | None]]) -> str:
    if rule is Rule.BLANK:
        return "empty; declare `null: true` if a value may be missing, or `blank: VALUE` for what an empty cell means."
    if rule is Rule.WRONG_TYPE:
        return {
            "boolean": "neither yes nor no (yes, true, t, y, 1; no, false, f, n, 0).",
            "integer": "not a whole number.",
            "number": "not a number with a decimal point.",
        }[column.type]
    if rule is Rule.OUT_OF_RANGE:
        low, high = (None if bound is None else f"{bound:g}" for bound in (column.min, column.max))
        return (
            f"the range is at least {low}."
            if high is None
            else f"the range is {f'{low} to {high}' if low is not None else f'at most {high}'}."
        )
    return f"the values are {listed(column.values or ())}.{_near_values(column.values or (), found)}"


def _near_values(known: Sequence[str], found: Sequence[tuple[str | None, str | None]]) -> str:
    pairs = {value: near for _, value in found if value is not None and (near := nearest(value, known)) is not None}
    return "".join(f" Did you mean {near!r} for {value!r}?" for value, near in pairs.items())


def _is_repeated(name: str, columns: Sequence[str]) -> bool:
    base, mark, _ = name.rpartition(" (repeated ")
    return bool(mark) and base.lower() in {column.lower() for column in columns}


def _quoted(value: str | None) -> str:
    if value is None:
        return "nothing"
    return repr(value if len(value) <= SHOWN else value[: SHOWN - 1] + "…")


def _example(key: str, owner: str | None, value: str | None) -> str:
    return _quoted(value) if owner is None or owner == value else f"{_quoted(value)} ({key} {_quoted(owner)})"
