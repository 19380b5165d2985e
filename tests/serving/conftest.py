"""A project with features and champions, and the app on it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.projects import ROOT, copy_project
from tests.serving.servers import START_SECONDS, Server, serve


def build(project: Path, *arguments: str) -> None:
    """Run tests.serving.build in a process of its own: it imports MLflow and Feast."""
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("KEDRO_", "MLFLOW_", "CHURN_", "COV_", "PROMETHEUS_"))
    }
    line = [sys.executable, "-m", "tests.serving.build", str(project), *arguments]
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def edit(path: Path, **changes: object) -> None:
    """Change entries of a YAML file of parameters, below its one top key where it has one."""
    content = yaml.safe_load(path.read_text())
    (content["serving"] if set(content) == {"serving"} else content).update(changes)
    path.write_text(yaml.safe_dump(content))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project that every test copies: a derived feature, customers online, two model versions, the first champion."""
    project = copy_project(tmp_path_factory.mktemp("serving") / "project")
    declaration = project / "conf" / "base" / "parameters" / "customers.yml"
    content = yaml.safe_load(declaration.read_text())
    content["customers"]["derived"] = {"charges_per_month": "TotalCharges / greatest(tenure, 1)"}
    declaration.write_text(yaml.safe_dump(content, sort_keys=False))
    edit(project / "conf" / "base" / "parameters" / "serving.yml", champion_timeout=START_SECONDS)  # a busy machine imports slowly
    build(project)
    with serve(project):  # fetches the champion once for all
        pass
    return project


def copy_built(built: Path, folder: Path) -> Path:
    """A copy to change. MLflow's artifact paths are absolute: the copy reads the original's."""
    shutil.copytree(built, folder, symlinks=True)
    return folder


@pytest.fixture
def project(built: Path, tmp_path: Path) -> Path:
    """A copy of the built project, with the champion fetched."""
    return copy_built(built, tmp_path / "project")


@pytest.fixture(scope="session")
def server(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One app on SQLite for every test that only asks."""
    with serve(copy_built(built, tmp_path_factory.mktemp("shared") / "project")) as running:
        yield running
