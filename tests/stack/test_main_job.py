"""`kedro run --env stack` does on real services what `kedro run` does without: equal features, an equal model, an API on it."""

import functools
import io
import json
import re
import sqlite3
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest

from tests.projects import QUICK, activated, run_command
from tests.services.stack import PREDICT_KEY, secrets_of
from tests.serving.servers import serve
from tests.stack.conftest import Stack

MODEL = "churn-prediction-model"


def ask(stack: Stack, path: str, **question: Any) -> Any:
    """MLflow's REST API."""
    address = f"{stack.mlflow.uri}/api/2.0/mlflow/{path}?{urllib.parse.urlencode(question)}"
    with urllib.request.urlopen(address, timeout=60) as answer:
        return json.load(answer)


def champion(stack: Stack) -> dict[str, Any]:
    return dict(ask(stack, "registered-models/alias", name=MODEL, alias="Champion")["model_version"])


def tags(entry: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in entry["tags"]}


def in_bucket(stack: Stack, key: str) -> bytes:
    return bytes(stack.s3.client().get_object(Bucket=stack.bucket, Key=key)["Body"].read())


@pytest.mark.parametrize("file", ["processed/customers", "features/customer_features", "models/training_frame", "models/test_frame"])
def test_features_are_equal(finished_stack: Stack, finished_project: Path, file: str) -> None:
    ours = pd.read_parquet(io.BytesIO(in_bucket(finished_stack, f"{file}.parquet")))
    pd.testing.assert_frame_equal(ours, pd.read_parquet(finished_project / "data" / f"{file}.parquet"), check_exact=True)


def test_the_model_is_the_same_to_the_last_bit(finished_stack: Stack, finished_project: Path) -> None:
    with sqlite3.connect(finished_project / "data" / "mlflow" / "mlflow.db") as embedded:
        question = "SELECT key, value FROM model_version_tags WHERE key IN ('model_sha256', 'data_sha256', 'schema_sha256')"
        expected = dict(embedded.execute(question).fetchall())
    found = tags(champion(finished_stack))
    assert {key: found[key] for key in expected} == expected
    assert len(expected) == 3


LOCAL = ("mlflow", "serving", "reports/evidently")
"""What stays on this machine: Evidently serves no bucket, and the API keeps verified champions."""


def files_of(project: Path) -> set[str]:
    data = project / "data"
    found = {path.relative_to(data).as_posix() for path in data.rglob("*") if path.is_file()}
    return {path for path in found if not path.startswith(LOCAL)}


def test_every_file_is_in_the_bucket_and_none_on_this_machine(finished_stack: Stack, finished_project: Path) -> None:
    store = {"features/registry.db", "features/online.db"}
    assert files_of(finished_project) - store <= set(finished_stack.s3.objects(finished_stack.bucket))
    assert files_of(finished_stack.project) == set()


def test_mlflow_shows_the_run_completely(finished_stack: Stack) -> None:
    version = champion(finished_stack)
    run = ask(finished_stack, "runs/get", run_id=version["run_id"])["run"]["data"]
    metrics = {metric["key"] for metric in run["metrics"]}
    assert {"challenger_roc_auc", "challenger_f1", "challenger_average_precision", "challenger_log_loss", "challenger_ece"} <= metrics
    assert len(run["params"]) > 20
    assert {"git_sha", "data_sha256", "schema_sha256"} <= {tag["key"] for tag in run["tags"]}
    listed = {
        entry["path"]: int(entry.get("file_size", 0)) for entry in ask(finished_stack, "artifacts/list", run_id=version["run_id"])["files"]
    }
    plots = {"confusion_matrix.png", "shap_summary.png", "calibration_curve.png", "gain_curve.png", "profit_curve.png"}
    assert plots | {"decision.json", "segments.json", "evaluation.html", "trials.json"} <= set(listed)
    assert all(listed[plot] > 5000 for plot in plots)
    stored = finished_stack.s3.objects(finished_stack.mlflow.bucket)
    assert any(key.endswith(f"{version['run_id']}/artifacts/shap_summary.png") for key in stored)


def test_the_registry_says_why_a_version_was_promoted(finished_stack: Stack) -> None:
    version = champion(finished_stack)
    assert version["description"].startswith("promoted: ")
    found = tags(version)
    assert found["gate"] == "promoted"
    assert {"gate_reason", "test_metrics", "git_sha", "data_sha256", "model_sha256", "run_id"} <= set(found)


def test_status_and_summary_read_the_services(finished_stack: Stack) -> None:
    status = finished_stack.run("churn", "status", "--env", "stack")
    assert status.returncode == 0, status.stderr
    assert "Champion" in status.stdout
    summary = finished_stack.run("churn", "summary", "--env", "stack")
    assert summary.returncode == 0, summary.stderr
    assert f"s3a://{finished_stack.bucket}/reports/evaluation.html" in summary.stdout
    assert "A GENERATED SAMPLE" in summary.stdout


def test_feast_commands_work_in_its_folder(finished_stack: Stack) -> None:
    given = {**finished_stack.environment, "KEDRO_ENV": "stack", "FEAST_FS_YAML_FILE_PATH": "feature_store.stack.yaml"}
    done = run_command(finished_stack.project / "feature_repo", "feast", "feature-views", "list", environment=given)
    assert done.returncode == 0, done.stderr
    assert "customer_features" in done.stdout


def test_the_read_back_report_has_the_read_time(finished_stack: Stack) -> None:
    report = json.loads(in_bucket(finished_stack, "reports/feature_store.json"))
    assert report["customers_compared"] == 200
    assert report["one_customer"]["p50_ms"] > 0


def test_no_file_of_a_run_holds_a_secret(finished_stack: Stack) -> None:
    secrets = secrets_of(finished_stack.environment)
    for bucket in (finished_stack.bucket, finished_stack.mlflow.bucket):
        for key in finished_stack.s3.objects(bucket):
            content = finished_stack.s3.client().get_object(Bucket=bucket, Key=key)["Body"].read()
            assert not any(secret.encode() in content for secret in secrets), key
    run = json.dumps(ask(finished_stack, "runs/get", run_id=champion(finished_stack)["run_id"]))
    assert not any(secret in run for secret in secrets)


def test_the_api_answers_from_the_services(finished_stack: Stack) -> None:
    predictions = pd.read_parquet(io.BytesIO(in_bucket(finished_stack, "reports/predictions.parquet"))).set_index("customer_id")
    customer = predictions.index[0]
    with serve(finished_stack.project, KEDRO_ENV="stack", **finished_stack.environment) as server:
        assert server.predict(customer).status == 401
        server.headers["X-API-Key"] = PREDICT_KEY
        answer = server.predict(customer, reasons=3)
        assert answer.status == 200, answer.text
        assert server.predict("nobody").status == 404
        assert "degraded" not in server.health().get("status", "")
    assert answer.json["churn_probability"] == predictions.loc[customer, "challenger"]
    assert answer.json["model"]["version"] == str(champion(finished_stack)["version"])
    assert len(answer.json["reasons"]) == 3
    with psycopg.connect(finished_stack.environment["CHURN_PREDICTION_LOG"].replace("+psycopg", "")) as log:
        rows = log.execute("SELECT prediction_id, customer_id, probability FROM prediction_log").fetchall()
    assert rows == [(answer.json["prediction_id"], customer, answer.json["churn_probability"])]


def nested(parameters: str) -> dict[str, Any]:
    """`a.b=1,a.c=2` as `kedro run --params` reads it."""
    found: dict[str, Any] = {}
    for name, value in (pair.split("=") for pair in parameters.split(",")):
        *parents, last = name.split(".")
        functools.reduce(lambda level, parent: level.setdefault(parent, {}), parents, found)[last] = int(value)
    return found


EACH_ALONE = """
import json
import sys
from pathlib import Path
import mlflow
from kedro.framework.session import KedroServiceSession
from kedro.framework.startup import bootstrap_project

bootstrap_project(Path.cwd())
with KedroServiceSession.create(project_path=Path.cwd(), env="stack") as session:
    for name in sys.argv[2:]:
        session.run(pipeline_names=[name], runtime_params=json.loads(sys.argv[1]))
        mlflow.end_run()  # as the end of a process does
        print("ran", name)
"""


def test_each_pipeline_runs_alone(finished_stack: Stack) -> None:
    """What one needs, it takes from the services: nothing is handed on in memory."""
    names = ["data_processing", "feature_store", "training", "evaluation", "monitoring", "scoring"]
    before = champion(finished_stack)
    done = subprocess.run(
        [sys.executable, "-c", EACH_ALONE, json.dumps(nested(QUICK)), *names],
        cwd=finished_stack.project,
        env={**activated(), **finished_stack.environment},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert re.findall(r"^ran (\w+)$", done.stdout, re.MULTILINE) == names
    staging = ask(finished_stack, "registered-models/alias", name=MODEL, alias="Staging")["model_version"]
    assert int(staging["version"]) > int(before["version"])
    assert tags(staging)["model_sha256"] == tags(before)["model_sha256"]
    assert "reports/retention_list.parquet" in finished_stack.s3.objects(finished_stack.bucket)
