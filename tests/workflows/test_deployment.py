"""Whether a new image is needed, and whether what runs serves."""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
import yaml

from churn import config
from churn.automation import deployment
from churn.automation.deployment import build_arguments, image_needed, image_sources, require, restart, smoke_test, wait_until_ready
from churn.core.errors import ChurnError
from tests.projects import ROOT, copy_project


def git(folder: Path, *arguments: str) -> str:
    line = ["git", "-c", "user.name=A Maintainer", "-c", "user.email=maintainer@example.org", *arguments]
    return subprocess.run(line, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Some of what the image holds, and something that it does not hold."""
    for name in (
        "serving/app.py",
        "src/churn/core/modelling/model.py",
        "src/churn/pipelines/training/nodes.py",
        "docs/api.md",
        "conf/base/globals.yml",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("one\n")
    (tmp_path / "docker").mkdir()
    shutil.copy(ROOT / "docker" / "api.Dockerfile", tmp_path / "docker")
    for name in (".env.example", ".dockerignore"):
        shutil.copy(ROOT / name, tmp_path)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "needed"),
    [
        ("serving/app.py", True),
        ("src/churn/core/modelling/model.py", True),
        ("conf/base/globals.yml", True),
        ("docker/api.Dockerfile", True),
        (".env.example", True),
        (".dockerignore", True),
        ("src/churn/pipelines/training/nodes.py", False),
        ("docs/api.md", False),
    ],
)
def test_an_image_is_needed_if_something_in_it_has_changed(repository: Path, changed: str, needed: bool) -> None:
    before = git(repository, "rev-parse", "HEAD")
    assert not image_needed(repository, before)
    with (repository / changed).open("a") as file:
        file.write("# two\n")
    git(repository, "commit", "--quiet", "--all", "--message", "two")
    assert image_needed(repository, before) is needed


@pytest.mark.parametrize("commit", [None, "", "0" * 40, "no-commit"])
def test_an_image_of_an_unknown_commit_is_replaced(repository: Path, commit: str | None) -> None:
    assert image_needed(repository, commit)


def test_the_dockerfile_says_what_an_image_holds() -> None:
    found = image_sources(ROOT)
    assert {"conf/", "feature_repo/", "src/churn/", "serving/", "requirements-serving.txt", "docker/api.Dockerfile"} <= set(found)
    assert [name for name in found if not (ROOT / name).exists()] == []


def test_a_push_that_changes_the_image_starts_the_deployment() -> None:
    paths = yaml.load((ROOT / ".github/workflows/deploy.yaml").read_text(), yaml.BaseLoader)["on"]["push"]["paths"]
    assert [name for name in image_sources(ROOT) if not {name, f"{name}**"} & set(paths)] == []


def test_an_image_is_built_as_the_commit_pins_and_the_installation_chooses(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = build_arguments(repository)
    assert "@sha256:" in pinned["PYTHON_IMAGE"]
    assert pinned["API_REQUIREMENTS"] == "requirements-serving.txt"
    (repository / "elsewhere.env").write_text("PYTHON_IMAGE=another\nAPI_REQUIREMENTS=requirements-page.txt\n")
    monkeypatch.setenv("COMPOSE_ENV_FILES", "/first.env,elsewhere.env")
    assert build_arguments(repository) == {**pinned, "API_REQUIREMENTS": "requirements-page.txt"}
    assert "requirements-page.txt" in image_sources(repository)


def test_a_deployed_image_stays_when_the_composition_is_started_again(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []
    monkeypatch.setattr(deployment, "_docker", lambda root, *line, image=None: asked.append(image))
    with pytest.raises(ChurnError, match="COMPOSE_ENV_FILES"):
        restart(repository, "churn-api:new")
    assert asked == []
    file = repository / ".env"
    for text in ("# mine\nAPI_IMAGE=churn-api:local\nAPI_PORT=8000\n", "# mine\nAPI_PORT=8000\n"):
        file.write_text(text)
        restart(repository, "churn-api:new")
        assert sorted(file.read_text().splitlines()) == ["# mine", "API_IMAGE=churn-api:new", "API_PORT=8000"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert asked == ["churn-api:new"] * 2


def test_what_a_deployment_lacks_is_said_before_anything_is_restarted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = copy_project(tmp_path / "project")
    monkeypatch.delenv("CHURN_API_KEYS", raising=False)
    with pytest.raises(ChurnError, match="COMPOSE_ENV_FILES"):
        require(config.load(project))
    (project / ".env").write_text("")
    with pytest.raises(ChurnError, match=r"predictions\.parquet, so nobody to ask .* set KEDRO_ENV"):
        require(config.load(project))
    globals_file = project / "conf" / "local" / "globals.yml"
    globals_file.write_text("api_key: required\n")
    config._load.cache_clear()
    with pytest.raises(ChurnError, match="CHURN_API_KEYS has none for predictions"):
        require(config.load(project))


class Api(BaseHTTPRequestHandler):
    """An API that answers what the test says."""

    health: tuple[int, dict] = (200, {})
    prediction: tuple[int, dict] = (200, {})
    keys: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        self.answer(*type(self).health)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        type(self).keys.append(self.headers["X-API-Key"])
        self.answer(*type(self).prediction)

    def answer(self, status: int, content: dict) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def api() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_ready_means_ready_with_the_version(api: str) -> None:
    Api.health = (200, {"status": "ready", "model_version": "7", "problems": {}})
    assert wait_until_ready(api, "7", 60) == wait_until_ready(api, None, 60) == "7"
    with pytest.raises(ChurnError, match=r"not ready with version 8 within .* it is ready with version 7"):
        wait_until_ready(api, "8", 0.1)
    Api.health = (503, {"status": "unready", "model_version": "7", "problems": {"features": "the store is silent"}})
    with pytest.raises(ChurnError, match="the store is silent"):
        wait_until_ready(api, "7", 0.1)
    with pytest.raises(ChurnError, match="refused"):
        wait_until_ready("http://127.0.0.1:9", None, 0.1)


def test_a_prediction_is_a_probability_by_the_version(api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHURN_API_KEYS", "admin:another-secret-key,predict:a-secret-of-the-tests")
    good = {"churn_probability": 0.25, "customer_id": "c", "model": {"version": "7"}}
    Api.prediction = (200, good)
    assert smoke_test(api, "c", "7") == good
    assert Api.keys[-1] == "a-secret-of-the-tests"
    monkeypatch.setenv("CHURN_API_KEYS", f"predict:sha256={'0' * 64}, predict:a-later-key")
    smoke_test(api, "c", "7")
    assert Api.keys[-1] == "a-later-key", "the API knows keys by their hash alone, which nobody can send"
    for bad in ({**good, "churn_probability": 1.5}, {**good, "model": {"version": "6"}}):
        Api.prediction = (200, bad)
        with pytest.raises(ChurnError, match="not a probability by version 7"):
            smoke_test(api, "c", "7")
    Api.prediction = (503, {})
    with pytest.raises(ChurnError, match="does not predict: it answered 503"):
        smoke_test(api, "c", "7")
