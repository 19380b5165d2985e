"""A project whose pipelines have run on real services."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.projects import QUICK, SAMPLE_ROWS, copy_project, run_command
from tests.services.mlflow_server import MlflowServer, start_server
from tests.services.postgres import Postgres
from tests.services.processes import shared
from tests.services.redis import Redis
from tests.services.s3 import S3
from tests.services.stack import stack_environment


@dataclass(frozen=True)
class Stack:
    """A project, its environment variables, and the services behind them."""

    project: Path
    environment: dict[str, str]
    s3: S3
    mlflow: MlflowServer

    @property
    def bucket(self) -> str:
        return self.environment["CHURN_BUCKET"]

    def run(self, *command: str, **changes: str) -> Any:
        """A command as a user types it in a shell that has read the .env file."""
        return run_command(self.project, *command, timeout=1800, environment={**self.environment, **changes})


@pytest.fixture(scope="session")
def own_mlflow(run_folder: Path, postgres: Postgres, s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """An MLflow server whose registry nobody else uses."""
    folder = tmp_path_factory.mktemp("stack-mlflow")
    with shared(folder, "mlflow", lambda: start_server(postgres, s3, folder)) as state:
        yield MlflowServer(state["uri"], state["bucket"])


@pytest.fixture(scope="session")
def finished_stack(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, redis: Redis, s3: S3, own_mlflow: MlflowServer) -> Stack:
    """The sample written and `kedro run` run, all with `--env stack`."""
    project = copy_project(tmp_path_factory.mktemp("stack") / "project")
    stack = Stack(project, stack_environment(postgres, redis, s3, own_mlflow), s3, own_mlflow)
    for command in (
        ("kedro", "run", "--env", "stack", "--pipelines", "sample_data", "--params", f"sample_data.rows={SAMPLE_ROWS}"),
        ("kedro", "run", "--env", "stack", "--params", QUICK),
    ):
        done = stack.run(*command)
        assert done.returncode == 0, f"{' '.join(command)} failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return stack
