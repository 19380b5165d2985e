"""Fixtures of the services, one of each in a test run; tests/conftest.py makes them known."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services import mlflow_server as mlflow_module
from tests.services import postgres as postgres_module
from tests.services import redis as redis_module
from tests.services import s3 as s3_module
from tests.services.mlflow_server import MlflowServer
from tests.services.postgres import Postgres
from tests.services.processes import shared
from tests.services.redis import Redis
from tests.services.s3 import S3


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all workers of this test run share."""
    own = tmp_path_factory.getbasetemp()
    return own if worker_id == "master" else own.parent


@pytest.fixture(scope="session")
def postgres(run_folder: Path) -> Iterator[Postgres]:
    """A PostgreSQL that asks for passwords; `postgres.database(name)` is a new database with a user of its own."""
    with shared(run_folder, "postgres", postgres_module.start_shared) as state:
        yield Postgres(state["admin_url"])


@pytest.fixture(scope="session")
def redis(run_folder: Path) -> Iterator[Redis]:
    """A Redis with a password; `redis.database()` is an empty database of it."""
    with shared(run_folder, "redis", redis_module.start_shared) as state:
        yield Redis(state["host"], state["port"], state["password"])


@pytest.fixture(scope="session")
def s3(run_folder: Path) -> Iterator[S3]:
    """An object store; `s3.bucket(name)` is a new bucket, `s3.environment` what its clients need."""
    with shared(run_folder, "s3", s3_module.start_shared) as state:
        yield S3(state["endpoint"], state["key"], state["secret"])


@pytest.fixture(scope="session")
def mlflow_server(run_folder: Path, postgres: Postgres, s3: S3) -> Iterator[MlflowServer]:
    """An MLflow server with its tables in PostgreSQL and its artifacts in S3."""
    with shared(run_folder, "mlflow", lambda: mlflow_module.start_shared(postgres, s3)) as state:
        yield MlflowServer(state["uri"], state["bucket"])
