"""From the first push to a rollback, as the workflows would do it: their own steps, real training, a real API.

Not real: GitHub (expressions and files are evaluated by tests/workflows), the actions (local equivalents below), and Docker,
whose stand-in starts uvicorn in place of a container.
"""

import contextlib
import json
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from churn.io.models import registry
from tests.projects import BIN, ROOT, copy_project
from tests.services.processes import free_port
from tests.workflows import docker_standin
from tests.workflows.runner import Job, Runner, own_environment

ROWS = 3000
SEARCH = {"trials": 4, "folds": 2, "members": 1}
WEAK, WEAKER, GOOD = 0.95, 0.97, 0.2
"""Shares of the customers that are tested: what a model learns from is the rest."""
READY_SECONDS = 300


class Repository:
    """A repository with a runner, a stand-in for Docker, and training settings to change."""

    def __init__(self, folder: Path) -> None:
        self.root, self.state, self.port = copy_project(folder / "project"), folder / "docker", free_port()
        for name in (".github", "docker", "serving"):
            shutil.copytree(ROOT / name, self.root / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in (".env.example", ".gitignore", "requirements-serving.txt", "requirements-dev.txt"):
            shutil.copy(ROOT / name, self.root / name)
        (folder / "bin").mkdir()
        (folder / "work").mkdir()
        self.state.mkdir()
        standin = folder / "bin" / "docker"
        standin.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{docker_standin.__file__}" "$@"\n')
        standin.chmod(0o755)
        variables = {"DOCKER_STANDIN": str(self.state), "API_PORT": str(self.port), "API_CODE": str(ROOT)}
        self.runner = Runner(
            self.root,
            folder / "work",
            {**own_environment(folder / "bin"), **variables},
            {
                "actions/checkout": lambda _: None,  # the repository lies there already
                "./.github/actions/environment": lambda _: self.environment(),
                "actions/upload-artifact": lambda _: None,
                "anchore/sbom-action": lambda _: None,
                "anchore/scan-action": lambda _: None,
            },
            {"CHURN_DEPLOY_RUNNER": "here", "CHURN_API_URL": self.address},
        )
        self.edit("sample_data", rows=ROWS)
        self.edit("serving", champion_interval=0.5)
        self.edit("automation", ready_seconds=READY_SECONDS)
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit("The project")

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self) -> None:
        """In place of `make install`: the environment that the tests run in."""
        if not (self.root / ".venv").exists():
            (self.root / ".venv").symlink_to(BIN.parent)

    def edit(self, name: str, **changes: Any) -> None:
        path = self.root / "conf" / "base" / "parameters" / f"{name}.yml"
        content = yaml.safe_load(path.read_text())
        content[name].update(changes)
        path.write_text(yaml.safe_dump(content))

    def train_with(self, test_share: float, policy: str = "auto") -> None:
        """Settings of this machine: they are in no commit and in no image."""
        base = self.root / "conf" / "base" / "parameters"
        processing, training, evaluation = (
            yaml.safe_load((base / f"{name}.yml").read_text()) for name in ("data_processing", "training", "evaluation")
        )
        processing["data_processing"]["split"]["test_share"] = test_share
        training["training"]["budgets"]["default"].update(SEARCH)
        evaluation["evaluation"]["gate"].update(policy=policy, calibration_tolerance=0.1)  # a small table: the gain decides
        (self.root / "conf" / "local" / "parameters.yml").write_text(yaml.safe_dump({**processing, **training, **evaluation}))

    def git(self, *arguments: str) -> str:
        names = ["-c", "user.name=A Maintainer", "-c", "user.email=maintainer@example.org"]
        done = subprocess.run(["git", *names, *arguments], cwd=self.root, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)

    def push(self, workflow: str, **inputs: str) -> dict[str, Job]:
        found = self.runner.run(workflow, {"event_name": "push", "event": {}, "sha": self.git("rev-parse", "HEAD")}, inputs)
        logs = "\n".join(f"# {name}: {job.result}\n{job.log[-6000:]}" for name, job in found.items())
        (self.state / "last.log").write_text(logs)
        return found

    def churn(self, *arguments: str) -> str:
        line = [str(BIN / "churn"), *arguments]
        done = subprocess.run(line, cwd=self.root, env=self.runner.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def aliases(self) -> dict[str, str]:
        registry.connect(f"sqlite:///{self.root}/data/mlflow/mlflow.db")
        return registry.aliases()

    def served(self) -> str:
        with urllib.request.urlopen(f"{self.address}/health/ready", timeout=30) as answer:
            return json.load(answer)["model_version"]

    def container(self) -> dict[str, Any]:
        return json.loads((self.state / "state.json").read_text())["container"]

    def why(self) -> str:
        return (self.state / "last.log").read_text()

    def stop(self) -> None:
        with contextlib.suppress(FileNotFoundError, TypeError):
            docker_standin.stop(self.container()["pid"])


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory):
    found = Repository(tmp_path_factory.mktemp("story"))
    yield found
    found.stop()


def test_1_the_first_push_promotes_and_deploys_the_first_champion(repository: Repository) -> None:
    repository.train_with(WEAK)
    jobs = repository.push("training.yaml")
    assert {name: job.result for name, job in jobs.items()} == {
        "train": "success",
        "approve": "skipped",
        "deploy": "success",
        "deploy/deploy": "success",
        "compare": "skipped",
        "comment": "skipped",
    }, repository.why()
    assert jobs["train"].outputs == {"outcome": "promoted", "version": "1"}
    assert "## Model version 1 is the champion" in jobs["train"].summary
    assert "| passed | minimum_roc_auc_low |" in jobs["train"].summary
    assert repository.served() == "1"
    steps = jobs["deploy/deploy"].steps
    assert (steps["Restart with the new image"], steps["Go back to the image and champion before"]) == ("success", "skipped")
    assert "Version 1 serves: churn probability" in jobs["deploy/deploy"].summary
    assert [given["image"] for action, given in repository.runner.used if action.startswith("anchore/")] == [
        f"churn-api:{head(repository)}"
    ] * 2
    tags = json.loads((repository.state / "state.json").read_text())["tags"]
    assert tags[f"churn-api:{head(repository)}"] == repository.container()["image"]
    assert f"churn-api:{repository.container()['image'].replace(':', '-')}" in tags


def head(repository: Repository) -> str:
    return repository.git("rev-parse", "HEAD")


def test_2_a_worse_model_is_refused_with_the_numbers_and_that_is_success(repository: Repository) -> None:
    repository.train_with(WEAKER)
    jobs = repository.push("training.yaml")
    assert (jobs["train"].result, jobs["deploy"].result) == ("success", "skipped"), repository.why()
    assert jobs["train"].outputs == {"outcome": "rejected", "version": "2"}
    assert "| **failed** | log_loss_gain |" in jobs["train"].summary
    assert "| challenger better by |" in jobs["train"].summary
    assert (repository.aliases(), repository.served()) == ({"Champion": "1", "Staging": "2"}, "1")


def test_3_a_better_model_waits_for_approval_and_the_running_api_serves_it(repository: Repository) -> None:
    before = repository.container()
    repository.train_with(GOOD, policy="approve")
    jobs = repository.push("training.yaml")
    assert jobs["train"].outputs == {"outcome": "awaiting-approval", "version": "3"}, repository.why()
    assert "churn promote 3" in jobs["train"].log
    assert (jobs["approve"].result, jobs["deploy"].result) == ("success", "success"), repository.why()
    assert "approved on GitHub" in repository.churn("lineage", "3")
    steps = jobs["deploy/deploy"].steps
    assert (steps["Restart with the new image"], steps["It serves the version, and predicts"]) == ("skipped", "success")
    assert repository.container() == before  # a plain promotion restarts nothing
    assert (repository.aliases(), repository.served()) == ({"Champion": "3", "Previous": "1", "Staging": "3"}, "3")


def test_4_a_rollback_returns_under_load_without_a_failed_request(repository: Repository) -> None:
    answers: list[tuple[int, str]] = []
    done = threading.Event()
    load = threading.Thread(target=ask, args=(repository, answers, done))
    load.start()
    try:
        wait_for(lambda: len(answers) > 20)
        repository.churn("rollback", "--reason", "the story wants it")
        wait_for(lambda: answers[-1][1] == "1")
    finally:
        done.set()
        load.join()
    assert {status for status, _ in answers} == {200}
    assert [version for version, _ in zip([v for _, v in answers], answers, strict=True) if version not in ("1", "3")] == []
    assert repository.aliases()["Champion"] == "1"


def ask(repository: Repository, answers: list[tuple[int, str]], done: threading.Event) -> None:
    customer = customers(repository)
    while not done.is_set():
        body = json.dumps({"customer_id": customer}).encode()
        request = urllib.request.Request(f"{repository.address}/predict", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                answers.append((answer.status, json.load(answer)["model"]["version"]))
        except OSError as error:
            answers.append((getattr(error, "code", 0), str(error)))


def customers(repository: Repository) -> str:
    import pandas as pd

    return str(pd.read_parquet(repository.root / "data" / "reports" / "predictions.parquet")["customer_id"].iloc[0])


def wait_for(fact, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_5_a_deployment_that_does_not_serve_goes_back_to_the_image_and_champion_before(repository: Repository) -> None:
    before = repository.container()["image"]
    repository.churn("promote", "3")
    (repository.root / "broken").touch()
    with (repository.root / "serving" / "app.py").open("a") as code:
        code.write("# changed\n")
    repository.edit("automation", ready_seconds=5)
    repository.commit("A change of serving code that does not work")
    jobs = repository.push("deploy.yaml", version="3")
    assert jobs["deploy"].result == "failure", repository.why()
    assert jobs["deploy"].steps["It serves the version, and predicts"] == "failure"
    assert jobs["deploy"].steps["Go back to the image and champion before"] == "success", repository.why()
    assert repository.container()["image"] == before
    assert (repository.aliases()["Champion"], repository.served()) == ("1", "1")
    assert "its deployment failed" in repository.churn("lineage", "3")


def test_6_a_broken_contract_is_a_failure_and_trains_nothing(repository: Repository) -> None:
    table = repository.root / "data" / "raw" / "churn.csv"
    table.write_text(table.read_text().replace("Month-to-month", "Weekly"))
    jobs = repository.push("training.yaml")
    assert (jobs["train"].result, jobs["deploy"].result) == ("failure", "skipped")
    assert (jobs["train"].steps["Contract"], jobs["train"].steps["Train, evaluate, decide"]) == ("failure", "skipped")
    assert "Weekly" in jobs["train"].log
    assert repository.aliases() == {"Champion": "1", "Previous": "3", "Staging": "3"}
