"""Raw text to typed values, as Ibis expressions: nothing here runs, the catalog's datasets do that.

Raw columns are text (CSV) or already typed (Parquet). Both take the same rules: white space around a
value is ignored, and an empty cell is missing. Most cells are fine as they stand, so every expression
asks the cheap question first (is it one of the values, is it a number) and trims only what fails it.
"""

from typing import TYPE_CHECKING, Any

from churn.core.declaration import CHURNED, CUSTOMER_ID, EVENT_TIMESTAMP, SPLIT, TEST, TRAIN, Column, Declaration
from churn.core.errors import DeclarationError
from churn.core.raw_table.derived import with_derived
from churn.core.raw_table.parameters import ProcessingParameters, utc_text
from churn.core.split import HEX_DIGITS, TEST_DIGITS, hex_bound

if TYPE_CHECKING:
    import ibis.expr.types as ir

TRUE = ("yes", "true", "t", "y", "1")
FALSE = ("no", "false", "f", "n", "0")
USUAL_TRUE, USUAL_FALSE = ("Yes", "1", "true"), ("No", "0", "false")
"""How most tables write them: asked first."""
LARGEST = 1.7976931348623157e308
"""The largest finite float64: infinity and, in SQL's order, not-a-number lie above it."""
EXACT = 2.0**53
"""Whole numbers up to here are exact in float64."""
UTC_TIME = "timestamp('UTC', 6)"


def text(raw: "ir.Value") -> "ir.StringValue":
    """A raw value as text, as it stands in a CSV: whole floating-point numbers without their `.0`."""
    import ibis

    kind = raw.type()
    if kind.is_string():
        return raw
    if kind.is_decimal():
        raw, kind = raw.cast("float64"), ibis.dtype("float64")
    if kind.is_floating():
        return ibis.cases((_is_whole(raw), raw.cast("int64").cast("string")), else_=raw.cast("string"))
    return raw.cast("string")


def trimmed(raw: "ir.Value") -> "ir.StringValue":
    """A raw value as text without the white space around it; missing where nothing is left."""
    import ibis

    if not raw.type().is_string():
        return text(raw)
    return ibis.cases((_is_tight(raw), raw), else_=raw.strip().nullif(""))


def is_blank(raw: "ir.Value", column: Column) -> "ir.BooleanValue":
    """Whether a cell is empty: missing, or white space alone."""
    import ibis

    if not raw.type().is_string():
        return raw.isnull()
    return ibis.cases((_stands(raw, column), False), else_=trimmed(raw).isnull())


def parsed(raw: "ir.Value", column: Column) -> "ir.Value":
    """A raw value in its declared type: float64, int64, boolean or string; missing where it does not parse."""
    if column.type == "number":
        return _number(raw)
    if column.type == "integer":
        number = _number(raw)
        return _where(_is_whole(number), number.cast("int64"))
    return _boolean(raw) if column.type == "boolean" else _category(raw, column)


def typed(raw: "ir.Value", name: str, column: Column) -> "ir.Value":
    """`parsed`, with the declared meaning of an empty cell filled in."""
    import ibis

    value = parsed(raw, column)
    return value if column.blank is None else ibis.coalesce(value, ibis.literal(blank_value(name, column), value.type()))


def blank_value(name: str, column: Column) -> str | float | int | bool | None:
    """What the declaration says an empty cell means, in the column's type.

    Raises:
        DeclarationError: if it does not fit the type.
    """
    blank = column.blank
    written = f"{blank:g}" if isinstance(blank, float) else str(blank).strip()
    try:
        if column.type == "category":
            return _category_blank(written, column)
        if column.type == "boolean":
            return {**dict.fromkeys(TRUE, True), **dict.fromkeys(FALSE, False)}[written.lower()]
        return int(written) if column.type == "integer" else float(written)
    except (KeyError, ValueError):
        raise DeclarationError(f"customers.columns.{name}.blank: {blank!r} is no value of a column of type {column.type}.") from None


def time(raw: "ir.Value") -> "ir.TimestampValue":
    """A raw value as a time in UTC; missing where it does not parse. A time without a zone is UTC."""
    kind = raw.type()
    return raw.cast(UTC_TIME) if kind.is_timestamp() or kind.is_date() else trimmed(raw).try_cast(UTC_TIME)


def churned(raw: "ir.Table", declaration: Declaration) -> "ir.BooleanValue":
    """Whether the target holds the positive value; missing where it is empty."""
    return target(raw, declaration) == declaration.target.positive


def target(raw: "ir.Table", declaration: Declaration) -> "ir.StringValue":
    """The target as text, without the white space around it."""
    known = tuple(value for value in (declaration.target.positive, declaration.target.negative) if value is not None)
    return _category(raw[declaration.target.column], Column(type="category", values=known))


def event_time(raw: "ir.Table", declaration: Declaration, parameters: ProcessingParameters) -> "ir.TimestampValue":
    """The time that a row describes, in UTC."""
    import ibis

    if declaration.observed_at is not None:
        return time(raw[declaration.observed_at])
    return ibis.literal(utc_text(parameters.snapshot_at)).cast(UTC_TIME)


def side(key: "ir.StringValue", at: "ir.TimestampValue", parameters: ProcessingParameters) -> "ir.StringValue":
    """`train`, `test`, or missing for rows on the wrong side of `test_from`.

    The customer's side is read off the first 32 bits of the MD5 of the customer id, as text.
    """
    import ibis

    tested = digits(key, TEST_DIGITS) < hex_bound(parameters.split.test_share)
    if parameters.split.test_from is None:
        return tested.ifelse(TEST, TRAIN)
    late = at >= ibis.literal(utc_text(parameters.split.test_from)).cast(UTC_TIME)
    return ibis.cases((tested & late, TEST), (~tested & ~late, TRAIN), else_=ibis.null("string"))


def digits(key: "ir.StringValue", start: int) -> "ir.StringValue":
    """32 bits of the MD5 of a key as hexadecimal text, from digit `start` on."""
    digest = key.hexdigest("md5")
    return digest.left(HEX_DIGITS) if start == 0 else digest.substr(start, HEX_DIGITS)


def typed_columns(raw: "ir.Table", declaration: Declaration) -> list["ir.Value"]:
    """Every declared column in its type, under its name: a list, because a name such as `self` is no keyword of Ibis."""
    return [typed(raw[name], name, column).name(name) for name, column in declaration.columns.items()]


def customers(raw: "ir.Table", declaration: Declaration, parameters: ProcessingParameters) -> "ir.Table":
    """The table of the pipelines: key, time, label and side, then the features in declared order."""
    key = trimmed(raw[declaration.key])
    at = event_time(raw, declaration, parameters)
    head = {CUSTOMER_ID: key, EVENT_TIMESTAMP: at, CHURNED: churned(raw, declaration), SPLIT: side(key, at, parameters)}
    table = raw.select(*(value.name(name) for name, value in head.items()), *typed_columns(raw, declaration))
    if parameters.split.test_from is not None:
        table = table.filter(table[SPLIT].notnull())
    return with_derived(table, declaration.derived)


def nothing(raw: "ir.Value", kind: str) -> "ir.Value":
    """A missing value of type `kind` in every row of `raw`."""
    import ibis

    return ibis.cases((raw.isnull(), ibis.null(kind)), else_=ibis.null(kind))


def _number(raw: "ir.Value") -> "ir.FloatingValue":
    kind = raw.type()
    if kind.is_string():
        number = raw.try_cast("float64")
    elif kind.is_numeric() or kind.is_boolean():
        number = raw.cast("float64")
    else:  # a Parquet date, list, ...
        number = nothing(raw, "float64")
    return _where(_is_finite(number), number)


def _boolean(raw: "ir.Value") -> "ir.BooleanValue":
    import ibis

    if raw.type().is_boolean():
        return raw
    # A simple CASE, not IN: for a longer IN list DuckDB joins, and would trim every row for it.
    told = [(word, True) for word in TRUE] + [(word, False) for word in FALSE]
    slow = trimmed(raw).lower().cases(*told, else_=ibis.null("boolean"))
    return ibis.cases((raw.isin(USUAL_TRUE), True), (raw.isin(USUAL_FALSE), False), else_=slow) if raw.type().is_string() else slow


def _category(raw: "ir.Value", column: Column) -> "ir.StringValue":
    import ibis

    if not raw.type().is_string() or column.values is None:
        return trimmed(raw)
    return ibis.cases((_stands(raw, column), raw), else_=trimmed(raw))


def keeps_the_rules(raw: "ir.Value", column: Column) -> "ir.BooleanValue":
    """Whether a cell plainly keeps every rule of its column: cheap, and missing or false where it takes a closer look."""
    if column.type == "boolean":
        return raw.isin(USUAL_TRUE + USUAL_FALSE) if raw.type().is_string() else parsed(raw, column).notnull()
    if column.type == "category":
        value = text(raw)
        return value.isin(column.values) if column.values is not None else value >= "!"
    value = parsed(raw, column)
    low, high = (-LARGEST if column.min is None else column.min), (LARGEST if column.max is None else column.max)
    return value.between(low, high)


def _is_tight(raw: "ir.StringValue") -> "ir.BooleanValue":
    """Whether text neither starts nor ends with white space ("!" is the first visible character): cheaper than trimming."""
    ends = [raw.endswith(blank) for blank in (" ", "\t", "\r", "\n")]
    return (raw >= "!") & ~(ends[0] | ends[1] | ends[2] | ends[3])


def _stands(raw: "ir.StringValue", column: Column) -> "ir.BooleanValue":
    """Whether text is a value as it stands, without trimming: a cheap question that most cells pass."""
    if column.type in ("number", "integer"):
        return raw.try_cast("float64").notnull()
    if column.type == "boolean":
        return raw.isin(USUAL_TRUE + USUAL_FALSE)
    return raw.isin(column.values) if column.values is not None else _is_tight(raw)


def _category_blank(written: str, column: Column) -> str:
    if isinstance(column.blank, bool) or (column.values is not None and written not in column.values):
        raise ValueError
    return written


def _is_finite(number: "ir.NumericValue") -> "ir.BooleanValue":
    return number.abs() <= LARGEST


def _is_whole(number: "ir.NumericValue") -> "ir.BooleanValue":
    return (number.abs() <= EXACT) & (number == number.floor())


def _where(condition: "ir.BooleanValue", value: Any) -> Any:
    import ibis

    return ibis.cases((condition, value), else_=ibis.null(value.type()))
