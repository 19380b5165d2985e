"""Tables that break their declaration: one message that names column, rule, rows and examples, and nothing written."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.raw_tables import DECLARED, Row, csv_text, good_rows, hashes, refusal

Change = Callable[[list[Row]], list[Row]]


def put(column: str, *values: str) -> Change:
    """The first rows hold these values."""

    def change(rows: list[Row]) -> list[Row]:
        return [{**row, column: values[i]} if i < len(values) else row for i, row in enumerate(rows)]

    return change


def every(column: str, value: Callable[[Row], str]) -> Change:
    return lambda rows: [{**row, column: value(row)} for row in rows]


def rename(old: str, new: str) -> Change:
    return lambda rows: [{new if name == old else name: value for name, value in row.items()} for row in rows]


def drop(column: str) -> Change:
    return lambda rows: [{name: value for name, value in row.items() if name != column} for row in rows]


def add(column: str) -> Change:
    return lambda rows: [{**row, column: "1"} for row in rows]


def declared(path: str, value: Any) -> dict[str, Any]:
    """DECLARED with one entry changed."""
    changed = copy.deepcopy(DECLARED)
    *above, last = path.split(".")
    inner = changed
    for part in above:
        inner = inner.setdefault(part, {})
    inner[last] = value
    return changed


ROWS = {
    "missing feature": (drop("fee"), ["fee: missing column"]),
    "missing key": (drop("id"), ["id: missing column"]),
    "missing target": (drop("left"), ["left: missing column"]),
    "unknown column": (add("shoe_size"), ["shoe_size: unknown column", "`ignore`"]),
    "unknown column near a name": (add("visit"), ["visit: unknown column", "Did you mean 'visits'?"]),
    "renamed column": (rename("visits", "Visits"), ["visits: renamed column", "'Visits'"]),
    "renamed column, other style": (rename("loyal", "is_loyal"), ["loyal: renamed column", "'is_loyal'"]),
    "renamed target": (rename("left", "Left "), ["left: renamed column", "'Left'"]),
    "renamed key": (rename("id", "ID"), ["id: renamed column", "'ID'"]),
    "text in a number": (put("fee", "abc"), ["fee: wrong type, 1 row:", "'abc' (id 'C00000')"]),
    "decimal comma": (put("fee", "1,5", "2,5"), ["fee: wrong type, 2 rows", "decimal point", "'1,5' (id 'C00000')", "'2,5' (id 'C00001')"]),
    "NA in a number": (put("spent", "NA"), ["spent: wrong type, 1 row:", "'NA'"]),
    "nan": (put("fee", "NaN"), ["fee: wrong type, 1 row:", "'NaN'"]),
    "infinity": (put("fee", "-inf", "Infinity"), ["fee: wrong type, 2 rows", "'-inf'", "'Infinity'"]),
    "too large for a float": (put("spent", "1e999"), ["spent: wrong type", "'1e999'"]),
    "fraction in an integer": (put("visits", "1.5"), ["visits: wrong type, 1 row: not a whole number", "'1.5'"]),
    "text in an integer": (put("visits", "many"), ["visits: wrong type", "'many'"]),
    "hexadecimal integer": (put("visits", "0x10"), ["visits: wrong type", "'0x10'"]),
    "neither yes nor no": (put("loyal", "perhaps"), ["loyal: wrong type", "neither yes nor no", "'perhaps'"]),
    "a two in a boolean": (put("loyal", "2"), ["loyal: wrong type", "'2'"]),
    "below the range": (put("visits", "-1"), ["visits: out of range, 1 row: the range is 0 to 500", "'-1'"]),
    "above the range": (put("visits", "501", "9999"), ["visits: out of range, 2 rows", "'501'", "'9999'"]),
    "below a one-sided range": (put("fee", "0.49"), ["fee: out of range, 1 row: the range is at least 0.5", "'0.49'"]),
    "unknown category": (put("plan", "gold"), ["plan: unknown value, 1 row", "'basic', 'premium', 'trial period'", "'gold'"]),
    "misspelled category": (put("plan", "premum"), ["plan: unknown value", "Did you mean 'premium' for 'premum'?"]),
    "other case in a category": (put("plan", "Basic"), ["plan: unknown value", "Did you mean 'basic' for 'Basic'?"]),
    "empty category": (put("plan", ""), ["plan: missing value, 1 row", "`null: true`"]),
    "empty boolean": (put("loyal", "", " "), ["loyal: missing value, 2 rows"]),
    "empty integer": (put("visits", "  "), ["visits: missing value, 1 row", "'  ' (id 'C00000')"]),
    "empty number": (put("fee", ""), ["fee: missing value, 1 row", "nothing (id 'C00000')"]),
    "empty key": (put("id", ""), ["id: missing value, 1 row", "the key is empty"]),
    "duplicate key": (put("id", "C00007"), ["id: duplicate key, 1 row", "'C00007'"]),
    "duplicate key but for white space": (put("id", " C00007 "), ["id: duplicate key, 1 row", "'C00007'"]),
    "duplicate rows": (lambda rows: rows + rows[:20], ["id: duplicate key, 20 rows", "'C00000', 'C00001', 'C00002'"]),
    "no rows": (lambda rows: rows[:0], ["no rows"]),
    "nobody left": (every("left", lambda _: "no"), ["left: one class only", "'yes'"]),
    "everybody left": (every("left", lambda _: "yes"), ["left: one class only"]),
    "empty target": (put("left", ""), ["left: missing value, 1 row", "nothing (id 'C00000')"]),
    "unknown target": (put("left", "maybe"), ["left: unknown value, 1 row", "'yes', 'no'", "'maybe'"]),
    "misspelled target": (put("left", "Yes"), ["left: unknown value", "Did you mean 'yes' for 'Yes'?"]),
    "target coded otherwise": (
        every("left", lambda row: {"yes": "1", "no": "0"}[row["left"]]),
        ["left: unknown value, 200 rows", "one class only"],
    ),
    "target copied to a category": (every("region", lambda row: row["left"]), ["region: gives the answer away", "1.0000"]),
    "target copied to a boolean": (every("loyal", lambda row: row["left"]), ["loyal: gives the answer away"]),
    "number that tells": (
        every("spent", lambda row: str((100 if row["left"] == "yes" else 900) + int(row["visits"]))),
        ["spent: gives the answer away"],
    ),
    "code that tells": (
        every("spent", lambda row: {"yes": "3", "no": str(1 + 4 * (int(row["visits"]) % 2))}[row["left"]]),
        ["spent: gives the answer away"],
    ),
    "no column as declared": (
        lambda rows: [{f"other {place}": value for place, value in enumerate(row.values())} for row in rows],
        ["id: missing column", "left: missing column", "spent: missing column", "other 0: unknown column"],
    ),
    "filled only after leaving": (every("region", lambda row: "Nord" if row["left"] == "yes" else ""), ["region: gives the answer away"]),
}
OTHERS = ["left", "region", "loyal", "visits", "spent", "note"]
DECLARATIONS = {
    "an integer declared for text": (declared("columns.plan", {"type": "integer"}), ["plan: wrong type, 200 rows: not a whole number"]),
    "three values in the target": (
        {
            **DECLARED,
            "target": {"column": "plan", "positive": "basic"},
            "columns": {"fee": {"type": "number"}},
            "derived": {},
            "ignore": OTHERS,
        },
        ["plan: unknown value", "declare `negative`", "'premium'", "'trial period'"],
    ),
    "expression with a typing error": (declared("derived.x", "fee /"), ["x: derived expression", "customers.derived.x"]),
    "expression over no column": (declared("derived.x", "fees * 2"), ["x: derived expression", "fees"]),
    "expression with an unknown function": (declared("derived.x", "foo(fee)"), ["x: derived expression", "foo"]),
    "expression that is text": (declared("derived.x", "plan"), ["x: derived expression", "not a number"]),
    "expression over all rows": (declared("derived.x", "fee / avg(fee) over ()"), ["x: derived expression", "avg() looks across rows"]),
    "expression that aggregates": (declared("derived.x", "fee - MAX(fee)"), ["x: derived expression", "max() looks across rows"]),
    "expression with a query": (declared("derived.x", "(select 1)"), ["x: derived expression", "a query", "across rows"]),
    "expression of chance": (declared("derived.x", "fee + random()"), ["x: derived expression", "random() gives another value"]),
    "expression of the day": (declared("derived.x", "year(current_date)"), ["x: derived expression", "current_date gives another value"]),
    "expression that multiplies rows": (declared("derived.x", "unnest([fee, 1])"), ["x: derived expression", "several rows"]),
    "expression that divides by zero": (declared("derived.x", "fee / (visits - visits)"), ["x: wrong type, 200 rows", "infinity"]),
    "time that does not parse": (
        {**DECLARED, "observed_at": "note", "ignore": []},
        ["note: wrong type", "ISO 8601", "note: missing value"],
    ),
}
FILES = {
    "empty file": (b"", ["is empty"]),
    "white space alone": (b"\n\n", ["holds no text"]),
    "header alone": (b"id,plan,region,loyal,visits,fee,spent,note,left\n", ["no rows"]),
    "too few fields": (csv_text(good_rows()).encode() + b"C9,basic\n", ["line 2", "2 fields where the header has 9"]),
    "too many fields": (csv_text(good_rows()).replace("basic", "basic,extra", 1).encode(), ["fields where the header has 9", "line "]),
    "open quote": (csv_text(good_rows()).encode() + b'C9,"basic\n', ["quote"]),
    "mixed line ends": (
        csv_text(good_rows(), newline="\r\n").replace("\r\n", "\n", 50).encode(),
        ["lines end in different ways", "dos2unix"],
    ),
    "no line at all": (b"x" * (1 << 21), ["no line end"]),
    "Latin-1": (csv_text(good_rows()).encode("latin-1"), ["not UTF-8"]),
    "UTF-16": (csv_text(good_rows()).encode("utf-16"), ["UTF-16"]),
    "a workbook": (b"PK\x03\x04rest of a workbook", ["Excel"]),
    "repeated column": (csv_text(good_rows()).replace("region", "plan", 1).encode(), ["plan: repeated column", "region: missing column"]),
    "repeated column, other case": (csv_text(good_rows()).replace("note", "PLAN", 1).encode(), ["PLAN: repeated column"]),
    "Parquet cut short": (b"PAR1 and then nothing", ["cannot be read"]),
}


def assert_stops(tmp_path: Path, data: bytes, named: list[str], table: dict[str, Any] | None = None) -> None:
    raw, out = tmp_path / "churn.csv", tmp_path / "out"
    raw.write_bytes(data)
    message = refusal(raw, out, table)
    assert [part for part in named if part not in message] == [], message
    assert "churn.csv" in message
    assert len(message.splitlines()) < 22
    assert hashes(out) == {}


@pytest.mark.parametrize("name", ROWS)
def test_rows(name: str, tmp_path: Path) -> None:
    change, named = ROWS[name]
    rows = good_rows()
    changed = change(rows)
    text = csv_text(changed) if changed else csv_text(rows).split("\n", 1)[0] + "\n"
    assert_stops(tmp_path, text.encode(), named)


@pytest.mark.parametrize("name", DECLARATIONS)
def test_declarations(name: str, tmp_path: Path) -> None:
    table, named = DECLARATIONS[name]
    assert_stops(tmp_path, csv_text(good_rows()).encode(), named, table)


@pytest.mark.parametrize("name", FILES)
def test_files(name: str, tmp_path: Path) -> None:
    data, named = FILES[name]
    assert_stops(tmp_path, data, named)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    message = refusal(tmp_path / "nowhere.csv", tmp_path / "out")
    assert "nowhere.csv" in message
    assert "kedro run --pipelines sample_data" in message


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    assert "folder" in refusal(tmp_path, tmp_path / "out")


def test_every_breach_is_in_one_message(tmp_path: Path) -> None:
    rows = good_rows()
    for change in (put("plan", "gold"), put("visits", "-4", "many"), put("id", "C00009"), add("shoe_size"), rename("fee", "Fee")):
        rows = change(rows)
    (tmp_path / "churn.csv").write_text(csv_text(rows), encoding="utf-8")
    message = refusal(tmp_path / "churn.csv", tmp_path / "out")
    for part in (
        "6 places",
        "shoe_size: unknown",
        "fee: renamed",
        "plan: unknown",
        "visits: wrong type",
        "visits: out of range",
        "id: duplicate",
    ):
        assert part in message


def test_three_examples_show_different_values_first(tmp_path: Path) -> None:
    rows = put("plan", "gold", "gold", "gold", "gold", "iron", "tin")(good_rows())
    (tmp_path / "churn.csv").write_text(csv_text(rows), encoding="utf-8")
    line = next(line for line in refusal(tmp_path / "churn.csv", tmp_path / "out").splitlines() if "plan:" in line)
    assert "6 rows" in line
    assert [value in line for value in ("'gold' (id 'C00000')", "'iron' (id 'C00004')", "'tin' (id 'C00005')", "C00001")] == [
        True,
        True,
        True,
        False,
    ]


def test_a_cut_in_time_needs_a_time(tmp_path: Path) -> None:
    (tmp_path / "churn.csv").write_text(csv_text(good_rows()), encoding="utf-8")
    message = refusal(tmp_path / "churn.csv", tmp_path / "out", split={"test_share": 0.3, "test_from": "2026-01-01T00:00:00Z"})
    assert "observed_at" in message


def test_an_expression_that_fails_on_a_value_is_a_breach_among_others(tmp_path: Path) -> None:
    rows = add("shoe_size")(put("plan", "gold")(good_rows()))
    (tmp_path / "churn.csv").write_text(csv_text(rows), encoding="utf-8")
    message = refusal(tmp_path / "churn.csv", tmp_path / "out", declared("derived.x", "ln(fee - fee)"))
    for part in ("3 places", "x: derived expression", "logarithm of zero", "case when", "plan: unknown value", "shoe_size: unknown column"):
        assert part in message
    assert hashes(tmp_path / "out") == {}


def test_a_side_of_the_split_without_a_class_stops(tmp_path: Path) -> None:
    (tmp_path / "churn.csv").write_text(csv_text(good_rows()), encoding="utf-8")
    message = refusal(tmp_path / "churn.csv", tmp_path / "out", split={"test_share": 0.0001, "test_from": None})
    assert message.count("empty split") == 2
