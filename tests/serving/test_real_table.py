"""The real telco table: by id, in batch, by what-if and by the model itself, one number for every customer."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from churn.core.model import ChurnModel
from tests.projects import QUICK, copy_project, run_command
from tests.serving.servers import serve

BATCH = 1000


@pytest.mark.real_data
def test_every_customer_gets_the_same_score_on_every_way_to_the_last_bit(tmp_path: Path, real_data: Path):
    project = copy_project(tmp_path / "project")
    shutil.copy(real_data / "telco" / "Telco-Customer-Churn.csv", project / "data" / "raw" / "churn.csv")
    done = run_command(project, "kedro", "run", "--pipelines", "data_processing,feature_store,training,evaluation", "--params", QUICK)
    assert done.returncode == 0, done.stderr[-3000:]
    frame = pd.read_parquet(project / "data" / "features" / "customer_features.parquet")
    customers = frame["customer_id"].tolist()
    with serve(project) as server:
        batches = [customers[start : start + BATCH] for start in range(0, len(customers), BATCH)]
        rows = [row for batch in batches for row in server.post("/predict/batch", {"customer_ids": batch}).json["rows"]]
        with ThreadPoolExecutor(4) as pool:
            alone = list(pool.map(lambda customer: server.predict(customer).json["churn_probability"], customers))
            changed = list(pool.map(lambda customer: server.post("/what-if", {"customer_id": customer, "changes": {}}).json, customers))
        note = json.loads((project / "data" / "serving" / "champion.json").read_text())
    model = ChurnModel.load(project / "data" / "serving" / "champions" / note["sha256"])
    expected = model.predict(frame).tolist()
    assert len(expected) == 7043
    assert [row["prediction"]["churn_probability"] for row in rows] == expected
    assert alone == expected
    assert [both["before"]["churn_probability"] for both in changed] == expected
    assert [both["after"]["churn_probability"] for both in changed] == expected
