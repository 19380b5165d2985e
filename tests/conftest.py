"""Fixtures for every layer: the real tables, a copy of the project, and one that has run."""

import os
from pathlib import Path

import pytest

from tests.projects import QUICK, ROOT, SAMPLE_ROWS, copy_project, run_command


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
def finished_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which the sample table was written and `kedro run` has run: look, do not change."""
    folder = copy_project(tmp_path_factory.mktemp("finished") / "project")
    for command in (
        ("kedro", "run", "--pipelines", "sample_data", "--params", f"sample_data.rows={SAMPLE_ROWS}"),
        ("kedro", "run", "--params", QUICK),
    ):
        done = run_command(folder, *command)
        assert done.returncode == 0, f"{' '.join(command)} failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return folder
