"""From the first push to a rollback, as the workflows would do it: their own steps, real training on the services of the stack, a
real API.

Not real: GitHub (expressions and files are evaluated by tests/workflows), the actions and `gh` (local equivalents in
repository.py), and Docker, whose stand-in starts uvicorn in place of a container.
"""

import io
import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from churn.io.models import registry
from tests.services.mlflow_server import MlflowServer, start_server
from tests.services.postgres import Postgres
from tests.services.processes import shared
from tests.services.redis import Redis
from tests.services.s3 import S3
from tests.services.stack import PREDICT_KEY, stack_environment
from tests.workflows.github_standin import GitHub, github_api
from tests.workflows.repository import Repository

WEAK, WEAKER, GOOD = 0.95, 0.97, 0.2
"""Shares of the customers that are tested: what a model learns from is the rest."""
STEPS = ("A sample of the raw table keeps its contract", "The raw table", "Contract", "Train, evaluate, decide")


class Story(Repository):
    """A repository whose runner lives in the stack, and whose registry nobody else uses."""

    def __init__(self, folder: Path, s3: S3, mlflow: MlflowServer, settings: dict[str, str]) -> None:
        super().__init__(folder, {**settings, "KEDRO_ENV": "stack"})
        self.s3, self.mlflow, self.bucket = s3, mlflow, settings["CHURN_BUCKET"]
        (self.root / ".git" / "info" / "exclude").write_text("conf/stack/parameters.yml\n")

    def train_with(self, test_share: float, policy: str = "auto") -> None:
        """Settings of this machine: they are in no commit and in no image."""
        base = self.root / "conf" / "base" / "parameters"
        processing, evaluation = (yaml.safe_load((base / f"{name}.yml").read_text()) for name in ("data_processing", "evaluation"))
        processing["data_processing"]["split"]["test_share"] = test_share
        evaluation["evaluation"]["gate"].update(policy=policy, calibration_tolerance=0.1)  # a small table: the gain decides
        (self.root / "conf" / "stack" / "parameters.yml").write_text(yaml.safe_dump({**processing, **evaluation}))

    def aliases(self) -> dict[str, str]:
        registry.connect(self.mlflow.uri)
        return registry.aliases()

    def stored(self, key: str) -> bytes:
        """An object of the stack's storage."""
        return bytes(self.s3.client().get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def ask(self, path: str, body: Any) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json", "X-API-Key": PREDICT_KEY}
        request = urllib.request.Request(f"{self.address}{path}", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, redis: Redis, s3: S3) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("story")
    with shared(folder, "mlflow", lambda: start_server(postgres, s3, folder)) as state:
        server = MlflowServer(state["uri"], state["bucket"])
        found = Story(folder, s3, server, stack_environment(postgres, redis, s3, server))
        yield found
        found.stop()


def test_1_the_first_push_promotes_and_deploys_the_first_champion(repository: Story) -> None:
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
    assert f"API_IMAGE=churn-api:{head(repository)}" in (repository.root / ".env").read_text(), "the next start is of this image"
    assert "Version 1 serves: churn probability" in jobs["deploy/deploy"].summary
    assert [given["image"] for action, given in repository.runner.used if action.startswith("anchore/")] == [
        f"churn-api:{head(repository)}"
    ] * 2
    tags = json.loads((repository.state / "state.json").read_text())["tags"]
    assert tags[f"churn-api:{head(repository)}"] == repository.container()["image"]
    assert f"churn-api:{repository.container()['image'].replace(':', '-')}" in tags


def head(repository: Story) -> str:
    return repository.git("rev-parse", "HEAD")


def test_2_a_worse_model_is_refused_with_the_numbers_and_that_is_success(repository: Story) -> None:
    repository.train_with(WEAKER)
    jobs = repository.push("training.yaml")
    assert (jobs["train"].result, jobs["deploy"].result) == ("success", "skipped"), repository.why()
    assert jobs["train"].outputs == {"outcome": "rejected", "version": "2"}
    assert "| **failed** | log_loss_gain |" in jobs["train"].summary
    assert "| challenger better by |" in jobs["train"].summary
    assert (repository.aliases(), repository.served()) == ({"Champion": "1", "Staging": "2"}, "1")


def test_3_a_better_model_waits_for_approval_and_the_running_api_serves_it(repository: Story) -> None:
    before = repository.container()
    repository.train_with(GOOD, policy="approve")
    repository.runner.variables["CHURN_APPROVAL"] = "environment"
    jobs = repository.push("training.yaml")
    assert jobs["train"].outputs == {"outcome": "awaiting-approval", "version": "3"}, repository.why()
    assert "churn promote 3" in jobs["train"].log
    assert (jobs["approve"].result, jobs["deploy"].result) == ("success", "success"), repository.why()
    assert "approved on GitHub" in repository.churn("lineage", "3")
    steps = jobs["deploy/deploy"].steps
    assert (steps["Restart with the new image"], steps["It serves the version, and predicts"]) == ("skipped", "success")
    assert repository.container() == before  # a plain promotion restarts nothing
    assert (repository.aliases(), repository.served()) == ({"Champion": "3", "Previous": "1", "Staging": "3"}, "3")


def test_4_a_rollback_returns_under_load_without_a_failed_request(repository: Story) -> None:
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


def ask(repository: Story, answers: list[tuple[int, str]], done: threading.Event) -> None:
    customer = pd.read_parquet(io.BytesIO(repository.stored("reports/predictions.parquet")))["customer_id"].iloc[0]
    while not done.is_set():
        try:
            status, answer = repository.ask("/predict", {"customer_id": customer})
            answers.append((status, answer["model"]["version"]))
        except OSError as error:
            answers.append((getattr(error, "code", 0), str(error)))


def wait_for(fact, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_5_a_deployment_that_does_not_serve_goes_back_to_the_image_and_champion_before(repository: Story) -> None:
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
    assert f"API_IMAGE=churn-api:{before.replace(':', '-')}" in (repository.root / ".env").read_text()
    assert (repository.aliases()["Champion"], repository.served()) == ("1", "1")
    assert "its deployment failed" in repository.churn("lineage", "3")


def test_6_another_branch_deploys_nothing(repository: Story) -> None:
    assert repository.push("deploy.yaml", branch="dev")["deploy"].result == "skipped"


def test_7_changed_customers_open_an_issue_and_start_a_training(repository: Story) -> None:
    features = pd.read_parquet(io.BytesIO(repository.stored("features/customer_features.parquet")))
    changed = features.loc[features["Contract"] == "Month-to-month", "customer_id"].tolist()[:300]
    assert repository.ask("/predict/batch", {"customer_ids": changed})[0] == 200
    monitoring = yaml.safe_load((repository.root / "conf" / "base" / "parameters" / "monitoring.yml").read_text())["monitoring"]
    repository.edit("monitoring", window={**monitoring["window"], "rows": 300}, drift={**monitoring["drift"], "retrain_after": 1})
    with github_api() as address:
        repository.runner.environment |= {"GITHUB_API_URL": address, "GITHUB_REPOSITORY": "owner/churn"}
        jobs = repository.happens("monitoring.yaml", {"event_name": "schedule", "event": {}})
    assert {name: job.result for name, job in jobs.items()} == dict.fromkeys(("monitor", "report", "retrain"), "success"), repository.why()
    title = "Monitoring: the champion needs attention"
    assert jobs["monitor"].outputs == {"status": "alert", "retrain": "true", "title": title}
    assert "Contract" in jobs["monitor"].summary
    assert GitHub.asked == [("/repos/owner/churn/actions/workflows/training.yaml/runs?per_page=100", "Bearer a-token")]
    listed, created, dispatched = repository.asked_of_github()
    assert listed.startswith("issue list --state open")
    assert created == f"issue create --title {title} --body-file issue.md"
    assert dispatched == "workflow run training.yaml --field reason=drift"


def test_8_a_broken_version_of_the_table_is_found_in_its_sample(repository: Story, s3: S3) -> None:
    versions = repository.root / ".dvc" / "config"
    versions.write_text(versions.read_text().replace("s3://dvc", f"s3://{s3.bucket('dvc')}"))
    good, table = repository.stored("raw/churn.csv"), repository.root / "data" / "raw" / "churn.csv"
    table.write_bytes(good.replace(b"Month-to-month", b"Weekly"))
    repository.command(str(repository.root / "docker" / "data.sh"), "push")
    repository.commit("Customers of June")
    jobs = repository.push("training.yaml")
    assert (jobs["train"].result, jobs["deploy"].result) == ("failure", "skipped")
    assert [jobs["train"].steps[name] for name in STEPS] == ["failure", "skipped", "skipped", "skipped"]
    assert "Weekly" in jobs["train"].log
    assert repository.stored("raw/churn.csv") == good, "the table of production is as it was"

    table.write_bytes(good + good.splitlines(keepends=True)[-1].replace(good.splitlines()[-1].split(b",")[0], b"a-new-customer"))
    repository.command(str(repository.root / "docker" / "data.sh"), "push")
    repository.command("python", "-m", "churn.automation", "table", "--sample")
    repository.command("python", "-m", "churn.automation", "table")
    assert repository.stored("raw/churn.csv") == table.read_bytes(), "DVC's version is the table of production"


def test_9_a_broken_contract_is_a_failure_and_trains_nothing(repository: Story) -> None:
    broken = repository.stored("raw/churn.csv").replace(b"Month-to-month", b"Weekly")
    for pointer in (repository.root / "data" / "raw").glob("*.dvc"):
        pointer.unlink()
    repository.s3.client().put_object(Bucket=repository.bucket, Key="raw/churn.csv", Body=broken)
    jobs = repository.push("training.yaml", reason="drift")
    assert (jobs["train"].result, jobs["deploy"].result) == ("failure", "skipped")
    assert [jobs["train"].steps[name] for name in STEPS] == ["success", "success", "failure", "skipped"]
    assert "Weekly" in jobs["train"].log
    assert repository.aliases() == {"Champion": "1", "Previous": "3", "Staging": "3"}
