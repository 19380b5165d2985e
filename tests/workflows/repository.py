"""A repository whose workflows are run on this machine, with stand-ins for GitHub's programs and for Docker."""

import contextlib
import json
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from tests.projects import BIN, ROOT, copy_project
from tests.services.processes import free_port
from tests.workflows import docker_standin
from tests.workflows.runner import Job, Runner, own_environment

ROWS = 3000
SEARCH = {"trials": 4, "folds": 2, "members": 1}
READY_SECONDS = 300
GH = """#!/bin/sh
# `gh`: what is asked of GitHub is noted; there is no issue yet.
case "$1 $2" in
  "issue list" | "issue create" | "pr comment" | "workflow run") echo "$*" >> "$DOCKER_STANDIN/gh.txt" ;;
  *) echo "gh stand-in: not known: $*" >&2; exit 1 ;;
esac
"""


class Repository:
    """A repository with a runner, stand-ins for `docker` and `gh`, and training settings to change.

    Args:
        folder: where it is made.
        settings: what the runner's environment holds besides, such as the addresses of the stack.
    """

    def __init__(self, folder: Path, settings: dict[str, str] | None = None) -> None:
        self.root, self.state, self.port = copy_project(folder / "project"), folder / "docker", free_port()
        for name in (".dvc", ".github", "docker", "serving"):
            shutil.copytree(ROOT / name, self.root / name, ignore=shutil.ignore_patterns("__pycache__", "tmp", "cache", "config.local"))
        for name in (".env.example", ".gitignore", ".dvcignore", ".dockerignore", "requirements-serving.txt", "requirements-dev.txt"):
            shutil.copy(ROOT / name, self.root / name)
        (self.root / ".env").write_text("API_IMAGE=churn-api:local\n")
        for path in (folder / "bin", folder / "work", self.state):
            path.mkdir()
        self.program(folder / "bin" / "docker", f'#!/bin/sh\nexec "{sys.executable}" "{docker_standin.__file__}" "$@"\n')
        self.program(folder / "bin" / "gh", GH)
        variables = {"DOCKER_STANDIN": str(self.state), "API_PORT": str(self.port), "API_CODE": str(ROOT)}
        self.runner = Runner(
            self.root,
            folder / "work",
            {**own_environment(folder / "bin"), **variables, **(settings or {})},
            {
                "actions/checkout": self.checkout,
                "./.github/actions/environment": lambda _: self.environment(),
                "actions/upload-artifact": self.upload,
                "actions/download-artifact": lambda _: None,  # every job works in one folder, so it lies there already
                "anchore/sbom-action": lambda _: None,
                "anchore/scan-action": lambda _: None,
            },
            {"CHURN_DEPLOY_RUNNER": "here", "CHURN_API_URL": self.address},
        )
        self.edit("sample_data", rows=ROWS)
        self.edit("serving", champion_interval=0.5)
        self.edit("automation", ready_seconds=READY_SECONDS)
        self.edit("training", threads=1)  # two test workers share the cores; the model does not depend on it
        self.search(**SEARCH)
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit("The project")

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @staticmethod
    def program(path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def environment(self) -> None:
        """In place of `make install`: the environment that the tests run in."""
        if not (self.root / ".venv").exists():
            (self.root / ".venv").symlink_to(BIN.parent)

    def checkout(self, given: dict[str, str]) -> None:
        """The commit that is asked for, else the one that was pushed; what git does not know stays."""
        self.git("checkout", "--quiet", given.get("ref", "main"))

    def upload(self, given: dict[str, str]) -> None:
        """As GitHub's action, an upload of nothing is an error."""
        place = self.root / given["path"]
        assert place.is_file() or any(path.is_file() for path in place.rglob("*")), given

    def edit(self, name: str, **changes: Any) -> None:
        path = self.root / "conf" / "base" / "parameters" / f"{name}.yml"
        content = yaml.safe_load(path.read_text())
        content[name].update(changes)
        path.write_text(yaml.safe_dump(content))

    def search(self, **changes: int) -> None:
        path = self.root / "conf" / "base" / "parameters" / "training.yml"
        content = yaml.safe_load(path.read_text())
        content["training"]["budgets"]["default"].update(changes)
        path.write_text(yaml.safe_dump(content))

    def git(self, *arguments: str) -> str:
        names = ["-c", "user.name=A Maintainer", "-c", "user.email=maintainer@example.org"]
        done = subprocess.run(["git", *names, *arguments], cwd=self.root, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def push(self, workflow: str, *, branch: str = "main", **inputs: str) -> dict[str, Job]:
        return self.happens(workflow, {"event_name": "push", "event": {}, "ref": f"refs/heads/{branch}"}, **inputs)

    def happens(self, workflow: str, event: dict[str, Any], **inputs: str) -> dict[str, Job]:
        """Run a workflow for an event."""
        found = self.runner.run(workflow, {**event, "sha": self.git("rev-parse", "HEAD")}, inputs)
        logs = "\n".join(f"# {name}: {job.result}\n{job.log[-6000:]}" for name, job in found.items())
        (self.state / "last.log").write_text(logs)
        return found

    def command(self, program: str, *arguments: str) -> str:
        """A command of the project as the runner's user types it."""
        line = [program if "/" in program else str(BIN / program), *arguments]
        done = subprocess.run(line, cwd=self.root, env=self.runner.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def churn(self, *arguments: str) -> str:
        return self.command("churn", *arguments)

    def served(self) -> str:
        with urllib.request.urlopen(f"{self.address}/health/ready", timeout=30) as answer:
            return json.load(answer)["model_version"]

    def container(self) -> dict[str, Any]:
        return json.loads((self.state / "state.json").read_text())["container"]

    def asked_of_github(self) -> list[str]:
        return (self.state / "gh.txt").read_text().splitlines()

    def why(self) -> str:
        return (self.state / "last.log").read_text()

    def stop(self) -> None:
        with contextlib.suppress(FileNotFoundError, TypeError):
            docker_standin.stop(self.container()["pid"])
