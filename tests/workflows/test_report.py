"""The decision as Markdown."""

import json
from pathlib import Path

import numpy as np
import pytest

from churn import config
from churn.automation.report import approval_text, copy_reports, decision_markdown, outcome_lines
from churn.core.errors import ChurnError
from churn.core.evaluation.comparison import compare
from churn.core.evaluation.evaluate import evaluate
from churn.core.evaluation.gate import decide
from churn.core.evaluation.gate_rules import Contender
from tests.parameters import COSTS, EVALUATION
from tests.projects import copy_project

CUT = 0.2


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory):
    """What an evaluation writes: a challenger that knows the truth against a champion that knows half of it."""
    project = copy_project(tmp_path_factory.mktemp("report") / "project")
    draw = np.random.default_rng(1)
    truth = draw.beta(1, 3, 2000)
    churned, half = draw.random(2000) < truth, (truth + truth.mean()) / 2
    metrics = {name: evaluate(churned, scores, CUT, COSTS) for name, scores in (("challenger", truth), ("champion", half))}
    found = compare(churned, (truth, CUT), (half, CUT), COSTS)
    contenders = [Contender("2", "a", truth, metrics["challenger"]), Contender("1", "b", half, metrics["champion"])]
    decision = decide(churned, *contenders, found, EVALUATION.gate.model_copy(update={"policy": "approve"}))
    contents = {
        "decision": decision.model_dump(mode="json"),
        "test_metrics": {f"{model}_{name}": value for model, each in metrics.items() for name, value in each.items()},
        "comparisons": {"champion": found.model_dump()},
    }
    for name, content in contents.items():
        (project / "data" / "reports" / f"{name}.json").write_text(json.dumps(content))
    return config.load(project), contents


def test_it_shows_both_models_with_intervals_the_difference_and_every_rule(reports):
    settings, contents = reports
    page, decision = decision_markdown(settings), contents["decision"]
    assert f"## Model version 2 {'passed and waits' if decision['outcome'] == 'awaiting-approval' else 'is refused'}" in page
    assert "| 2,000 test customers | challenger | champion |" in page
    low = contents["test_metrics"]["champion_roc_auc_low"]
    assert f"[{low:.4f}, " in page
    gain = contents["comparisons"]["champion"]["log_loss"]
    assert f"| log-loss | {gain['value']:.4f} | {gain['low']:.4f} to {gain['high']:.4f} | {gain['detectable']:.4f} |" in page
    for rule in decision["rules"]:
        assert f"| {'passed' if rule['passed'] else '**failed**'} | {rule['name']} | " in page
    assert ("churn promote 2" in page) == (decision["outcome"] == "awaiting-approval")


def test_the_comparison_of_a_pull_request_claims_no_promotion(reports):
    page = decision_markdown(reports[0], moved=False)
    assert page.startswith("## This change's model would be: ")
    assert "nothing was promoted" in page


def test_outputs_fit_a_job(reports):
    assert outcome_lines(reports[0]).splitlines() == [f"outcome={reports[1]['decision']['outcome']}", "version=2", "champion=1"]


def test_the_lead_is_told_of_the_job_only_where_there_is_one(monkeypatch):
    monkeypatch.delenv("CHURN_APPROVAL", raising=False)
    assert approval_text({"version": "2"}) == "To make it the champion: `churn promote 2`."
    monkeypatch.setenv("CHURN_APPROVAL", "environment")
    assert "or approve the job `approve`" in approval_text({"version": "2"})


def test_reports_are_copied_and_rows_of_customers_are_not(tmp_path: Path):
    project = copy_project(tmp_path / "project")
    reports = project / "data" / "reports"
    with pytest.raises(ChurnError, match="There are no reports"):
        copy_reports(config.load(project), tmp_path / "copy")
    (reports / "monitoring").mkdir()
    for name in ("decision.json", "monitoring/report.html", "scores.parquet"):
        (reports / name).write_text(name)
    assert copy_reports(config.load(project), tmp_path / "copy") == 2
    copied = {path.relative_to(tmp_path / "copy").as_posix(): path.read_text() for path in (tmp_path / "copy").rglob("*.*")}
    assert copied == {name: name for name in ("decision.json", "monitoring/report.html")}


def test_before_a_run_there_is_advice(tmp_path: Path):
    with pytest.raises(ChurnError, match="run `kedro run` first"):
        decision_markdown(config.load(copy_project(tmp_path / "project")))
