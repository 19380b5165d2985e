"""By id, in batch, by what-if without changes and by the pipeline `scoring`: one number for every customer, to the last bit."""

import hashlib
import http.client
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from churn.core.modelling.model import ChurnModel
from churn.core.split import HEX_DIGITS, hex_bound
from tests.projects import QUICK, copy_project, run_command
from tests.serving.servers import Server, serve

BATCH = 1000
UNSEEN = "Digital wallet"
EMPTIED = {"TechSupport": 5, "Partner": 7, "tenure": 11, "MonthlyCharges": 13}
"""Columns with missing values: in every so many rows."""


def bits(values: Iterable[Any]) -> list[int]:
    """Float64 as integers: equal only if every bit is."""
    return np.asarray(list(values), np.float64).view(np.int64).tolist()


def ask(server: Server, path: str, bodies: Iterable[dict[str, Any]]) -> list[Any]:
    """The answers to many requests over one connection."""
    connection, found = http.client.HTTPConnection(server.address.removeprefix("http://"), timeout=60), []
    for body in bodies:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = json.loads(answer.read())
        assert answer.status == 200, content
        found.append(content)
    connection.close()
    return found


def run(project: Path, pipelines: str, *options: str) -> None:
    done = run_command(project, "kedro", "run", "--pipelines", pipelines, *options)
    assert done.returncode == 0, done.stderr[-3000:]


def require_one_number(project: Path) -> pd.DataFrame:
    """Score every customer on every way; the feature table, if all agree."""
    frame = pd.read_parquet(project / "data" / "features" / "customer_features.parquet")
    customers = frame["customer_id"].tolist()
    scores = pd.read_parquet(project / "data" / "reports" / "scores.parquet").set_index("customer_id")
    assert sorted(scores.index) == sorted(customers)
    with serve(project) as server:
        parts = [customers[start : start + BATCH] for start in range(0, len(customers), BATCH)]
        batches = ask(server, "/predict/batch", ({"customer_ids": part} for part in parts))
        alone = ask(server, "/predict", ({"customer_id": customer} for customer in customers))
        unchanged = ask(server, "/what-if", ({"customer_id": customer, "changes": {}} for customer in customers))
    note = json.loads((project / "data" / "serving" / "champion.json").read_text())
    model = ChurnModel.load(project / "data" / "serving" / "champions" / note["sha256"])
    expected = bits(model.predict(frame))
    assert len(set(expected)) > len(customers) / 10
    assert bits(scores.loc[customers, "churn_probability"]) == expected
    assert bits(answer["churn_probability"] for answer in alone) == expected
    assert bits(row["prediction"]["churn_probability"] for batch in batches for row in batch["rows"]) == expected
    assert bits(answer["before"]["churn_probability"] for answer in unchanged) == expected
    assert bits(answer["after"]["churn_probability"] for answer in unchanged) == expected
    assert scores.loc[customers, "churn"].tolist() == [answer["churn"] for answer in alone]
    return frame


def with_gaps(rows: pd.DataFrame, unseen: pd.Series, empty: Any) -> pd.DataFrame:
    """The rows with cells emptied and a way to pay that no model has met."""
    changed = rows.copy()
    for name, step in EMPTIED.items():
        changed.loc[::step, name] = empty
    changed.loc[unseen, "PaymentMethod"] = UNSEEN
    return changed


def require_gaps(model_rows: pd.DataFrame) -> None:
    assert model_rows[list(EMPTIED)].isna().any().all()
    assert (model_rows["PaymentMethod"] == UNSEEN).any()


def test_the_sample_table(finished_project: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(finished_project, project, symlinks=True)
    table = project / "data" / "features" / "customer_features.parquet"
    rows = pd.read_parquet(table, dtype_backend="numpy_nullable")
    with_gaps(rows, pd.Series(rows.index % 17 == 0), pd.NA).to_parquet(table, index=False)
    run(project, "feature_store,scoring")
    require_gaps(require_one_number(project))


def declare_gaps(project: Path) -> None:
    """Missing values allowed, the ways to pay learned from the training customers, and a derived feature."""
    place = project / "conf" / "base" / "parameters" / "customers.yml"
    declared = yaml.safe_load(place.read_text())
    columns = declared["customers"]["columns"]
    for name in EMPTIED:
        columns[name]["null"] = True
    del columns["PaymentMethod"]["values"]
    columns["TotalCharges"] = {"type": "number", "min": 0, "null": True}
    declared["customers"]["derived"] = {"charges_per_month": "TotalCharges / greatest(tenure, 1)"}
    place.write_text(yaml.safe_dump(declared, sort_keys=False))


@pytest.mark.real_data
@pytest.mark.parametrize("gaps", [False, True], ids=["as it is", "with missing values and an unseen category"])
def test_the_real_telco_table(tmp_path: Path, real_data: Path, gaps: bool) -> None:
    project = copy_project(tmp_path / "project")
    raw = project / "data" / "raw" / "churn.csv"
    shutil.copy(real_data / "telco" / "Telco-Customer-Churn.csv", raw)
    if gaps:
        declare_gaps(project)
        rows = pd.read_csv(raw, dtype=str, keep_default_na=False)
        tested = rows["customerID"].map(lambda customer: hashlib.md5(customer.encode()).hexdigest()[:HEX_DIGITS] < hex_bound(0.2))
        with_gaps(rows, tested & (rows.index % 3 == 0), "").to_csv(raw, index=False)
    run(project, "data_processing,feature_store,training,evaluation", "--params", QUICK)
    run(project, "scoring")
    frame = require_one_number(project)
    assert len(frame) == 7043
    if gaps:
        require_gaps(frame)
        assert frame["TotalCharges"].isna().sum() == 11
