"""A project that has run, with its online store in a Redis of its own."""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.projects import QUICK, copy_project, run_command

FEAST_FILE = "feature_repo/feature_store.redis.yaml"
QUESTIONS = 2000


def prepare(folder: Path, redis_port: int, rows: int, quick: bool) -> Path:
    """Sample table, features in Redis, champion."""
    project = copy_project(folder)
    _use_redis(project, redis_port)
    budget = ("--params", QUICK) if quick else ()
    for command in (
        ("kedro", "run", "--pipelines", "sample_data", "--params", f"sample_data.rows={rows}"),
        ("kedro", "run", "--pipelines", "data_processing,feature_store,training,evaluation", *budget),
    ):
        done = run_command(project, *command, timeout=3600)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return project


def _use_redis(project: Path, port: int) -> None:
    content = yaml.safe_load((project / "feature_repo" / "feature_store.yaml").read_text())
    content["online_store"] = {"type": "redis", "connection_string": f"127.0.0.1:{port}"}
    (project / FEAST_FILE).write_text(yaml.safe_dump(content))
    settings = project / "conf" / "base" / "globals.yml"
    settings.write_text(settings.read_text().replace("feature_repo/feature_store.yaml", FEAST_FILE))


def questions(project: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Bodies that ask by id, and bodies for MLflow's server, with the encoded features of the same customers."""
    import pandas as pd

    from churn.core.modelling.model import ChurnModel

    frame = pd.read_parquet(project / "data" / "features" / "customer_features.parquet").head(QUESTIONS)
    model = ChurnModel.load(model_folder(project))
    shutil.copy(model_folder(project) / "spec.json", project)  # the tutorial's server encodes by it
    codes = model.encode(frame)
    by_id = [{"customer_id": customer} for customer in frame["customer_id"]]
    columns = list(model.names)
    rows = [[None if value != value else value for value in row] for row in codes.tolist()]  # noqa: PLR0124 - NaN
    return by_id, [{"dataframe_split": {"columns": columns, "data": [row]}} for row in rows]


def model_folder(project: Path) -> Path:
    """The files of the champion that the app has verified."""
    note = json.loads((project / "data" / "serving" / "champion.json").read_text())
    return project / "data" / "serving" / "champions" / note["sha256"]


def environment(project: Path, root: Path) -> dict[str, str]:
    """What the servers of the benchmark read."""
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith(("KEDRO_", "MLFLOW_", "CHURN_"))},
        "PYTHONPATH": str(root),
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),  # `mlflow models serve` calls uvicorn
        "MLFLOW_TRACKING_URI": f"sqlite:///{project}/data/mlflow/mlflow.db",
        "FEAST_FILE": str(project / FEAST_FILE),
        "MODEL_URI": "models:/churn-prediction-model@Champion",
        "SPEC_FILE": str(project / "spec.json"),
    }


def bodies(questions_asked: Sequence[dict[str, Any]]) -> list[bytes]:
    """As JSON."""
    return [json.dumps(question).encode() for question in questions_asked]
