"""The pipeline sample_data with its real catalog entries: what it writes, what it refuses, what it holds."""

import csv
import hashlib
import json
import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.io import DataCatalog, DatasetError
from kedro.runner import SequentialRunner

from churn.core.declaration import Declaration
from churn.core.errors import ChurnError
from churn.core.population.customers import CHUNK, SampleParameters
from churn.io.files.streams import SampleDataset
from churn.pipelines.sample_data import create_pipeline
from churn.pipelines.sample_data.nodes import draw_sample
from tests.projects import ROOT, run_command

HEADER = (
    "customerID,gender,SeniorCitizen,Partner,Dependents,tenure,PhoneService,MultipleLines,InternetService,OnlineSecurity,OnlineBackup,"
    "DeviceProtection,TechSupport,StreamingTV,StreamingMovies,Contract,PaperlessBilling,PaymentMethod,MonthlyCharges,TotalCharges,Churn"
)


def run(folder: Path, table: str = "churn.csv", **knobs: Any) -> Path:
    """Run the pipeline as the catalog file has it; the table's path."""
    text = (ROOT / "conf/base/catalog/sample_data.yml").read_text(encoding="utf-8")
    path = folder / "raw" / table
    text = text.replace("${globals:raw_customers}", str(path)).replace("${globals:storage}", str(folder))
    catalog = DataCatalog.from_config(yaml.safe_load(text))
    catalog["params:sample_data"] = SampleParameters(**knobs)
    SequentialRunner().run(create_pipeline(), catalog)
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def refusal(error: pytest.ExceptionInfo[Exception]) -> str:
    """Kedro wraps what a dataset raises, once or twice; the message is ours."""
    cause: BaseException | None = error.value
    while cause is not None and not isinstance(cause, ChurnError):
        cause = cause.__cause__
    assert cause is not None
    return str(cause)


def test_the_csv_has_the_telco_schema_and_texts(tmp_path: Path) -> None:
    path = run(tmp_path, rows=3000)
    raw = path.read_bytes()
    assert raw.split(b"\n")[0].decode() == HEADER
    assert b"\r" not in raw
    assert b'"' not in raw
    table = rows(path)
    assert len(table) == 3000
    declaration = Declaration.parse(yaml.safe_load((ROOT / "conf/base/parameters/customers.yml").read_text(encoding="utf-8"))["customers"])
    for name, column in declaration.columns.items():
        if column.values is not None:
            assert {row[name] for row in table} == set(column.values), name
    assert {row["Churn"] for row in table} == {"Yes", "No"}
    assert {row["SeniorCitizen"] for row in table} == {"0", "1"}
    assert {row["TotalCharges"] == " " for row in table if row["tenure"] == "0"} <= {True}
    assert all(re.fullmatch(r"\d+(\.\d\d?)?", row["TotalCharges"]) for row in table if row["tenure"] != "0")
    assert all(re.fullmatch(r"\d+(\.\d\d?)?", row["MonthlyCharges"]) for row in table)


def test_its_first_customer_is_the_example_of_the_api_and_of_the_docs(tmp_path: Path) -> None:
    from serving.web.openapi import OF_THE_SAMPLE

    first = rows(run(tmp_path, rows=10))[0]["customerID"]
    assert first == OF_THE_SAMPLE
    for page in ("api.md", "containers.md"):
        assert f'"customer_id": "{first}"' in (ROOT / "docs" / page).read_text(encoding="utf-8"), page


def test_first_month_customers_have_blank_total_charges(tmp_path: Path) -> None:
    new = [row["TotalCharges"] for row in rows(run(tmp_path, rows=10_000)) if row["tenure"] == "0"]
    assert new
    assert set(new) == {" "}


def test_the_note_describes_the_table(tmp_path: Path) -> None:
    import pandas as pd

    path = run(tmp_path, rows=4000, seed=5, theta=0.5)
    note = json.loads((tmp_path / "raw/sample.json").read_text(encoding="utf-8"))
    truth = pd.read_parquet(tmp_path / "raw/sample_truth.parquet")
    table = rows(path)
    assert note["sample"] is True
    assert "not real customers" in note["note"]
    assert note["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (note["rows"], note["seed"], note["knobs"]["theta"]) == (4000, 5, 0.5)
    assert note["bayes_auc"] == pytest.approx(0.861, abs=0.01)
    assert note["bayes_log_loss"] == pytest.approx(0.41, abs=0.02)
    assert truth["customerID"].tolist() == [row["customerID"] for row in table]
    assert truth["churned"].tolist() == [row["Churn"] == "Yes" for row in table]
    assert note["churn_rate"] == truth["churned"].mean()
    assert truth["churn_probability"].between(0, 1).all()


def test_the_run_says_that_it_is_a_sample(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="churn"):
        run(tmp_path, rows=100)
    assert "SAMPLE of 100 generated customers" in caplog.text


def test_parquet_holds_the_same_customers(tmp_path: Path) -> None:
    import pandas as pd

    table = rows(run(tmp_path / "csv", rows=500))
    parquet = pd.read_parquet(run(tmp_path / "parquet", "churn.parquet", rows=500))
    assert list(parquet.columns) == HEADER.split(",")
    assert parquet["customerID"].tolist() == [row["customerID"] for row in table]
    assert parquet["TotalCharges"].tolist() == [row["TotalCharges"] for row in table]
    assert parquet["MonthlyCharges"].tolist() == [float(row["MonthlyCharges"]) for row in table]


def test_the_same_knobs_give_the_same_bytes(tmp_path: Path) -> None:
    run(tmp_path, rows=700)
    once = contents(tmp_path)
    run(tmp_path, rows=700)
    assert contents(tmp_path) == once
    run(tmp_path, rows=700, seed=1)
    assert contents(tmp_path).keys() == once.keys()
    assert not set(contents(tmp_path).values()) & set(once.values())


def test_snapshots_have_their_month_and_late_outcomes_are_empty(tmp_path: Path) -> None:
    table = rows(run(tmp_path, rows=200, months=3, first_month=1, outcome_delay=1))
    assert [row["ObservedAt"] for row in table] == ["2026-12-01"] * 200 + ["2027-01-01"] * 200 + ["2027-02-01"] * 200
    assert {row["Churn"] for row in table[:400]} == {"Yes", "No"}
    assert {row["Churn"] for row in table[400:]} == {""}
    assert len({row["customerID"] for row in table}) == 600


def test_empty_cells_are_empty(tmp_path: Path) -> None:
    change = {"missing": 0.5, "missing_columns": ["TechSupport", "MonthlyCharges"]}
    table = rows(run(tmp_path, rows=400, first_month=1, change=change))
    for name in change["missing_columns"]:
        assert 100 < sum(row[name] == "" for row in table) < 300


def test_the_command_writes_only_where_there_is_no_table(project: Path) -> None:
    settings, table = project / "conf/base/globals.yml", project / "data/raw/mine.csv"
    settings.write_text(settings.read_text().replace("raw/churn.csv", "raw/mine.csv"))
    knobs = project / "conf/base/parameters/sample_data.yml"
    knobs.write_text(knobs.read_text().replace("rows: 7043", "rows: 100 "))
    assert run_command(project, "churn", "where").stdout == "data/raw/mine.csv\n"

    pointer = table.with_name("mine.csv.dvc")
    pointer.touch()
    versioned = run_command(project, "churn", "sample")
    assert (versioned.returncode, table.exists()) == (1, False)
    assert "make data-pull" in versioned.stderr
    pointer.unlink()

    table.write_text("my,own,table\n", encoding="utf-8")
    assert run_command(project, "churn", "sample").returncode == 0
    assert table.read_text(encoding="utf-8") == "my,own,table\n"
    table.unlink()

    written = run_command(project, "churn", "sample")
    assert written.returncode == 0, written.stderr
    assert len(rows(table)) == 100
    assert "SAMPLE of 100 generated customers" in " ".join((written.stdout + written.stderr).split())


def test_a_sample_without_knobs_is_the_configured_one() -> None:
    configured = yaml.safe_load((ROOT / "conf/base/parameters/sample_data.yml").read_text(encoding="utf-8"))["sample_data"]
    assert SampleParameters.model_validate(configured) == SampleParameters()


@pytest.mark.parametrize("note", [None, "[1]", "{not json", '{"sample": true}', '{"sample": true, "sha256": "0"}'])
def test_a_users_table_is_never_overwritten(tmp_path: Path, note: str | None) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/churn.csv").write_text("my,own,table\n", encoding="utf-8")
    if note is not None:
        (tmp_path / "raw/sample.json").write_text(note, encoding="utf-8")
    before = contents(tmp_path)
    with pytest.raises((ChurnError, DatasetError)) as error:
        run(tmp_path, rows=100)
    message = refusal(error)
    assert str(tmp_path / "raw/churn.csv") in message
    assert "move it away" in message
    assert contents(tmp_path) == before


def test_an_edited_sample_is_a_users_table(tmp_path: Path) -> None:
    path = run(tmp_path, rows=100)
    path.write_bytes(path.read_bytes().replace(b"Female", b"female", 1))
    before = contents(tmp_path)
    with pytest.raises((ChurnError, DatasetError)) as error:
        run(tmp_path, rows=100)
    assert "left alone" in refusal(error)
    assert contents(tmp_path) == before


def test_a_table_put_there_during_the_run_is_kept(tmp_path: Path) -> None:
    """The stream itself drops a file at the table's place, as another program might."""
    import pyarrow as pa

    path = tmp_path / "churn.csv"
    reader = draw_sample(SampleParameters(rows=10))

    def batches() -> Any:
        for batch in reader:
            path.write_text("just exported", encoding="utf-8")
            yield batch

    dataset = SampleDataset(str(path), {"filepath": str(tmp_path / "truth.parquet")}, {"filepath": str(tmp_path / "sample.json")})
    with pytest.raises((ChurnError, DatasetError)) as error:
        dataset.save(pa.RecordBatchReader.from_batches(reader.schema, batches()))
    assert "left alone" in refusal(error)
    assert path.read_text(encoding="utf-8") == "just exported"
    assert list(contents(tmp_path)) == ["churn.csv"]


def test_a_failure_half_way_leaves_the_old_sample(tmp_path: Path) -> None:
    import pyarrow as pa

    path = run(tmp_path, rows=100)
    before = contents(tmp_path)
    reader = draw_sample(SampleParameters(rows=CHUNK + 1))

    def batches() -> Any:
        yield reader.read_next_batch()
        raise OSError("the machine is on fire")

    note, truth = path.with_name("sample.json"), path.with_name("sample_truth.parquet")
    with pytest.raises(DatasetError, match="on fire"):
        SampleDataset(str(path), {"filepath": str(truth)}, {"filepath": str(note)}).save(
            pa.RecordBatchReader.from_batches(reader.schema, batches())
        )
    assert contents(tmp_path) == before


def test_a_kind_of_file_it_cannot_write_is_refused(tmp_path: Path) -> None:
    table = str(tmp_path / "churn.xlsx")
    dataset = SampleDataset(table, {"filepath": str(tmp_path / "t.parquet")}, {"filepath": str(tmp_path / "n.json")})
    with pytest.raises((ChurnError, DatasetError)) as error:
        dataset.save(draw_sample(SampleParameters(rows=10)))
    assert "churn.xlsx" in refusal(error)
    assert contents(tmp_path) == {}


def test_the_stream_draws_only_what_is_read() -> None:
    reader = draw_sample(SampleParameters(rows=100_000_000))
    assert reader.read_next_batch().num_rows == CHUNK


MEASURE = """
import resource, sys
from pathlib import Path
from churn.core.population.customers import SampleParameters
from churn.io.files.streams import SampleDataset
from churn.pipelines.sample_data.nodes import draw_sample
folder = Path(sys.argv[1])
place = lambda name: str(folder / name)
dataset = SampleDataset(place("churn.parquet"), {"filepath": place("truth.parquet")}, {"filepath": place("sample.json")})
dataset.save(draw_sample(SampleParameters(rows=int(sys.argv[2]))))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_a_long_table_is_never_held(tmp_path: Path) -> None:
    """A million rows are over 250 MB in Arrow; beside the probabilities (8 bytes a row) nothing may grow with them."""

    def peak_mb(rows: int) -> int:
        line = [sys.executable, "-c", MEASURE, str(tmp_path), str(rows)]
        return int(subprocess.run(line, capture_output=True, text=True, check=True).stdout.splitlines()[-1])

    assert peak_mb(1_000_000) - peak_mb(CHUNK * 3) < 80
