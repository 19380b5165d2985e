"""The draft of a declaration: it parses, its own table keeps it, and it says what it left out and why."""

import io
import random
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from omegaconf import OmegaConf

from churn.core.declaration import Declaration
from churn.core.errors import ChurnError
from churn.core.raw_table.parameters import ProcessingParameters
from churn.io.files import tables
from tests.projects import ROOT
from tests.raw_tables import PARAMETERS, csv_text, good_rows, process, refusal, summary

DAY = "2026-{:02d}-{:02d}"


def declare(path: str, **given: str) -> str:
    return tables.declare(path, ProcessingParameters.model_validate(PARAMETERS), **given)


def telecom_rows(count: int = 300) -> list[dict[str, str]]:
    """A table with one column for everything that a draft must notice."""
    draw = random.Random(3)
    rows = []
    for number in range(count):
        left = draw.random() < 0.3
        rows.append(
            {
                "": str(number),
                "Customer No": f"{draw.randrange(10**6):06d}-{number}",
                "contract": draw.choice(["monthly", "yearly"]),
                "postcode": f"0{draw.randrange(20):02d}",
                "city": f"city {draw.randrange(200)}",
                "joined": DAY.format(1 + number % 12, 1 + number % 28),
                "auto_pay": draw.choice(["Y", "N"]),
                "calls": str(draw.randrange(90)),
                "debt": draw.choice(["", f"{draw.uniform(-10, 10):.2f}"]),
                "total": " " if number % 60 == 0 else f"{draw.uniform(0, 10):.2f}",
                "mixed": "n/a" if number % 7 == 0 else f"{draw.uniform(0, 10):.2f}",
                "company": "Telco Ltd",
                "nothing": "",
                "split": draw.choice("ab"),
                "loyalty_y": draw.choice("ab"),
                "plan:type": draw.choice("ab"),
                "reason, why?": draw.choice(["price", "moved"]) if left else "",
                "Attrition Flag": "Attrited Customer" if left else "Existing Customer",
            }
        )
    return rows


def drafted(folder: Path, rows: list[dict[str, str]], **given: str) -> tuple[str, dict[str, Any]]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "churn.csv").write_text(csv_text(rows), encoding="utf-8")
    text = declare(str(folder / "churn.csv"), **given)
    return text, yaml.safe_load(text)["customers"]


def comment(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if line.strip().lstrip("- ").startswith(name)).partition("#")[2].strip()


def test_a_table_keeps_its_own_draft(tmp_path: Path) -> None:
    _, table = drafted(tmp_path, telecom_rows())
    process(tmp_path / "churn.csv", tmp_path / "out", table)
    assert summary(tmp_path / "out")["rows_out"] == 300


def test_roles_types_and_ranges(tmp_path: Path) -> None:
    text, table = drafted(tmp_path, telecom_rows())
    assert (table["key"], table["observed_at"]) == ("Customer No", None)
    assert table["target"] == {"column": "Attrition Flag", "positive": "Attrited Customer", "negative": "Existing Customer"}
    columns = table["columns"]
    assert columns["contract"] == {"type": "category", "values": ["monthly", "yearly"]}
    assert columns["postcode"]["type"] == "category"
    assert columns["auto_pay"] == {"type": "boolean"}
    assert columns["calls"] == {"type": "integer", "min": 0}
    assert columns["debt"] == {"type": "number", "null": True}
    assert columns["total"] == {"type": "number", "min": 0, "blank": 0}
    assert "5 cells hold only spaces" in comment(text, "total:")
    assert "cells are empty" in comment(text, "debt:")


def test_what_is_ignored_says_why(tmp_path: Path) -> None:
    text, table = drafted(tmp_path, telecom_rows())
    reasons = {
        "'Unnamed: 0'": "no name",
        "city": "different texts",
        "joined": "a time",
        "mixed": "43 cells are text",
        "company": "same value",
        "nothing": "empty",
        "split": "the pipelines use this name: rename",
        "loyalty_y": "ends in _y: rename",
        "'plan:type'": "colon: rename",
        "'reason, why?'": "gives the answer away",
    }
    assert {name.strip("'") for name in reasons} == set(table["ignore"])
    assert [name for name, reason in reasons.items() if reason not in comment(text, name)] == []


def test_given_roles_win(tmp_path: Path) -> None:
    _, table = drafted(tmp_path, telecom_rows(), key="Unnamed: 0", target="contract", positive="yearly")
    assert (table["key"], table["target"]["column"], table["target"]["positive"]) == ("Unnamed: 0", "contract", "yearly")
    assert "Customer No" in table["ignore"]


def test_several_rows_per_customer_get_a_time(tmp_path: Path) -> None:
    rows = [{**row, "month": DAY.format(month, 1)} for row in good_rows(100) for month in (1, 2, 3)]
    _, table = drafted(tmp_path, rows, key="id", target="left")
    assert table["observed_at"] == "month"
    process(tmp_path / "churn.csv", tmp_path / "out", table)


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ({"key": "nowhere"}, "no such column"),
        ({"key": "contrat"}, "did you mean 'contract'"),
        ({"key": "contract"}, "repeat a key"),
        ({"target": "city"}, "--target COLUMN"),
        ({"target": "contract"}, "--positive with one of 'monthly', 'yearly'"),
        ({"target": "contract", "positive": "Yearly"}, "holds 'monthly', 'yearly'"),
        ({"target": "auto_pay", "positive": "Y", "key": "debt"}, "filled in every row"),
    ],
)
def test_advice_where_roles_cannot_be_told(given: dict[str, str], advice: str, tmp_path: Path) -> None:
    with pytest.raises(ChurnError, match=advice):
        drafted(tmp_path, telecom_rows(), **given)


def test_no_target_no_key_no_rows(tmp_path: Path) -> None:
    rows = [{key: value for key, value in row.items() if key != "Attrition Flag"} for row in telecom_rows()]
    with pytest.raises(ChurnError, match="--target COLUMN; these have two values: 'contract'"):
        drafted(tmp_path / "a", rows)
    with pytest.raises(ChurnError, match="--key COLUMN"):
        drafted(tmp_path / "b", [{"plan": row["plan"], "churn": row["left"]} for row in good_rows()])
    (tmp_path / "churn.csv").write_text("id,churn\n", encoding="utf-8")
    with pytest.raises(ChurnError, match="no rows"):
        declare(str(tmp_path / "churn.csv"))
    with pytest.raises(ChurnError, match="no table at"):
        declare(str(tmp_path / "nowhere.csv"))


def generated(seed: int) -> list[dict[str, str]]:
    """A table of columns of random kinds, awkward names and awkward values."""
    draw = random.Random(seed)
    kinds = {
        "integer": lambda: str(draw.randrange(-5, 50)),
        "number": lambda: f"{draw.gauss(0, 1e3):.4g}",
        "odd texts": lambda: draw.choice(["No", "null", "~", "a: b", "#1", "it's", 'say "x"', "- y", "0x1", "1e3", "ä,ö", " padded "]),
        "codes": lambda: draw.choice(["01", "02", "10"]),
        "flag": lambda: draw.choice(["true", "FALSE", "True"]),
        "gaps": lambda: draw.choice(["", "  ", "3", "4.5"]),
        "many texts": lambda: f"t{draw.randrange(60)}",
    }
    names = ["on", "No", "1", "a b", "x_y", "quote'd", 'double "q"', "#h", "Ünï", "customer_name", "null", "~", "[l]"]
    draw.shuffle(names)
    columns = [(name, kinds[draw.choice(list(kinds))]) for name in names[:8]]
    return [{"user_id": f"u{i}", **{name: make() for name, make in columns}, "churned?": draw.choice("01")} for i in range(150)]


@pytest.mark.parametrize("seed", range(8))
def test_generated_tables_keep_their_own_draft(seed: int, tmp_path: Path) -> None:
    _, table = drafted(tmp_path, generated(seed))
    Declaration.parse(table)
    process(tmp_path / "churn.csv", tmp_path / "out", table)
    assert summary(tmp_path / "out")["rows_out"] == 150


def test_names_and_values_are_read_by_kedro_as_they_are_written(tmp_path: Path) -> None:
    odd = ["1e3", "0x1F", "12:30:45", "1_000", "2026-11-01", "Yes", "~", "two\nlines", "tab\there", "\u2028", "a: b #c"]
    rows = [{**row, "first\nsecond": odd[number % len(odd)], "1e3": row["visits"]} for number, row in enumerate(good_rows())]
    text, table = drafted(tmp_path, rows, target="left")
    assert OmegaConf.to_container(OmegaConf.create(text))["customers"] == table
    assert sorted(table["columns"]["first\nsecond"]["values"]) == sorted(odd)
    process(tmp_path / "churn.csv", tmp_path / "out", table)


def test_a_value_that_kedro_gives_a_meaning_is_refused(tmp_path: Path) -> None:
    rows = [{**row, "tariff": ("${tariff}", "plain")[number % 2]} for number, row in enumerate(good_rows())]
    with pytest.raises(ChurnError, match="Rename it in the file"):
        drafted(tmp_path, rows, target="left")


def test_parquet_gives_the_same_draft(tmp_path: Path) -> None:
    text, _ = drafted(tmp_path, good_rows(), target="left")
    frame = pd.read_csv(io.StringIO(csv_text(good_rows())), na_values=[" "])
    frame.to_parquet(tmp_path / "churn.parquet")
    stored = yaml.safe_load(declare(str(tmp_path / "churn.parquet"), target="left"))["customers"]
    expected = yaml.safe_load(text)["customers"]
    expected["columns"]["spent"] = stored["columns"]["spent"]  # Parquet has nulls where the CSV has spaces
    assert stored == expected


def typed_table(rows: int = 200) -> pa.Table:
    """A column of every type that Parquet stores."""
    draw = random.Random(4)
    some = [draw.randrange(1000) for _ in range(rows)]
    start = datetime(2025, 1, 1)
    columns = {
        "id": pa.array([f"c{number}" for number in range(rows)]),
        "vip": pa.array([number % 2 == 0 for number in some]),
        "invited": pa.array([None if number % 9 == 0 else number % 2 == 0 for number in some]),
        "joined": pa.array([date(2025, 1, 1) + timedelta(days=number) for number in some]),
        "seen": pa.array([start + timedelta(hours=number) for number in some]),
        "called": pa.array([start.replace(tzinfo=UTC) + timedelta(hours=number) for number in some]),
        "opens": pa.array([time(number % 24, 5) for number in some]),
        "waited": pa.array([timedelta(hours=number) for number in some]),
        "tags": pa.array([["a", "b"][: number % 3] for number in some]),
        "picture": pa.array([bytes([255, number % 256]) for number in some]),
        "place": pa.array([{"x": number} for number in some]),
        "counts": pa.array([[("k", number)] for number in some], pa.map_(pa.string(), pa.int64())),
        "debt": pa.array([Decimal(number) / 100 for number in some]),
        "plan": pa.array(["abc"[number % 3] for number in some]).dictionary_encode(),
        "visits": pa.array([number % 9 for number in some], pa.uint8()),
        "nothing": pa.nulls(rows),
        "churned_": pa.array([draw.random() < 0.3 for _ in range(rows)]),
    }
    return pa.table(columns)


def test_parquet_of_every_type_is_drafted_and_kept(tmp_path: Path) -> None:
    pq.write_table(typed_table(), tmp_path / "churn.parquet")
    text = declare(str(tmp_path / "churn.parquet"))
    table = yaml.safe_load(text)["customers"]
    assert table["target"] == {"column": "churned_", "positive": "true", "negative": "false"}
    types = {name: column["type"] for name, column in table["columns"].items()}
    assert types == {
        "vip": "boolean",
        "invited": "boolean",
        "opens": "category",
        "waited": "integer",
        "debt": "number",
        "plan": "category",
        "visits": "integer",
    }
    assert [name for name in ("joined", "seen", "called") if "a time" not in comment(text, name)] == []
    kinds = {"tags": "array<string>", "picture": "binary", "place": "struct<x: int64>", "counts": "map<string, int64>"}
    assert [name for name, kind in kinds.items() if kind not in comment(text, name)] == []
    process(tmp_path / "churn.parquet", tmp_path / "out", table)
    assert summary(tmp_path / "out")["rows_out"] == 200


@pytest.mark.parametrize("declared", ["number", "integer", "boolean"])
def test_parquet_declared_as_another_type_is_a_breach(declared: str, tmp_path: Path) -> None:
    names = ["joined", "seen", "called", "opens", "tags", "picture", "place", "counts"]
    pq.write_table(typed_table().select(["id", *names, "visits", "churned_"]), tmp_path / "churn.parquet")
    columns = {**{name: {"type": declared} for name in names}, "visits": {"type": "integer"}}
    table = {"key": "id", "target": {"column": "churned_", "positive": "true"}, "columns": columns}
    message = refusal(tmp_path / "churn.parquet", tmp_path / "out", table)
    assert [name for name in names if f"{name}: wrong type, 200 rows" not in message] == []


@pytest.mark.real_data
def test_the_telco_draft_is_the_declaration_of_the_project(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "telco/Telco-Customer-Churn.csv"
    table = yaml.safe_load(declare(str(source)))["customers"]
    ours = yaml.safe_load((ROOT / "conf/base/parameters/customers.yml").read_text(encoding="utf-8"))["customers"]
    plain = {
        name: {key: value for key, value in column.items() if key in ("type", "values", "min", "blank")}
        for name, column in ours["columns"].items()
    }
    assert (table["key"], table["target"], table["columns"], table["ignore"]) == (ours["key"], ours["target"], plain, [])
    process(source, tmp_path / "out", table)


@pytest.mark.real_data
def test_the_bank_draft(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "bank/Churn_Modelling.csv"
    table = yaml.safe_load(declare(str(source)))["customers"]
    assert (table["key"], table["target"]) == ("customerId", {"column": "exited", "positive": "1", "negative": "0"})
    assert table["ignore"] == ["rowNumber", "surname"]
    process(source, tmp_path / "out", table)
