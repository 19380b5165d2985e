"""The main job as a user runs it: real commands in a copy of the project."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.projects import QUICK, ROOT, SAMPLE_ROWS, run_command

MAIN_PIPELINES = ("data_processing", "feature_store", "training", "evaluation", "monitoring")
REPORTS = (
    *("data_summary.json", "feature_store.json", "decision.json", "test_metrics.json", "evaluation.html", "trials.json"),
    *("monitoring/report.html", "monitoring/verdict.json"),
)
PLOTS = ("confusion_matrix.png", "shap_summary.png", "calibration_curve.png", "gain_curve.png")


def status(folder: Path) -> list[dict]:
    done = run_command(folder, "churn", "status", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_first_model_becomes_champion_and_every_report_is_there(finished_project: Path) -> None:
    (version,) = status(finished_project)
    assert set(version["aliases"]) == {"Champion", "Staging"}
    assert version["gate"] == "promoted"
    assert version["metrics"]["roc_auc_low"] < version["metrics"]["roc_auc"] < version["metrics"]["roc_auc_high"]
    assert {"git_sha", "data_sha256", "feature_service", "schema_sha256", "model_sha256", "run_id", "gate_reason"} <= set(version["tags"])
    reports = finished_project / "data" / "reports"
    assert [name for name in (*REPORTS, *PLOTS) if not (reports / name).stat().st_size] == []


def test_rows_are_neither_lost_nor_mixed(finished_project: Path) -> None:
    data = finished_project / "data"
    train, test = (pd.read_parquet(data / "models" / f"{side}_frame.parquet") for side in ("training", "test"))
    assert len(train) + len(test) == SAMPLE_ROWS
    assert not set(train["customer_id"]) & set(test["customer_id"])
    raw = pd.read_csv(data / "raw" / "churn.csv", dtype=str).set_index("customerID")
    assert (raw.loc[test["customer_id"], "Contract"].to_numpy() == test["Contract"].to_numpy()).all()
    assert ((raw.loc[test["customer_id"], "Churn"] == "Yes").to_numpy() == test["churned"].to_numpy()).all()


def test_the_summary_says_what_happened_and_what_to_do_next(finished_project: Path) -> None:
    done = run_command(finished_project, "churn", "summary")
    assert done.returncode == 0, done.stderr
    for text in (
        f"{SAMPLE_ROWS:,} rows in",
        "GENERATED SAMPLE",
        "best reachable ROC-AUC",
        "promoted",
        "data/reports/evaluation.html",
        "churn status",
    ):
        assert text in done.stdout


def test_mlflow_holds_the_whole_run(finished_project: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{finished_project}/data/mlflow/mlflow.db")
    (version,) = client.search_model_versions("name='churn-prediction-model'")
    run = client.get_run(version.run_id)
    assert {"challenger_roc_auc", "challenger_average_precision", "challenger_log_loss", "challenger_ece", "baseline_roc_auc"} <= set(
        run.data.metrics
    )
    assert {"best.max_depth", "threshold", "seed"} <= set(run.data.params)
    artifacts = {entry.path for entry in client.list_artifacts(run.info.run_id)}
    assert {*PLOTS, "evaluation.html", "feature_importance.json", "trials.json", "decision.json"} <= artifacts
    assert "feature_importance.png" in artifacts
    assert client.get_metric_history(run.info.run_id, "validation_log_loss")
    (read,) = run.inputs.dataset_inputs
    assert read.dataset.digest == version.tags["customers_sha256"][:36]
    assert json.loads(read.dataset.source)["uri"] == str(finished_project / "data" / "raw" / "churn.csv")
    assert {column["name"] for column in json.loads(read.dataset.schema)["mlflow_colspec"]} >= {"Contract", "tenure"}
    files = [path for path in (finished_project / "data" / "mlflow").rglob("*") if path.is_file()]
    assert [path.name for path in files if path.suffix in {".pkl", ".pickle", ".joblib", ".skops", ".cloudpickle"}] == []
    requirements = next(path for path in files if path.name == "requirements.txt")
    assert all("==" in line for line in requirements.read_text().split())


def test_mlflow_predicts_with_the_example_and_the_signature_of_the_model(finished_project: Path) -> None:
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{finished_project}/data/mlflow/mlflow.db")
    served = mlflow.pyfunc.load_model("models:/churn-prediction-model/1")
    example = served.input_example
    folder = Path(mlflow.artifacts.download_artifacts("models:/churn-prediction-model/1"))
    spec = json.loads((folder / "extra_files" / "spec.json").read_text())
    assert served.metadata.get_input_schema().input_names() == [feature["name"] for feature in spec["features"]]
    for given in (example, example[example.columns[::-1]], example.to_dict(orient="list")):
        assert served.predict(given).tolist() == spec["golden"]["scores"]
    with pytest.raises(mlflow.MlflowException, match="missing"):
        served.predict(example.drop(columns="tenure"))


@pytest.fixture(scope="module")
def second(finished_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished project, to change; MLflow stores absolute artifact paths, so they stay readable in the first."""
    folder = tmp_path_factory.mktemp("second") / "project"
    shutil.copytree(finished_project, folder, symlinks=True)
    return folder


def test_the_same_table_again_is_the_same_model_and_the_champion_stays(second: Path) -> None:
    done = run_command(second, "kedro", "run", "--params", QUICK)
    assert done.returncode == 0, done.stderr
    new, old = status(second)
    assert new["tags"]["model_sha256"] == old["tags"]["model_sha256"]
    assert (new["aliases"], new["gate"], old["aliases"]) == (["Staging"], "kept", ["Champion"])
    assert "same" in new["gate_reason"]


@pytest.mark.parametrize("pipeline", ["monitoring", "evaluation", "feature_store", "data_processing"])
def test_each_pipeline_runs_by_itself_after_a_full_run(second: Path, pipeline: str) -> None:
    done = run_command(second, "kedro", "run", "--pipelines", pipeline)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("change", ["declaration", "half a run"])
def test_training_refuses_customers_that_would_make_its_lineage_false(second: Path, change: str) -> None:
    declared = second / "conf" / "base" / "parameters" / "customers.yml"
    processed = second / "data" / "processed" / "customers.parquet"
    changed = declared if change == "declaration" else processed
    before = changed.read_bytes()
    if change == "declaration":
        declared.write_text(before.decode().replace('positive: "Yes"', 'positive: "No"'), encoding="utf-8")
    else:
        pd.read_parquet(processed).assign(churned=lambda rows: ~rows["churned"]).to_parquet(processed)
    assert changed.read_bytes() != before
    done = run_command(second, "kedro", "run", "--pipelines", "training", "--params", QUICK)
    changed.write_bytes(before)
    assert done.returncode == 1
    assert "Run `kedro run --pipelines data_processing,feature_store` first" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_promote_and_rollback_move_the_champion(second: Path) -> None:
    champion = next(entry["version"] for entry in status(second) if "Champion" in entry["aliases"])
    other = next(entry["version"] for entry in status(second) if "Champion" not in entry["aliases"])
    assert run_command(second, "churn", "promote", other).returncode == 0
    assert {entry["version"]: set(entry["aliases"]) - {"Staging"} for entry in status(second)} == {
        other: {"Champion"},
        champion: {"Previous"},
    }
    assert run_command(second, "churn", "rollback").returncode == 0
    assert next(entry["version"] for entry in status(second) if "Champion" in entry["aliases"]) == champion
    unknown = run_command(second, "churn", "promote", "77")
    assert unknown.returncode == 1
    assert "no version 77" in unknown.stderr
    assert "Traceback" not in unknown.stderr


def test_without_a_table_one_message_and_nothing_written(project: Path) -> None:
    before = sorted(path for path in (project / "data").rglob("*"))
    done = run_command(project, "kedro", "run")
    assert done.returncode == 1
    assert "data/raw/churn.csv" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert sorted(path for path in (project / "data").rglob("*") if "mlflow" not in path.parts) == before


@pytest.mark.real_data
@pytest.mark.parametrize("declaration", ["drafted", "edited"])
def test_another_companys_table_needs_a_declaration_and_no_code(project: Path, real_data: Path, declaration: str) -> None:
    shutil.copy(real_data / "bank" / "Churn_Modelling.csv", project / "data" / "raw" / "churn.csv")
    declared = (ROOT / "tests" / "data" / "bank_customers.yml").read_text(encoding="utf-8")
    if declaration == "drafted":
        draft = run_command(project, "churn", "declare", "data/raw/churn.csv")
        assert draft.returncode == 0, draft.stderr
        declared = draft.stdout
    (project / "conf" / "base" / "parameters" / "customers.yml").write_text(declared, encoding="utf-8")
    done = run_command(project, "kedro", "run", "--params", QUICK)
    assert done.returncode == 0, done.stderr
    (version,) = status(project)
    assert version["gate"] == "promoted"
    assert version["metrics"]["roc_auc"] > 0.84


@pytest.mark.real_data
def test_another_table_after_the_sample_replaces_its_champion_and_can_be_undone(second: Path, real_data: Path) -> None:
    samples = next(entry["version"] for entry in status(second) if "Champion" in entry["aliases"])
    shutil.copy(real_data / "bank" / "Churn_Modelling.csv", second / "data" / "raw" / "churn.csv")
    shutil.copy(ROOT / "tests" / "data" / "bank_customers.yml", second / "conf" / "base" / "parameters" / "customers.yml")
    done = run_command(second, "kedro", "run", "--params", QUICK)
    assert done.returncode == 0, done.stderr
    newest = status(second)[0]
    assert set(newest["aliases"]) == {"Champion", "Staging"}
    assert f"the champion, version {samples}, was trained on a table with other columns" in newest["gate_reason"]
    assert "SeniorCitizen is missing" in newest["gate_reason"]
    assert run_command(second, "churn", "rollback").returncode == 0
    assert next(entry["version"] for entry in status(second) if "Champion" in entry["aliases"]) == samples
    again = run_command(second, "kedro", "run", "--pipelines", "evaluation")
    assert again.returncode == 0, again.stderr
    refused = status(second)[0]
    assert (refused["gate"], refused["aliases"]) == ("rejected", ["Previous", "Staging"])
    assert f"It was rolled back, so the champion stays. To insist: `churn promote {newest['version']}`" in refused["gate_reason"]


@pytest.mark.real_data
def test_the_real_telco_table_makes_a_good_champion(project: Path, real_data: Path) -> None:
    shutil.copy(real_data / "telco" / "Telco-Customer-Churn.csv", project / "data" / "raw" / "churn.csv")
    done = run_command(project, "kedro", "run", "--params", QUICK)
    assert done.returncode == 0, done.stderr
    (version,) = status(project)
    assert version["gate"] == "promoted"
    assert 0.83 < version["metrics"]["roc_auc"] < 0.87
    data = json.loads((project / "data" / "reports" / "data_summary.json").read_text())
    assert data["blanks"]["TotalCharges"] == 11
    done = run_command(project, "churn", "summary")
    assert "11 blank TotalCharges" in done.stdout
    assert "SAMPLE" not in done.stdout
