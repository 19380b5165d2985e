"""The champion from a real MLflow server over HTTP: looked up, downloaded, and done without when it is down."""

import contextlib
import os
import shutil
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from churn import config
from churn.io.models.registry import CHAMPION, MODEL_NAME, MODEL_SHA256
from serving.champion import registry_poll
from tests.services.processes import end, free_port, start, wait_until
from tests.serving import build
from tests.serving.conftest import copy_built, edit
from tests.serving.servers import serve


@contextlib.contextmanager
def mlflow_server(folder: Path, port: int) -> Iterator[str]:
    """`mlflow server` on SQLite, handing artifacts through; its address."""
    folder.mkdir(exist_ok=True)
    uri = f"http://127.0.0.1:{port}"
    stores = ("--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", str(folder / "artifacts"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "KEDRO_", "CHURN_", "COV_"))}
    process = start(
        [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", *stores],
        folder / "server.log",
        env={**kept, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
    )
    try:
        wait_until(lambda: urllib.request.urlopen(f"{uri}/version", timeout=20).status == 200, process, folder / "server.log")
        yield uri
    finally:
        end(process.pid)


@pytest.fixture(scope="module")
def project(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with a registry over HTTP, no champion fetched yet and none of the embedded registry's files."""
    project = copy_built(built, tmp_path_factory.mktemp("registry") / "project")
    shutil.rmtree(project / "data" / "serving")
    shutil.rmtree(project / "data" / "mlflow")
    edit(project / "conf" / "base" / "parameters" / "serving.yml", champion_interval=0.2)
    return project


def register(project: Path, uri: str) -> None:
    """Two versions over HTTP, none of them champion."""
    import mlflow

    from churn.io.models import registration, registry

    declaration = config.load(project).declaration
    rows = build.table(declaration)
    registry.connect(uri)
    mlflow.set_experiment("churn")
    for seed in (1, 2):
        with mlflow.start_run():
            registration.register(registration.Candidate(build.model(declaration, rows, seed), {"git_sha": "test"}))


def test_the_champion_comes_over_http_and_its_server_may_go(project: Path, tmp_path: Path):
    from mlflow import MlflowClient

    port = free_port()
    with mlflow_server(tmp_path / "mlflow", port) as uri:
        edit(project / "conf" / "base" / "globals.yml", tracking_uri=uri)
        client = MlflowClient(uri)
        assert registry_poll.registered_champion(uri) is None
        register(project, uri)
        assert registry_poll.registered_champion(uri) is None
        with serve(project, ready=False) as server:
            server.wait_for(lambda one: "no model has been promoted" in one.health()["problems"].get("champion", ""), "says there is none")
            assert server.get("/health/ready").status == 503
            for version in ("1", "2"):
                client.set_registered_model_alias(MODEL_NAME, CHAMPION, version)
                server.wait_for(lambda one, version=version: one.health()["model_version"] == version, f"version {version} serves")
                tags = client.get_model_version_by_alias(MODEL_NAME, CHAMPION).tags
                assert registry_poll.registered_champion(uri) == (version, tags[MODEL_SHA256])
                assert (project / "data" / "serving" / "champions" / tags[MODEL_SHA256] / "model.ubj").is_file()
            assert server.predict("c-0007").json["model"]["version"] == "2"
            assert server.health()["status"] == "ready"
    with pytest.raises(registry_poll.UnreachableError):
        registry_poll.registered_champion(uri)
    with serve(project) as server:
        assert (server.health()["status"], server.health()["model_version"]) == ("degraded", "2")
        assert "registry" in server.health()["problems"]
        assert server.predict("c-0007").json["model"]["version"] == "2"
        assert server.post("/admin/reload").status == 503
        with mlflow_server(tmp_path / "mlflow", port):
            server.wait_for(lambda one: one.health()["status"] == "ready", "ready again")
            assert server.post("/admin/reload").json["version"] == "2"
        server.wait_for(lambda one: one.health()["status"] == "degraded", "degraded again")
        assert server.predict("c-0007").status == 200
