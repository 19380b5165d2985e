"""The rules of a declaration as Ibis expressions that count the rows which break them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from churn.core.declaration import CHURNED, SPLIT, Column, Declaration
from churn.core.raw_table.derived import with_derived
from churn.core.raw_table.expressions import (
    churned,
    event_time,
    is_blank,
    keeps_the_rules,
    parsed,
    side,
    target,
    text,
    time,
    trimmed,
    typed_columns,
)
from churn.core.raw_table.parameters import ProcessingParameters
from churn.core.raw_table.rules import EXAMPLES, NEGATIVES, OTHER_VALUES, POSITIVES, ROWS, Rule, count_name

if TYPE_CHECKING:
    import ibis.expr.types as ir


@dataclass(frozen=True)
class Check:
    """The rows of a column that break a rule, and what a message shows of them."""

    column: str
    rule: Rule
    breaks: "ir.BooleanValue"
    shown: "ir.StringValue"

    @property
    def name(self) -> str:
        """The name of its count."""
        return count_name(self.rule, self.column)


def row_checks(raw: "ir.Table", declaration: Declaration) -> list[Check]:
    """Every rule that can be told row by row, for the columns that the table has."""
    checks = [check for name, column in declaration.columns.items() if name in raw.columns for check in _column_checks(raw, name, column)]
    for name in (declaration.key, declaration.target.column, declaration.observed_at):
        if name is not None and name in raw.columns:
            checks.append(Check(name, Rule.BLANK, trimmed(raw[name]).isnull(), text(raw[name])))
    return checks + _time_checks(raw, declaration) + _target_checks(raw, declaration)


def class_counts(raw: "ir.Table", declaration: Declaration) -> "ir.Table":
    """One row: the rows of the table, of each class, and those with a key that came before."""
    wanted = {ROWS: raw.count()}
    if declaration.target.column in raw.columns:
        value = target(raw, declaration)
        positive = value == declaration.target.positive
        wanted |= {POSITIVES: raw.count(where=positive), NEGATIVES: raw.count(where=~positive)}
        if declaration.target.negative is None:
            wanted[OTHER_VALUES] = value.nunique(where=~positive)
    if declaration.key in raw.columns:
        owners = _owner(raw, declaration)
        wanted[count_name(Rule.DUPLICATE_KEY, declaration.key)] = owners.count() - owners.nunique()
    return raw.aggregate(**wanted)


def rule_counts(raw: "ir.Table", declaration: Declaration) -> "ir.Table":
    """One row: how many rows break each rule, counted among the few that do not plainly keep all of them."""
    import ibis

    kept = [keeps_the_rules(raw[name], column) for name, column in declaration.columns.items() if name in raw.columns]
    kept += [text(raw[name]) >= "!" for name in (declaration.key, declaration.observed_at) if name in raw.columns]
    if declaration.target.column in raw.columns:
        known = (declaration.target.positive, declaration.target.negative)
        kept.append(text(raw[declaration.target.column]).isin([value for value in known if value is not None]))
    doubtful = raw.filter(ibis.or_(*(~ibis.coalesce(keeps, False) for keeps in kept)))
    return doubtful.aggregate(**{check.name: doubtful.count(where=check.breaks) for check in row_checks(doubtful, declaration)})


def derived_counts(raw: "ir.Table", declaration: Declaration, name: str) -> "ir.Table":
    """One row: how many values of a derived feature are no finite number.

    Raises:
        DeclarationError: if the engine refuses the expression.
    """
    table = with_derived(raw.select(*typed_columns(raw, declaration)), {name: declaration.derived[name]})
    value = table[name]
    return table.aggregate(**{count_name(Rule.WRONG_TYPE, name): table.count(where=value.isnan() | value.isinf())})


def examples(raw: "ir.Table", declaration: Declaration, broken: set[str]) -> dict[str, "ir.Table"]:
    """Up to three rows for each broken rule, by the name of its count: who, and what stands there."""
    import ibis

    owner = trimmed(raw[declaration.key]) if declaration.key in raw.columns else ibis.null("string")
    checks = row_checks(raw, declaration) + _other_targets(raw, declaration)
    found = {check.name: raw.filter(check.breaks).select(owner=owner, shown=check.shown) for check in checks if check.name in broken}
    duplicate = count_name(Rule.DUPLICATE_KEY, declaration.key)
    if duplicate in broken:
        owners = raw.select(owner=owner, shown=_owner(raw, declaration))
        found[duplicate] = owners.group_by(["owner", "shown"]).having(owners.count() > 1).agg()
    return {name: _few(table) for name, table in found.items()}


def side_counts(raw: "ir.Table", declaration: Declaration, parameters: ProcessingParameters) -> "ir.Table":
    """Rows by side and class."""
    key, at = trimmed(raw[declaration.key]), event_time(raw, declaration, parameters)
    table = raw.select(**{SPLIT: side(key, at, parameters), CHURNED: churned(raw, declaration)})
    return table.group_by([SPLIT, CHURNED]).agg(rows=table.count()).order_by([SPLIT, CHURNED])


def _few(table: "ir.Table") -> "ir.Table":
    """Three rows, of different values before several of one."""
    import ibis

    nth = ibis.row_number().over(group_by=table.shown, order_by=table.owner)
    return table.mutate(nth=nth).order_by(["nth", "owner", "shown"]).limit(EXAMPLES).drop("nth")


def _column_checks(raw: "ir.Table", name: str, column: Column) -> list[Check]:
    cell = raw[name]
    value, blank, shown = parsed(cell, column), is_blank(cell, column), text(cell)
    checks = [Check(name, Rule.BLANK, blank, shown)]
    if column.type != "category":
        checks.append(Check(name, Rule.WRONG_TYPE, value.isnull() & ~blank, shown))
    if column.values is not None:
        checks.append(Check(name, Rule.UNKNOWN_VALUE, value.notin(column.values), shown))
    outside = [value < column.min] if column.min is not None else []
    outside += [value > column.max] if column.max is not None else []
    if outside:
        checks.append(Check(name, Rule.OUT_OF_RANGE, outside[0] if len(outside) == 1 else outside[0] | outside[1], shown))
    return checks


def _time_checks(raw: "ir.Table", declaration: Declaration) -> list[Check]:
    name = declaration.observed_at
    if name is None or name not in raw.columns:
        return []
    return [Check(name, Rule.WRONG_TYPE, time(raw[name]).isnull() & trimmed(raw[name]).notnull(), text(raw[name]))]


def _target_checks(raw: "ir.Table", declaration: Declaration) -> list[Check]:
    declared = declaration.target
    if declared.column not in raw.columns or declared.negative is None:
        return []
    unknown = target(raw, declaration).notin([declared.positive, declared.negative])
    return [Check(declared.column, Rule.UNKNOWN_VALUE, unknown, text(raw[declared.column]))]


def _other_targets(raw: "ir.Table", declaration: Declaration) -> list[Check]:
    """Where `negative` is not declared: the rows that are not positive."""
    name = declaration.target.column
    if name not in raw.columns or declaration.target.negative is not None:
        return []
    return [Check(name, Rule.UNKNOWN_VALUE, target(raw, declaration) != declaration.target.positive, text(raw[name]))]


def _owner(raw: "ir.Table", declaration: Declaration) -> "ir.StringValue":
    """What must be unique: the key, and the time where a customer may have several rows."""
    key = trimmed(raw[declaration.key])
    if declaration.observed_at is None or declaration.observed_at not in raw.columns:
        return key
    return key + " at " + time(raw[declaration.observed_at]).cast("string")
