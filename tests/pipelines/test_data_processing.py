"""Data processing on tables that keep their declaration: what is written, and that it is always the same."""

import gzip
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from churn.core.split import hex_bound
from churn.io.files.delimited import HEAD
from tests.projects import ROOT
from tests.raw_tables import DECLARED, csv_text, good_rows, hashes, process, refusal, summary

OUTPUTS = {"processed/customers.parquet", "features/customer_features.parquet", "reports/data_summary.json"}


def written(folder: Path, data: bytes, name: str = "churn.csv", **changed: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    process(folder / name, folder / "out", **changed)
    return folder / "out"


def customers(out: Path) -> pd.DataFrame:
    return pd.read_parquet(out / "processed/customers.parquet")


def tables(found: dict[str, str]) -> dict[str, str]:
    """The hashes of the Parquet files; the summary names the raw file's own hash."""
    return {path: digest for path, digest in found.items() if path.endswith(".parquet")}


def test_the_columns_have_their_names_types_and_order(tmp_path: Path) -> None:
    out = written(tmp_path, csv_text(good_rows()).encode())
    micro = pa.timestamp("us", tz="UTC")
    types = {
        "plan": "string",
        "region": "string",
        "loyal": "bool",
        "visits": "int64",
        "fee": "double",
        "spent": "double",
        "fee_per_visit": "double",
    }
    schema = pq.read_schema(out / "processed/customers.parquet")
    assert {name: str(schema.field(name).type) for name in types} == types
    assert schema.names == ["customer_id", "event_timestamp", "churned", "split", *types]
    assert [schema.field(name).type for name in schema.names[:4]] == [pa.string(), micro, pa.bool_(), pa.string()]
    assert pq.read_schema(out / "features/customer_features.parquet").names == ["customer_id", "event_timestamp", *types]


def test_values_are_those_of_the_file(tmp_path: Path) -> None:
    rows = good_rows()
    table = customers(written(tmp_path, csv_text(rows).encode()))
    assert list(table["customer_id"]) == [row["id"] for row in rows]
    assert list(table["churned"]) == [row["left"] == "yes" for row in rows]
    assert list(table["region"]) == [row["region"] or None for row in rows]
    assert list(table["loyal"]) == [row["loyal"] == "Yes" for row in rows]
    assert list(table["spent"]) == [float(row["spent"].strip() or 0) for row in rows]
    assert list(table["fee_per_visit"]) == [float(row["fee"]) / max(int(row["visits"]), 1) for row in rows]
    assert set(table["event_timestamp"]) == {pd.Timestamp("2026-11-01", tz="UTC")}


def test_the_split_is_the_hash_of_the_key(tmp_path: Path) -> None:
    table = customers(written(tmp_path, csv_text(good_rows()).encode()))
    bound = hex_bound(0.3)
    expected = ["test" if hashlib.md5(key.encode()).hexdigest()[:8] < bound else "train" for key in table["customer_id"]]
    assert list(table["split"]) == expected
    assert set(expected) == {"train", "test"}


def test_the_summary_counts(tmp_path: Path) -> None:
    rows = good_rows()
    data = csv_text(rows).encode()
    found = summary(written(tmp_path, data))
    assert (found["rows_in"], found["rows_out"], found["train"] + found["test"]) == (200, 200, 200)
    assert found["churn_rate"] == pytest.approx(sum(row["left"] == "yes" for row in rows) / 200)
    assert found["blanks"] == {"region": sum(not row["region"] for row in rows), "spent": 4}
    hashes = {"sha256": hashlib.sha256(data).hexdigest(), "md5": hashlib.md5(data).hexdigest()}
    assert found["source"] == {**hashes, "bytes": len(data), "name": "churn.csv"}


def dialects() -> dict[str, bytes]:
    rows = good_rows()
    plain = csv_text(rows)
    return {
        "semicolon": csv_text(rows, ";").encode(),
        "tab": csv_text(rows, "\t").encode(),
        "pipe": csv_text(rows, "|").encode(),
        "quoted": csv_text(rows, quote_all=True).encode(),
        "CRLF": csv_text(rows, newline="\r\n").encode(),
        "byte order mark": plain.encode("utf-8-sig"),
        "gzip": gzip.compress(plain.encode()),
        "all at once": gzip.compress(csv_text(rows, ";", "\r\n", quote_all=True).encode("utf-8-sig")),
        "blank lines at the start": b"\n  \n" + plain.encode(),
        "a line for Excel": b"sep=;\r\n" + csv_text(rows, ";", "\r\n").encode(),
        "blank lines at the end": plain.encode() + b"\n\n",
        "no line feed at the end": plain.encode().rstrip(b"\n"),
        "white space around values": csv_text([{k: v if k == "note" else f" {v}\t" for k, v in row.items()} for row in rows]).encode(),
        "white space around names": plain.replace("visits,fee", " visits , fee", 1).encode(),
        "other order of columns": csv_text([dict(reversed(row.items())) for row in rows]).encode(),
        "yes and no otherwise": csv_text([{**row, "loyal": {"Yes": "TRUE", "No": "f"}[row["loyal"]]} for row in rows]).encode(),
        "integers with a point": csv_text([{**row, "visits": row["visits"] + ".0"} for row in rows]).encode(),
    }


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return hashes(written(tmp_path_factory.mktemp("plain"), csv_text(good_rows()).encode()))


@pytest.mark.parametrize("name", dialects())
def test_every_dialect_gives_the_same_bytes(name: str, tmp_path: Path, plain: dict[str, str]) -> None:
    found = hashes(written(tmp_path, dialects()[name]))
    assert set(found) == OUTPUTS
    assert {path: found[path] for path in found if path.endswith(".parquet")} == {
        path: plain[path] for path in plain if path.endswith(".parquet")
    }


def test_a_name_full_of_another_delimiter(tmp_path: Path) -> None:
    text = csv_text(good_rows()).replace("note", "a|b|c|d|e|f|g|h|i|j|k", 1)
    out = written(tmp_path, text.encode(), declared={**DECLARED, "ignore": ["a|b|c|d|e|f|g|h|i|j|k"]})
    assert summary(out)["rows_out"] == 200


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_name_with_a_line_break(newline: str, tmp_path: Path) -> None:
    rows = [{("first\nsecond" if name == "note" else name): value for name, value in row.items()} for row in good_rows()]
    out = written(tmp_path, csv_text(rows, newline=newline).encode(), declared={**DECLARED, "ignore": ["first\nsecond"]})
    assert summary(out)["rows_out"] == 200


def test_a_large_table_whose_lines_end_in_a_carriage_return(tmp_path: Path) -> None:
    rows = [{**row, "note": ""} for row in good_rows(30_000)]
    data = csv_text(rows, newline="\r").encode()
    assert len(data) > HEAD
    assert summary(written(tmp_path, data))["rows_out"] == 30_000


@pytest.mark.parametrize("stored", ["text", "typed", "floats"])
def test_parquet_gives_the_same_bytes(stored: str, tmp_path: Path, plain: dict[str, str]) -> None:
    frame = pd.DataFrame(good_rows()).replace({"": None, " ": None})
    if stored != "text":
        frame["loyal"] = frame["loyal"] == "Yes"
        frame["visits"] = frame["visits"].astype("int64" if stored == "typed" else "float32")
        frame[["fee", "spent"]] = frame[["fee", "spent"]].astype("float64")
    frame.to_parquet(tmp_path / "churn.parquet")
    process(tmp_path / "churn.parquet", tmp_path / "out")
    found = hashes(tmp_path / "out")
    assert {path: found[path] for path in found if path.endswith(".parquet")} == {
        path: plain[path] for path in plain if path.endswith(".parquet")
    }


def test_a_second_run_writes_the_same_bytes(tmp_path: Path) -> None:
    out = written(tmp_path, csv_text(good_rows()).encode())
    first = hashes(out)
    assert set(first) == OUTPUTS
    process(tmp_path / "churn.csv", out)
    assert hashes(out) == first


def test_a_large_table_gives_the_same_bytes_on_several_threads(tmp_path: Path) -> None:
    query = """
        select printf('C%06d', i) as id, ['basic','premium','trial period'][1 + i * 7 % 3] as plan, '' as region,
        ['Yes','No'][1 + i * 11 % 2] as loyal, i * 13 % 300 as visits, round(1 + (i * 17 % 7919) / 100, 2) as fee,
        i % 1009 as spent, '' as note,
        case when hash(i) % 4 = 0 then 'yes' else 'no' end as left from range(200000) t(i)"""
    duckdb.connect().execute(f"copy ({query}) to '{tmp_path / 'churn.csv'}' (header)")
    found = []
    for run in ("first", "second"):
        process(tmp_path / "churn.csv", tmp_path / run)
        found.append(hashes(tmp_path / run))
    assert found[0] == found[1]
    assert summary(tmp_path / "first")["rows_out"] == 200_000
    assert customers(tmp_path / "first")["customer_id"].is_monotonic_increasing


def test_several_snapshots_and_a_cut_in_time(tmp_path: Path) -> None:
    times = ["2026-01-01", "2026-03-01T00:00:00Z", "2026-05-01 00:00:00+00:00"]
    rows = [{**row, "seen": time} for row in good_rows() for time in times]
    table = {**DECLARED, "observed_at": "seen"}
    split = {"test_share": 0.3, "test_from": "2026-03-01T00:00:00Z"}
    out = written(tmp_path, csv_text(rows).encode(), declared=table, split=split)
    found = customers(out)
    cut = pd.Timestamp("2026-03-01", tz="UTC")
    assert (found["event_timestamp"] < cut).eq(found["split"] == "train").all()
    assert not set(found.loc[found["split"] == "train", "customer_id"]) & set(found.loc[found["split"] == "test", "customer_id"])
    counted = summary(out)
    assert (counted["rows_in"], counted["rows_out"]) == (600, len(found))
    assert counted["rows_out"] < 600
    (tmp_path / "twice.csv").write_text(csv_text([*rows, {**rows[0], "seen": "2026-01-01T00:00:00Z"}]), encoding="utf-8")
    assert "id: duplicate key, 1 row" in refusal(tmp_path / "twice.csv", tmp_path / "other", table)


def test_any_name_may_be_a_feature(tmp_path: Path) -> None:
    names = ["Label", "self", "select", "from", "value", "n", "Positive", "feature", 'say "hm"', "it's", "a b", "größe", "1", "%s", "{x}"]
    rows = [{**row, **{name: f"{(number + place) % 7}" for place, name in enumerate(names)}} for number, row in enumerate(good_rows())]
    columns = {**DECLARED["columns"], **{name: {"type": "integer"} for name in names}}
    declared = {**DECLARED, "columns": columns, "derived": {"order": '"Label" + "select"', "cell": '"self" * 2'}}
    out = written(tmp_path, csv_text(rows).encode(), declared=declared)
    table = customers(out)
    assert [name for name in names if list(table[name]) != [int(row[name]) for row in rows]] == []
    assert list(table["cell"]) == [2.0 * int(row["self"]) for row in rows]
    assert max(summary(out)["single_feature_auc"].values()) < 0.8


def test_repeated_customers_do_not_look_like_a_leak(tmp_path: Path) -> None:
    """A number that a customer keeps over many snapshots tells who it is, but not in its order."""
    rows = [{**row, "seen": f"2026-{month:02d}-01"} for row in good_rows(400) for month in range(1, 8)]
    out = written(tmp_path, csv_text(rows).encode(), declared={**DECLARED, "observed_at": "seen"})
    assert max(summary(out)["single_feature_auc"].values()) < 0.7


def test_a_write_that_fails_leaves_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = written(tmp_path, csv_text(good_rows()).encode())
    before = hashes(out)
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("no space left on device")))
    assert "no space left" in refusal(tmp_path / "churn.csv", out, {**DECLARED, "derived": {}})
    assert hashes(out) == before


def test_single_feature_auc_is_the_textbook_one(tmp_path: Path) -> None:
    from sklearn.metrics import roc_auc_score

    rows = good_rows(300, seed=5)
    for number, row in enumerate(rows):
        row["visits"] = str(min(500, int(row["visits"]) + 90 * (row["left"] == "yes")))
        row["fee"] = f"{1 + number % 37}"
    out = written(tmp_path, csv_text(rows).encode())
    found, table = summary(out)["single_feature_auc"], customers(out)
    for name in ("visits", "fee"):
        auc = roc_auc_score(table["churned"], table[name])
        assert found[name] == pytest.approx(max(auc, 1 - auc), abs=1e-12)
    for name in ("plan", "loyal", "region"):
        value = table[name].astype(str)
        auc = roc_auc_score(table["churned"], value.map(table["churned"].groupby(value).mean()))
        assert found[name] == pytest.approx(max(auc, 1 - auc), abs=1e-12)


@pytest.mark.real_data
def test_the_telco_table(real_data: Path, tmp_path: Path) -> None:
    declared = yaml.safe_load((ROOT / "conf/base/parameters/customers.yml").read_text(encoding="utf-8"))["customers"]
    process(real_data / "telco/Telco-Customer-Churn.csv", tmp_path / "out", declared, split={"test_share": 0.2, "test_from": None})
    found, table = summary(tmp_path / "out"), customers(tmp_path / "out")
    assert (found["rows_in"], found["rows_out"], found["train"] + found["test"]) == (7043, 7043, 7043)
    assert found["blanks"] == {"TotalCharges": 11}
    assert found["churn_rate"] == 1869 / 7043
    assert list(table.loc[table["tenure"] == 0, "TotalCharges"]) == [0.0] * 11
    assert not table.isna().any().any()


@pytest.mark.real_data
def test_the_bank_table_with_its_edited_declaration(real_data: Path, tmp_path: Path) -> None:
    declared = yaml.safe_load((ROOT / "tests/data/bank_customers.yml").read_text(encoding="utf-8"))["customers"]
    process(real_data / "bank/Churn_Modelling.csv", tmp_path / "out", declared)
    found = summary(tmp_path / "out")
    assert (found["rows_out"], found["blanks"], found["churn_rate"]) == (10_000, {}, 0.2037)


def test_the_summary_is_plain_json(tmp_path: Path) -> None:
    out = written(tmp_path, csv_text(good_rows()).encode())
    text = (out / "reports/data_summary.json").read_text(encoding="utf-8")
    assert "NaN" not in text
    assert json.loads(text)["sides"]["test"]["first"] == "2026-11-01T00:00:00Z"


def test_the_nodes_start_without_an_engine() -> None:
    """Importing the pipeline must stay cheap: `kedro run --pipelines NAME` imports every pipeline folder it names."""
    import subprocess

    code = "import sys, churn.pipelines.data_processing; print([m for m in ('ibis', 'duckdb', 'pandas', 'pyarrow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
