"""An MLflow server for the tests: its tables in PostgreSQL, its artifacts in S3 and handed through."""

import os
import sys
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.services.postgres import Postgres
from tests.services.processes import free_port, start, wait_until
from tests.services.s3 import S3


@dataclass(frozen=True)
class MlflowServer:
    """Where it is, and the bucket with its artifacts."""

    uri: str
    bucket: str


def start_server(postgres: Postgres, s3: S3, folder: Path, port: int | None = None, database: str | None = None) -> dict[str, Any]:
    """A server with tables and a bucket of its own; what `processes.shared` wants to know of it."""
    port, bucket = port or free_port(), s3.bucket("mlflow")
    uri = f"http://127.0.0.1:{port}"
    stores = ["--backend-store-uri", database or postgres.database("mlflow"), "--artifacts-destination", f"s3://{bucket}"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "KEDRO_", "CHURN_", "COV_"))}
    log = folder / f"mlflow-{port}.log"
    process = start(
        [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", *stores],
        log,
        cwd=folder,
        env={**kept, **s3.environment, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
    )
    wait_until(lambda: _answers(uri), process, log)
    return {"uri": uri, "bucket": bucket, "group": process.pid, "folder": str(folder)}


def start_shared(postgres: Postgres, s3: S3) -> dict[str, Any]:
    """What `processes.shared` starts."""
    return start_server(postgres, s3, Path(tempfile.mkdtemp(prefix="churn-mlflow-")))


def _answers(uri: str) -> bool:
    """Its API, not /health: that stays green where the API refuses."""
    with urllib.request.urlopen(f"{uri}/api/2.0/mlflow/experiments/get-by-name?experiment_name=Default", timeout=20) as answer:
        return bool(answer.status == 200)
