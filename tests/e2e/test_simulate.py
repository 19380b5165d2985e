"""`churn simulate` as a user runs it: real API, real online store, real pipeline."""

import json
import shutil
import sqlite3
from pathlib import Path

import pandas as pd

from tests.projects import ROOT, run_command


def test_months_of_traffic_are_answered_logged_and_judged(finished_project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(finished_project, folder, symlinks=True)
    shutil.copytree(ROOT / "serving", folder / "serving", ignore=shutil.ignore_patterns("__pycache__"))
    done = run_command(folder, "churn", "simulate", "--months", "2", "--customers", "300", "--scenario", "unit-error")
    assert done.returncode == 0, done.stderr[-3000:]
    title, *months = [line for line in done.stdout.splitlines() if line.startswith(("Scenario", "month"))]
    assert "cents" in title
    assert len(months) == 2
    assert all("300 predictions" in line and "fix-data" in line and "MonthlyCharges is about" in line for line in months)
    assert (done.stdout + done.stderr).count("Churn monitoring: broken data") == 1
    data = folder / "data"
    with sqlite3.connect(data / "serving" / "predictions.db") as log:
        assert log.execute("SELECT count(DISTINCT customer_id) FROM prediction_log WHERE customer_id LIKE 'sim-%'").fetchone() == (600,)
    assert len(pd.read_csv(data / "raw" / "outcomes.csv")) == 300
    history = json.loads((data / "reports" / "monitoring" / "history.json").read_text())
    assert [entry["action"] for entry in history] == ["fix-data", "fix-data"]
    (project,) = [path for path in (data / "reports" / "evidently").iterdir() if path.is_dir()]
    assert len(list((project / "snapshots").iterdir())) == 3  # drift twice, performance once outcomes are there


def test_an_unknown_scenario_is_one_message(finished_project: Path) -> None:
    done = run_command(finished_project, "churn", "simulate", "--scenario", "flood")
    assert done.returncode == 1
    assert "price-rise" in done.stderr
    assert "Traceback" not in done.stderr
