"""The pipeline monitoring with its real catalog: prediction log in SQLite and PostgreSQL, registry, report, workspace, history."""

import html
import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from kedro.io import DataCatalog, DatasetError
from kedro.runner import SequentialRunner

from benchmarks.monitoring.worlds import World, build
from churn import config
from churn.core.errors import ChurnError
from churn.core.evaluation.evaluate import EvaluationParameters
from churn.core.monitoring.parameters import MonitoringParameters, PerformanceParameters, WindowParameters
from churn.core.monitoring.table import SCORE
from churn.core.population.customers import SampleParameters, draw
from churn.core.population.scenarios import another_unit
from churn.io.models import registry
from churn.io.models.registration import Candidate, register
from churn.io.monitoring import reference
from churn.io.monitoring.alerts import URLS_VARIABLE
from churn.io.predictions.gauges import read_gauges
from churn.io.predictions.outcomes import COLUMNS, OutcomesDataset, typed
from churn.io.predictions.prediction_log import Entry, PredictionLog
from churn.io.predictions.window import LoggedWindow, read_mature, read_window
from churn.pipelines.monitoring import create_pipeline
from churn.pipelines.monitoring.nodes import choose_version, match_outcomes
from tests.projects import ROOT
from tests.serving.servers import free_port

NOW = datetime.now(UTC)
ROWS = 400
MINUTES = 30
"""Until every outcome is known."""


@pytest.fixture(scope="module")
def world() -> World:
    return build(0)


@pytest.fixture(scope="module")
def versions(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry in which version 1 has a reference and version 2 has none."""
    import mlflow

    folder = tmp_path_factory.mktemp("registry")
    registry.connect(f"sqlite:///{folder}/mlflow.db")
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("churn", artifact_location=str(folder / "artifacts")))
    for _ in range(2):
        with mlflow.start_run():
            register(Candidate(world.model, {"git_sha": "test"}))
    drawn = draw(SampleParameters(rows=4000, seed=1))
    frame = pd.DataFrame(drawn.features()).assign(churned=drawn.churned)
    test = frame.iloc[3000:].assign(**{SCORE: world.model.predict(frame.iloc[3000:])})
    reference.store(reference.reference_table("1", world.model, frame.iloc[:3000], test, 10_000))
    return folder


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty prediction log."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/log.db"
    return str(request.getfixturevalue("postgres").database("monitoring"))


def entries(world: World, rows: int, seed: int = 5, hours: float = 1, **changes: Any) -> tuple[list[Entry], Any]:
    """Predictions of customers of the sample population, and their outcomes."""
    drawn = draw(SampleParameters(rows=rows, seed=seed))
    features = drawn.features()
    if changes.pop("cents", False):
        features = another_unit(dict(features), None)  # type: ignore[arg-type]
    frame = pd.DataFrame(features)
    scores, texts = world.model.predict(frame), frame.to_dict("records")
    fields = {"kind": "predict", "model_version": "1", **changes}
    found = [
        Entry(
            prediction_id=f"{seed}-{fields['kind']}-{fields['model_version']}-{row:05d}",
            predicted_at=NOW - timedelta(hours=hours) + timedelta(seconds=row / 100),
            customer_id=f"{seed}-{row}",
            features=json.dumps(texts[row]),
            features_as_of=NOW - timedelta(days=1),
            probability=float(scores[row]),
            threshold=0.2,
            request_id="",
            **fields,  # type: ignore[arg-type]
        )
        for row in range(rows)
    ]
    return found, drawn.churned


def write(url: str, *batches: list[Entry]) -> None:
    log = PredictionLog(url)
    for batch in batches:
        log.write(batch)
    log.close()


def run(url: str, storage: Path, **others: Any) -> dict[str, Any]:
    """Run the pipeline with the catalog of the project; the verdict."""
    text = "\n".join((ROOT / "conf/base/catalog" / f"{name}.yml").read_text(encoding="utf-8") for name in ("monitoring",))
    text = text.replace("${globals:storage}", str(storage)).replace("${globals:prediction_log}", url)
    catalog = DataCatalog.from_config(
        {**yaml.safe_load(text.replace("${globals:evidently_workspace}", str(storage / "evidently"))), **MODEL_REFERENCE}
    )
    settings = config.load(ROOT)
    parameters = MonitoringParameters.model_validate(settings.parameters["monitoring"])
    catalog["params:customers"] = settings.declaration
    changes = {"window": WindowParameters(rows=ROWS), "performance": PerformanceParameters(label_horizon_days=MINUTES / 1440)}
    catalog["params:monitoring"] = parameters.model_copy(update={**changes, "report_rows": 400, **others})
    catalog["params:evaluation"] = EvaluationParameters.model_validate(settings.parameters["evaluation"])
    SequentialRunner().run(create_pipeline(), catalog)
    found: dict[str, Any] = json.loads((storage / "reports/monitoring/verdict.json").read_text(encoding="utf-8"))
    return found


MODEL_REFERENCE = {"model_reference": {"type": "churn.io.monitoring.reference.ModelReferenceDataset"}}


def test_a_fault_is_found_reported_told_once_and_remembered(
    url: str, world: World, versions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(URLS_VARIABLE, raising=False)
    faulty, churned = entries(world, ROWS, cents=True)
    what_ifs, _ = entries(world, 50, seed=6, hours=0.1, kind="what-if")
    others, _ = entries(world, 40, seed=7, hours=1.5, model_version="2")
    write(url, others, faulty, what_ifs)
    known = NOW - timedelta(hours=1) + timedelta(minutes=MINUTES / 2)
    OutcomesDataset(str(tmp_path / "raw/outcomes.csv")).save(
        pd.DataFrame({"customer_id": [one.customer_id for one in faulty], "churned": churned, "observed_at": known.isoformat()})
    )
    found = run(url, tmp_path)
    assert (found["status"], found["action"], found["model_version"]) == ("alert", "fix-data", "1")
    assert found["window"]["rows"] == ROWS
    assert ("unit", "MonthlyCharges") in {(finding["kind"], finding["column"]) for finding in found["findings"]}
    assert found["reference_sha256"] == reference.load("1").sha256  # type: ignore[union-attr]
    assert (found["measured"]["outcomes"], found["measured"]["coverage"]) == (ROWS, 1.0)
    assert caplog.text.count("Churn monitoring: broken data") == 1
    check_report(tmp_path)
    assert 'churn_monitoring_status{version="1"} 2' in read_gauges(url)
    assert run(url, tmp_path)["status"] == "alert"
    assert caplog.text.count("Churn monitoring: broken data") == 1
    (entry,) = json.loads((tmp_path / "reports/monitoring/history.json").read_text(encoding="utf-8"))
    assert "unit:MonthlyCharges" in entry["shown"]
    assert "unit:MonthlyCharges" in entry["alerted"]


def test_a_dead_address_fails_the_run_after_everything_is_written(
    world: World, versions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URLS_VARIABLE, f"json://127.0.0.1:{free_port()}/nobody")
    url = f"sqlite:///{tmp_path}/log.db"
    write(url, entries(world, ROWS, cents=True)[0])
    for _ in range(2):  # tried again, as loudly
        with pytest.raises(ChurnError, match=r"did not reach address 1 \(json\)"):
            run(url, tmp_path)
        (entry,) = json.loads((tmp_path / "reports/monitoring/history.json").read_text(encoding="utf-8"))
        assert "unit:MonthlyCharges" in entry["alerted"]
        assert (tmp_path / "reports/monitoring/metrics.json").exists()


def check_report(storage: Path) -> None:
    """The page has verdict and plots and loads nothing; the workspace has the runs; the gauges are there."""
    from evidently.ui.workspace import Workspace

    page = (storage / "reports/monitoring/report.html").read_text(encoding="utf-8")
    assert "Something has changed" in page
    assert re.search("MonthlyCharges is about [0-9]+ times", page)
    assert page.count("<iframe") == 2
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=[\"']?(?:https?:)?//", html.unescape(page))
    workspace = Workspace(str(storage / "evidently"))
    (project,) = workspace.search_project("churn")
    assert len(workspace.list_runs(project.id)) == 2


def test_another_run_on_the_same_window_replaces_its_runs_in_the_workspace(
    world: World, versions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evidently.ui.workspace import Workspace

    monkeypatch.delenv(URLS_VARIABLE, raising=False)
    url = f"sqlite:///{tmp_path}/log.db"
    write(url, entries(world, ROWS, seed=1, hours=2)[0])
    run(url, tmp_path)
    run(url, tmp_path)
    write(url, entries(world, ROWS, seed=2)[0])
    run(url, tmp_path)
    workspace = Workspace(str(tmp_path / "evidently"))
    (project,) = workspace.search_project("churn")
    snapshots = [workspace.get_run(project.id, one) for one in workspace.list_runs(project.id)]
    assert len({snapshot.metadata["window"] for snapshot in snapshots}) == len(snapshots) == 2
    assert "Drift of the score (PSI)" in [panel.title for panel in project.dashboard.model().panels]


def test_without_predictions_there_is_a_page_and_no_verdict(world: World, versions: Path, tmp_path: Path) -> None:
    found = run(f"sqlite:///{tmp_path}/never/written.db", tmp_path)
    assert (found["status"], found["action"]) == ("not-judged", "none")
    assert "there are no predictions yet" in found["summary"]
    assert "Not judged" in (tmp_path / "reports/monitoring/report.html").read_text(encoding="utf-8")
    assert 'churn_monitoring_status{version=""} -1' in read_gauges(f"sqlite:///{tmp_path}/never/written.db")


def test_a_silent_week_alerts_once(world: World, versions: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    write(url, entries(world, ROWS, hours=24 * 9)[0])
    window = WindowParameters(by="time", days=7, pooled=1)
    for _ in range(2):
        found = run(url, tmp_path, window=window)
        assert (found["status"], found["action"], found["window"]["rows"]) == ("alert", "fix-data", 0)
        assert [finding["kind"] for finding in found["findings"]] == ["silence"]
    assert caplog.text.count("Churn monitoring: service down") == 1


def test_a_version_without_a_reference_is_not_judged(world: World, versions: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    write(url, entries(world, ROWS, model_version="2")[0])
    found = run(url, tmp_path)
    assert found["status"] == "not-judged"
    assert "version 2 has no reference" in found["summary"]


def test_the_window_is_the_newest_prediction_of_each_customer(url: str, world: World) -> None:
    first, _ = entries(world, 100, seed=1, hours=30)
    again = [entry._replace(prediction_id=f"again-{entry.prediction_id}", predicted_at=NOW - timedelta(hours=1)) for entry in first[60:]]
    what_ifs, _ = entries(world, 30, seed=2, kind="what-if")
    write(url, first, again, what_ifs)
    by_count = read_window(url, WindowParameters(rows=60, pooled=1), NOW).rows
    assert len(by_count) == 60
    assert by_count["customer_id"].is_unique
    assert by_count["prediction_id"].str.startswith("again-").sum() == 40
    assert by_count["predicted_at"].is_monotonic_increasing
    by_time = read_window(url, WindowParameters(by="time", days=1, pooled=1), NOW).rows
    assert len(by_time) == 40
    assert read_window(url, WindowParameters(rows=1000), NOW).repeated == 40
    assert read_window(url, WindowParameters(by="time", days=1), NOW).repeated == 40


def test_of_a_sorted_batch_the_window_is_a_random_part_and_the_same_in_every_database(world: World, tmp_path: Path, postgres: Any) -> None:
    batch = [entry._replace(predicted_at=NOW - timedelta(hours=1)) for entry in entries(world, ROWS)[0]]
    urls = [f"sqlite:///{tmp_path}/log.db", str(postgres.database("ties"))]
    asked = (WindowParameters(rows=100, pooled=1), WindowParameters(by="time", days=1, max_rows=100, pooled=1))
    chosen = []
    for place, url in enumerate(urls):
        write(url, batch[:: 1 - 2 * place])  # written in another order
        chosen += [read_window(url, one, NOW).rows["customer_id"].tolist() for one in asked]
    assert chosen[0] == chosen[1] == chosen[2] == chosen[3]
    places = sorted(int(customer.split("-")[1]) for customer in chosen[0])
    assert len(places) == 100
    assert places[10] < ROWS / 4
    assert places[-10] > ROWS * 3 / 4


def test_a_period_with_too_many_customers_leaves_the_one_before_as_it_is(url: str, world: World) -> None:
    write(url, entries(world, 50, seed=1, hours=30)[0], entries(world, 80, seed=2, hours=1)[0])
    found = read_window(url, WindowParameters(by="time", days=1, max_rows=60, pooled=2), NOW)
    assert found.rows["customer_id"].str.split("-").str[0].value_counts().to_dict() == {"2": 60, "1": 50}
    assert found.repeated == 0


def test_the_traffic_is_counted_in_periods_and_dated(url: str, world: World) -> None:
    for days, rows in ((15, 40), (8, 30), (1, 20)):
        write(url, entries(world, rows, seed=days, hours=24 * days)[0])
    found = read_window(url, WindowParameters(days=7, rows=50), NOW).traffic
    assert found.counts == (20, 30, 40, 0)
    assert found.newest == NOW - timedelta(days=1) + timedelta(seconds=0.19)


def test_the_version_of_the_newest_prediction_is_judged_and_of_two_the_later(world: World) -> None:
    def version(*found: tuple[float, str]) -> str:
        rows = pd.DataFrame(found, columns=["predicted_at", "model_version"])
        return choose_version(LoggedWindow(rows, 0, read_window("sqlite:///nowhere.db", WindowParameters(), NOW).traffic), "7")

    assert version((1, "1"), (1.5, "1"), (2, "2")) == "2"
    assert version((1, "3"), (2, "2")) == "2"  # rolled back
    assert version((2, "9"), (2, "10")) == "10"
    assert version() == "7"


def known(*rows: tuple[str, bool, datetime]) -> pd.DataFrame:
    return typed(pd.DataFrame([(*row[:2], row[2].isoformat()) for row in rows], columns=list(COLUMNS)), "the outcomes")


def test_only_predictions_that_are_old_enough_are_measured_whatever_is_known(url: str, world: World) -> None:
    old, churned = entries(world, 60, seed=1, hours=30)
    young, _ = entries(world, 40, seed=2, hours=1)
    write(url, old, young)
    rules = MonitoringParameters(performance=PerformanceParameters(label_horizon_days=1, outcomes=50))
    mature = read_mature(url, rules.performance, NOW)
    assert len(mature) == 50
    assert set(mature["customer_id"]) <= {entry.customer_id for entry in old}
    leavers = known(
        *((one.customer_id, True, NOW) for one in young),
        *((old[row].customer_id, True, NOW - timedelta(hours=20)) for row in np.flatnonzero(churned)),
    )
    found = match_outcomes(mature, leavers, rules)
    assert len(found) == 50  # those of whom nothing is known too
    assert found["churned"].notna().sum() < 50
    assert set(found["churned"].dropna()) == {True}
    assert match_outcomes(mature, known(), rules)["churned"].isna().all()


def test_an_outcome_is_that_of_the_prediction_in_whose_horizon_it_was_observed_and_the_last_counts(url: str, world: World) -> None:
    rules = MonitoringParameters(performance=PerformanceParameters(label_horizon_days=1, outcomes=50))
    write(url, entries(world, 4, seed=1, hours=30)[0])
    hour = timedelta(hours=1)
    rows = [("1-0", False, NOW - 20 * hour), ("1-0", True, NOW - 10 * hour), ("1-1", True, NOW - 31 * hour), ("1-2", True, NOW - 5 * hour)]
    found = match_outcomes(read_mature(url, rules.performance, NOW), known(*rows, ("1-3", False, NOW - 7 * hour)), rules)
    assert found.set_index("customer_id")["churned"].dropna().to_dict() == {"1-0": True, "1-3": False}


def test_a_log_that_does_not_answer_is_one_message_without_the_password() -> None:
    with pytest.raises(ChurnError, match="cannot be read") as failed:
        read_window("postgresql+psycopg://churn:hidden-word@127.0.0.1:1/churn", WindowParameters(), NOW)
    assert "hidden-word" not in str(failed.value)


def test_a_damaged_reference_is_refused(world: World, versions: Path) -> None:
    (stored,) = versions.rglob("reference.parquet")
    whole = stored.read_bytes()
    try:
        stored.write_bytes(whole[:-9] + b"x" + whole[-8:])
        with pytest.raises(ChurnError, match="damaged"):
            reference.load("1")
    finally:
        stored.write_bytes(whole)
    assert reference.load("1") is not None
    assert reference.load("2") is None
    assert reference.load("77") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("customer_id,churned\na,true\n", "no column observed_at"),
        ("customer_id,churned,observed_at\na,perhaps,2026-01-01\n", "row 1: churned is 'perhaps'"),
        ("customer_id,churned,observed_at\na,Yes,2026-01-01\nb,no,soon\n", "row 2: observed_at is 'soon'"),
    ],
)
def test_outcomes_that_cannot_be_read_are_one_message(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "outcomes.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match=re.escape(message)):
        OutcomesDataset(str(tmp_path / "outcomes.csv")).load()


def test_outcomes_are_added_to(tmp_path: Path) -> None:
    outcomes = OutcomesDataset(str(tmp_path / "outcomes.csv"))
    assert len(outcomes.load()) == 0
    for churned in (True, False):
        outcomes.save(pd.DataFrame({"customer_id": ["007"], "churned": [churned], "observed_at": ["2026-01-01T00:00:00Z"]}))
    found = outcomes.load()
    assert found.values.tolist() == [["007", False, pd.Timestamp("2026-01-01", tz="UTC")]]


def test_evidently_is_imported_only_where_it_is_used() -> None:
    heavy = ("evidently", "pandas", "sklearn", "apprise", "mlflow")
    code = f"import sys, churn.pipelines.monitoring; print([name for name in {heavy} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"
