"""Draft the declaration of a table from its profile: what each column becomes, and why not a feature."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from churn.core.declaration import Declaration, why_no_feature
from churn.core.errors import ChurnError
from churn.core.raw_table.expressions import FALSE, TRUE
from churn.core.raw_table.profile import ColumnProfile
from churn.core.raw_table.rules import Rule, count_name
from churn.core.texts import nearest, spaced

MOST_VALUES = 50
"""Distinct texts up to which a column is a category with its values listed."""
MOST_SHARE = 0.05
"""Distinct texts per row up to which a longer list is still a category, its values learned in training."""
ENOUGH = 50
"""Rows from which unique whole numbers are an identifier, and not chance."""
KEY_WORDS = ("customer", "client", "subscriber", "member", "account", "user", "msisdn", "phone", "id", "key", "number", "no")
TARGET_WORDS = ("churn", "exited", "attrit", "attrition", "left", "cancel", "lapsed", "defect", "unsubscribed", "target", "label")
POSITIVE_WORDS = (
    *TRUE,
    "churn",
    "churned",
    "exited",
    "left",
    "cancelled",
    "canceled",
    "lapsed",
    "attrited",
    "attrited customer",
    "churner",
    "gone",
)
Values = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class Roles:
    """The columns that are no features, and the two values of the target."""

    key: str
    target: str
    positive: str
    negative: str
    observed_at: str | None


def listed_values(profiles: Sequence[ColumnProfile]) -> list[str]:
    """The columns whose distinct values a draft needs to see."""
    return [column.name for column in profiles if 0 < column.distinct <= MOST_VALUES]


def roles(profiles: Sequence[ColumnProfile], values: Values, key: str | None, target: str | None, positive: str | None) -> Roles:
    """Find the key and the target where they are not given.

    Raises:
        ChurnError: saying which option to give, if they cannot be told or do not fit.
    """
    by_name = {column.name: column for column in profiles}
    if profiles and not profiles[0].rows:
        raise ChurnError("The table has no rows: there is nothing to draft a declaration from.")
    for option, name in (("--key", key), ("--target", target)):
        if name is not None and name not in by_name:
            near = nearest(name, list(by_name))
            raise ChurnError(
                f"{option} {name}: the table has no such column{f'; did you mean {near!r}' if near else ''}. It has {_names(by_name)}."
            )
    wanted = target or _find_target(profiles)
    yes, no = _classes(by_name[wanted], values, positive)
    owner, observed_at = _find_key([column for column in profiles if column.name != wanted], key)
    return Roles(owner, wanted, yes, no, observed_at)


def refuse_repeated_keys(counts: Mapping[str, Any], found: Roles) -> None:
    """Stop if key and time together repeat; `counts` are those of `churn.core.raw_table.checks.class_counts`.

    Raises:
        ChurnError: with the number of rows.
    """
    repeated = counts[count_name(Rule.DUPLICATE_KEY, found.key)]
    if repeated:
        at = f" at the same {found.observed_at}" if found.observed_at else ""
        raise ChurnError(f"--key {found.key}: {repeated:,} rows repeat a key{at}. A customer has one row, or one per time.")


def draft(profiles: Sequence[ColumnProfile], values: Values, found: Roles) -> dict[str, tuple[dict[str, Any] | None, str]]:
    """For every column without a role: its declaration (None: to be ignored) and a comment."""
    taken = {found.key, found.target, found.observed_at}
    return {column.name: _column(column, values) for column in profiles if column.name not in taken}


def without_leaks(columns: Mapping[str, tuple[dict[str, Any] | None, str]], aucs: Mapping[str, float], limit: float) -> dict[str, Any]:
    """The draft with the features that give the answer away moved to `ignore`."""
    leak = "gives the answer away: alone it ranks customers with a ROC-AUC of"
    return {name: (None, f"{leak} {aucs[name]:.4f}") if aucs.get(name, 0) > limit else entry for name, entry in columns.items()}


def declaration(columns: Mapping[str, tuple[dict[str, Any] | None, str]], found: Roles) -> Declaration:
    """The draft as a declaration.

    Raises:
        ChurnError: if no column is left to be a feature.
    """
    kept = {name: column for name, (column, _) in columns.items() if column is not None}
    if not kept:
        raise ChurnError("No column of the table can be a feature: all are identifiers, constants, free text or leaks.")
    target = {"column": found.target, "positive": found.positive, "negative": found.negative}
    ignored = [name for name, (column, _) in columns.items() if column is None]
    return Declaration.parse({"key": found.key, "target": target, "observed_at": found.observed_at, "columns": kept, "ignore": ignored})


def _find_target(profiles: Sequence[ColumnProfile]) -> str:
    two = [column.name for column in profiles if column.distinct == 2]  # noqa: PLR2004
    named = [name for word in TARGET_WORDS for name in two if word in name.lower()]
    if named:
        return named[0]
    raise ChurnError(f"No column is plainly the target. Say who left with --target COLUMN; these have two values: {_names(two) or 'none'}.")


def _classes(column: ColumnProfile, values: Values, positive: str | None) -> tuple[str, str]:
    name = column.name
    if column.blank:
        raise ChurnError(
            f"The target {name!r} is empty in {column.blank:,} rows. Leave them out: nobody knows whether these customers left."
        )
    present = [str(row["value"]) for row in values.get(name, ())]
    if len(present) != 2:  # noqa: PLR2004
        raise ChurnError(
            f"The target {name!r} has {column.distinct:,} values and needs two, one of which means churned. Choose with --target COLUMN."
        )
    if positive is None:
        likely = [value for value in present if value.lower() in POSITIVE_WORDS]
        if len(likely) != 1:
            raise ChurnError(f"Which value of {name!r} means churned? Say --positive with one of {_names(present)}.")
        positive = likely[0]
    if positive not in present:
        raise ChurnError(f"--positive {positive}: {name!r} holds {_names(present)}.")
    return positive, next(value for value in present if value != positive)


def _find_key(profiles: Sequence[ColumnProfile], key: str | None) -> tuple[str, str | None]:
    by_name = {column.name: column for column in profiles}
    times = [column.name for column in profiles if column.is_time and not column.blank]
    if key is not None:
        if key not in by_name or by_name[key].blank:
            raise ChurnError(f"--key {key}: a key is filled in every row, and is not the target.")
        if by_name[key].is_unique:
            return key, None
        if len(times) == 1:
            return key, times[0]
        raise ChurnError(
            f"--key {key}: {by_name[key].rows - by_name[key].distinct:,} rows repeat a key. A customer has one row, or one per time."
        )
    unique = [column.name for column in profiles if column.is_unique and (column.is_whole or not column.is_number) and not column.is_time]
    named = [name for word in KEY_WORDS for name in unique if word in _words(name)]
    if unique:
        return (named or unique)[0], None
    raise ChurnError("No column has a value of its own in every row. Say which one names the customer with --key COLUMN.")


def _column(column: ColumnProfile, values: Values) -> tuple[dict[str, Any] | None, str]:
    reason = _why_not(column)
    if reason is not None:
        return None, reason
    comments, options = [], _type(column, values)
    if options["type"] in ("integer", "number"):
        comments.append(f"{column.low:g} to {column.high:g}")
    if column.spaces and options["type"] in ("integer", "number") and column.spaces == column.blank and (column.low or 0) >= 0:
        options["blank"] = 0
        comments.append(f"{column.spaces:,} cells hold only spaces: taken as 0, check that")
    elif column.blank:
        options["null"] = True
        comments.append(f"{column.blank:,} cells are empty")
    if options["type"] == "category" and "values" not in options:
        comments.append(f"{column.distinct:,} values, learned from the training rows")
    return options, "; ".join(comments)


def _type(column: ColumnProfile, values: Values) -> dict[str, Any]:
    if column.is_boolean and _says_yes_and_no(values[column.name]):
        return {"type": "boolean"}
    if column.is_number:
        low = {"min": 0} if column.low is not None and column.low >= 0 else {}
        return {"type": "integer" if column.is_whole else "number", **low}
    if column.distinct <= MOST_VALUES:
        return {"type": "category", "values": [str(row["value"]) for row in values[column.name]]}
    return {"type": "category"}


def _why_not(column: ColumnProfile) -> str | None:
    """Why a column must not become a feature; None if it may."""
    unusable = why_no_feature(column.name)
    reasons = {
        "no name in the header": column.name.startswith("Unnamed: "),
        f"{unusable}: rename the column in the file to keep it": unusable is not None,
        f"{column.kind}: a feature is one text, number or yes and no": not column.plain,
        "empty in every row": not column.filled,
        "the same value in every row": column.distinct == 1 and not column.blank,
        "a time: count the days to it before the table comes here": column.is_time,
        "a value of its own in every row: an identifier": _is_identifier(column),
    }
    return next((reason for reason, holds in reasons.items() if holds), None) or _why_no_category(column)


def _is_identifier(column: ColumnProfile) -> bool:
    return column.distinct == column.filled >= ENOUGH and (column.is_whole or not column.is_number)


def _why_no_category(column: ColumnProfile) -> str | None:
    if column.is_number or column.distinct <= max(MOST_VALUES, MOST_SHARE * column.rows):
        return None
    if column.numbers > column.filled / 2 and not column.padded:
        return f"numbers, but {column.filled - column.numbers:,} cells are text: empty those cells to keep it"
    return f"{column.distinct:,} different texts: names or free text"


def _says_yes_and_no(rows: Sequence[Mapping[str, Any]]) -> bool:
    said = {str(row["value"]).lower() for row in rows}
    return len(said & set(TRUE)) == 1 and len(said & set(FALSE)) == 1


def _words(name: str) -> list[str]:
    """`customerID` and `customer_id` as customer, id."""
    return "".join(c if c.isalnum() else " " for c in spaced(name)).lower().split()


def _names(names: Any) -> str:
    return ", ".join(repr(name) for name in names)
