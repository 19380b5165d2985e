"""Fixtures for every layer: the real tables, a copy of the project, and one that has run."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

from tests.projects import QUICK, ROOT, SAMPLE_ROWS, copy_project, run_command
from tests.services.fixtures import mlflow_server, postgres, redis, run_folder, s3  # noqa: F401 - fixtures

LONGEST = ("test_main_job.py", "test_story.py", "test_bit_equality.py", "test_readme.py", "test_registry_crashes.py")
"""The files that take minutes, longest first."""

settings.register_profile("untimed", settings(), deadline=None)  # a busy machine is not a failure
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that workers that take whole files end at about the same time."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))


@pytest.fixture(scope="module", autouse=True)
def mlflow_forgets() -> Iterator[None]:
    """What a module told MLflow's fluent API (server, experiment) holds for the whole process: it ends with the module."""
    yield
    if (mlflow := sys.modules.get("mlflow")) is not None:
        mlflow.set_tracking_uri(None)
        os.environ.pop("MLFLOW_EXPERIMENT_ID", None)
        mlflow.tracking.fluent._active_experiment_id = None  # no public way back


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real tables: CHURN_TEST_DATA, else ../shared/data. Asked for and not there is a failure."""
    asked = os.environ.get("CHURN_TEST_DATA")
    folder = (ROOT / (asked or "../shared/data")).resolve()
    if not folder.is_dir():
        advice = f"the real tables are not at {folder}: set CHURN_TEST_DATA to a folder with telco/ and bank/"
        pytest.fail(advice) if asked else pytest.skip(advice)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A fresh copy of the project, with no table in it."""
    return copy_project(tmp_path / "project")


@pytest.fixture(scope="session")
def finished_project(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A project in which the sample table was written and `kedro run` has run: look, do not change."""
    shared = tmp_path_factory.getbasetemp() if worker_id == "master" else tmp_path_factory.getbasetemp().parent
    folder = shared / "finished" / "project"
    with FileLock(shared / "finished.lock"):  # the workers of one test run share it
        if not folder.exists():
            finish(copy_project(shared / "unfinished" / "project"), folder)
    return folder


def finish(project: Path, folder: Path) -> None:
    """Run it under its final path, since MLflow keeps absolute ones; a failed run leaves nothing there."""
    folder.parent.mkdir(exist_ok=True)
    project.rename(folder)
    for command in (
        ("kedro", "run", "--pipelines", "sample_data", "--params", f"sample_data.rows={SAMPLE_ROWS}"),
        ("kedro", "run", "--params", QUICK),
    ):
        done = run_command(folder, *command)
        if done.returncode:
            folder.rename(project)
        assert done.returncode == 0, f"{' '.join(command)} failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
