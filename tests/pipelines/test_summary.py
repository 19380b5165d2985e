"""`churn summary` on reports as they can be found: of one run, of two, damaged, missing."""

import json
from pathlib import Path

import pytest

from churn import config
from churn.core.errors import ChurnError
from churn.summary import run_summary
from tests.projects import copy_project

DATA = {
    "source": {"name": "churn.csv", "sha256": "raw"},
    "customers_sha256": "processed",
    "rows_in": 100,
    "rows_out": 100,
    "train": 80,
    "test": 20,
    "churn_rate": 0.25,
    "blanks": {"TotalCharges": 3, "tenure": 2},
}
DECISION = {"version": "1", "outcome": "promoted", "reason": "Every rule passed.", "customers": 20, "customers_sha256": "processed"}
METRICS = {
    f"challenger_{name}{end}": 0.5
    for name in ("roc_auc", "average_precision", "f1", "log_loss", "top_decile_lift")
    for end in ("", "_low", "_high")
}


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    folder = copy_project(tmp_path / "project") / "data" / "reports"
    for name, content in {"data_summary": DATA, "decision": DECISION, "test_metrics": METRICS}.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def shown(reports: Path) -> str:
    return run_summary(config.load(reports.parents[1]))


def test_it_tells_rows_metrics_and_decision(reports: Path) -> None:
    text = shown(reports)
    assert "100 rows in" in text
    assert "ROC-AUC" in text
    assert "version 1: promoted. Every rule passed." in text
    assert "data/reports/evaluation.html, data/reports/monitoring/report.html" in text


def test_blank_cells_are_said_to_be_what_they_became(reports: Path) -> None:
    assert "3 blank TotalCharges set as declared, 2 blank tenure left empty" in shown(reports)


def test_a_table_that_was_processed_since_shows_no_metrics_of_the_old_one(reports: Path) -> None:
    (reports / "data_summary.json").write_text(json.dumps({**DATA, "rows_in": 120, "customers_sha256": "other"}))
    text = shown(reports)
    assert "120 rows in" in text
    assert "none of this table yet" in text
    assert "kedro run --pipelines feature_store,training,evaluation" in text
    assert "ROC-AUC" not in text
    assert "promoted" not in text


def test_fewer_customers_than_were_held_out_are_said(reports: Path) -> None:
    (reports / "decision.json").write_text(json.dumps({**DECISION, "customers": 15}))
    assert "15 of the 20" in shown(reports)


def test_a_damaged_report_is_named_with_what_to_do(reports: Path) -> None:
    (reports / "decision.json").write_text(json.dumps(DECISION)[:40])
    with pytest.raises(ChurnError, match=r"decision\.json is damaged .* run `kedro run`"):
        shown(reports)


def test_without_a_run_it_says_what_to_run(reports: Path) -> None:
    (reports / "test_metrics.json").unlink()
    with pytest.raises(ChurnError, match=r"no .*test_metrics\.json yet"):
        shown(reports)
