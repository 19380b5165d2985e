"""The workflows are valid, hardened, and name what is there."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.projects import BIN, ROOT

FOLDER = ROOT / ".github"
WORKFLOWS = sorted((FOLDER / "workflows").glob("*.yaml"))
ACTIONS = sorted((FOLDER / "actions").glob("*/action.yaml"))
NAMES = {"ci", "training", "deploy", "monitoring", "races"}


def parsed(path: Path) -> dict[str, Any]:
    return yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)


JOBS = [(path.stem, name, job) for path in WORKFLOWS for name, job in parsed(path)["jobs"].items()]
STEPS = [(f"{workflow}/{name}", step) for workflow, name, job in JOBS for step in job.get("steps", [])]


def run(*line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_workflows_are_there():
    assert {path.stem for path in WORKFLOWS} == NAMES


def test_they_fit_the_schema():
    for kind, files in (("workflows", WORKFLOWS), ("actions", ACTIONS)):
        done = run(str(BIN / "check-jsonschema"), "--builtin-schema", f"vendor.github-{kind}", *map(str, files))
        assert done.returncode == 0, done.stdout + done.stderr


def test_zizmor_finds_nothing():
    done = run(str(BIN / "zizmor"), "--offline", "--no-progress", str(FOLDER))
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_finds_nothing():
    program = shutil.which("actionlint")
    if program is None:
        advice = "no actionlint on the PATH: go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
        pytest.fail(advice) if os.environ.get("REQUIRE_ACTIONLINT") else pytest.skip(advice)
    done = run(program, "-shellcheck=", "-pyflakes=", *map(str, WORKFLOWS))
    assert done.returncode == 0, done.stdout + done.stderr


def test_shellcheck_finds_nothing(tmp_path):
    for number, (_, step) in enumerate(entry for entry in STEPS if "run" in entry[1]):
        (tmp_path / f"{number}.sh").write_text("#!/bin/bash\nset -eo pipefail\n" + step["run"] + "\n")
    done = run(str(BIN / "shellcheck"), *map(str, tmp_path.glob("*.sh")))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_nothing_is_permitted_that_a_job_does_not_name(path):
    found = parsed(path)
    assert found["permissions"] == {}
    for name, job in found["jobs"].items():
        assert "permissions" in job or name == "all-green", name
        assert job.get("permissions") not in ("write-all", "read-all")
        assert "timeout-minutes" in job or "uses" in job, name


def test_what_may_be_written_and_where():
    rights = [(f"{workflow}/{name}", *right) for workflow, name, job in JOBS for right in job.get("permissions", {}).items()]
    written = {where: what for where, what, level in rights if level == "write"}
    assert written == {"training/comment": "pull-requests", "monitoring/report": "issues", "monitoring/retrain": "actions"}


def test_actions_are_pinned_by_commit_with_the_version_beside_it():
    lines = [line.strip() for path in (*WORKFLOWS, *ACTIONS) for line in path.read_text().splitlines() if "uses:" in line]
    foreign = [line for line in lines if "uses: ./" not in line]
    assert foreign
    assert [line for line in foreign if not re.search(r"uses: [\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line)] == []
    pins = {line.split("uses: ")[1] for line in foreign}
    assert len(pins) == len({pin.split("@")[0] for pin in pins})  # one version of each


def test_a_checkout_keeps_no_credentials():
    found = [step for _, step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    assert found
    assert all(step["with"]["persist-credentials"] == "false" for step in found)


def test_no_expression_reaches_a_shell():
    assert [name for name, step in STEPS if "${{" in step.get("run", "")] == []


def test_no_secret_is_asked_of_github():
    assert [path.name for path in WORKFLOWS if "secrets." in path.read_text()] == []


def test_promotions_wait_their_turn_and_are_never_cancelled():
    training = parsed(FOLDER / "workflows" / "training.yaml")["jobs"]
    assert training["train"]["concurrency"] == {"group": "promotion", "cancel-in-progress": "false", "queue": "max"}
    assert "concurrency" not in training["approve"]  # who waits for a person must not hold up trainings: the lease orders the moves


def test_nobody_is_asked_for_approval_by_an_environment_without_reviewers():
    assert "vars.CHURN_APPROVAL == 'environment'" in parsed(FOLDER / "workflows" / "training.yaml")["jobs"]["approve"]["if"]


def test_a_self_hosted_runner_has_what_its_jobs_call():
    """What actions/runner's image has, and what docker/runner.Dockerfile adds (the runner that deploys is a machine of its own)."""
    (added,) = re.findall(r"--no-install-recommends ([\w ]+)", (ROOT / "docker/runner.Dockerfile").read_text())
    has = {"curl", "jq", "git", "cat", "date", *added.split()}
    own = [step for _, _, job in JOBS if "vars.CHURN_RUNNER" in job.get("runs-on", "") for step in job["steps"]]
    own += [step for path in ACTIONS for step in parsed(path)["runs"]["steps"]]
    lines = [line for step in own for line in step.get("run", "").replace("\\\n", "").splitlines()]
    assert "make install" in lines
    assert {line.split()[0] for line in lines if not line.startswith(".venv/bin/")} <= has


def test_pull_requests_use_hosted_machines_and_move_no_alias():
    for name in ("compare", "comment"):
        job = parsed(FOLDER / "workflows" / "training.yaml")["jobs"][name]
        assert job["runs-on"] == "ubuntu-latest"
        commands = "\n".join(step.get("run", "") for step in job["steps"])
        assert "churn promote" not in commands
    compare = parsed(FOLDER / "workflows" / "training.yaml")["jobs"]["compare"]
    assert compare["env"] == {"KEDRO_ENV": "base"}  # embedded: a registry that goes with the machine
    for name in ("train", "approve"):
        condition = parsed(FOLDER / "workflows" / "training.yaml")["jobs"][name]["if"]
        assert "github.event_name != 'pull_request'" in condition or "needs.train.outputs.outcome == 'awaiting-approval'" in condition


def test_all_green_needs_every_job():
    jobs = parsed(FOLDER / "workflows" / "ci.yaml")["jobs"]
    assert set(jobs["all-green"]["needs"]) == set(jobs) - {"all-green"}
    assert jobs["all-green"]["if"] == "always()"


@pytest.mark.parametrize("last", ["success", "failure", "skipped", "cancelled"])
def test_all_green_is_red_unless_every_job_has_succeeded(last):
    if shutil.which("jq") is None:
        pytest.skip("no jq on the PATH")
    needs = {name: {"result": result, "outputs": {}} for name, result in (("lint", "success"), ("test", last))}
    (step,) = parsed(FOLDER / "workflows" / "ci.yaml")["jobs"]["all-green"]["steps"]
    line, environment = ["bash", "-eo", "pipefail", "-c", step["run"]], {**os.environ, "NEEDS": json.dumps(needs)}
    done = subprocess.run(line, env=environment, check=False, capture_output=True)
    assert (done.returncode == 0) is (last == "success")


def test_services_are_the_images_of_the_stack():
    pins = dict(line.split("=", 1) for line in (ROOT / ".env.example").read_text().splitlines() if re.match(r"\w+_IMAGE=", line))
    services = parsed(FOLDER / "workflows" / "ci.yaml")["jobs"]["test"]["services"]
    given = {name: service["image"] for name, service in services.items()}
    assert given == {name: pins[f"{name.upper()}_IMAGE"] for name in ("postgres", "redis", "minio")}


def test_every_file_and_dockerfile_that_is_named_is_there():
    images = parsed(FOLDER / "workflows" / "ci.yaml")["jobs"]["images"]["strategy"]["matrix"]["image"]
    assert [image for image in images if not (ROOT / "docker" / f"{image}.Dockerfile").exists()] == []
    commands = "\n".join(step.get("run", "") for _, step in STEPS)
    targets = set(re.findall(r"^make (\S+)", commands, flags=re.M))
    assert [target for target in targets if not re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), flags=re.M)] == []
