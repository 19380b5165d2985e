"""What the README tells people to type works, and what it links to is there."""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from tests.projects import BIN, QUICK, ROOT, activated, run_command

README = (ROOT / "README.md").read_text(encoding="utf-8")
TYPED = [line.split("#")[0].strip() for block in re.findall(r"```bash\n(.*?)```", README, flags=re.S) for line in block.splitlines()]
BY_HAND = {"kedro viz run", "kedro mlflow ui", "churn simulate --months 6 --scenario price-rise"}
"""Servers: started and asked below. The simulation has a test of its own (tests/e2e/test_simulate.py)."""
SHORTENED = f"training.budget=thorough,{QUICK.replace('default', 'thorough')}"
LONG = {"kedro run --params training.budget=thorough": f"kedro run --pipelines training --params {SHORTENED}"}
"""The same command with a search that fits into a test."""


@pytest.mark.parametrize("command", [line for line in TYPED if line.startswith("make ")])
def test_make_targets_exist(command: str) -> None:
    done = subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def copy(finished_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme") / "project"
    shutil.copytree(finished_project, folder)
    return folder


def test_every_command_runs(copy: Path) -> None:
    typed = [line for line in TYPED if line and not line.startswith("make ") and line not in BY_HAND]
    assert len(typed) > 5
    for line in typed:
        command = LONG.get(line, line)
        if "training,evaluation" in command:
            command = f"{command} --params {QUICK}"
        if line == "churn promote 1":  # which is the champion: let the version of the commands before be it
            assert run_command(copy, "churn", "promote", "2").returncode == 0
        done = run_command(copy, *command.split())
        assert done.returncode == 0, f"{line}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def free_port() -> int:
    """A port that nothing listens on, below 49152: kedro viz refuses the others."""
    for port in random.sample(range(20_000, 49_152), 200):
        with socket.socket() as candidate, contextlib.suppress(OSError):
            candidate.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port")


def served(folder: Path, path: str, *command: str) -> bytes:
    """Start a server on a free port, ask it once, and stop it."""
    port = free_port()
    line = [str(BIN / command[0]), *command[1:], "--port", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(line, cwd=folder, env=activated(), start_new_session=True, **quiet) as server:
        try:
            for _ in range(240):
                assert server.poll() is None, f"{' '.join(command)} stopped"
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                        return answer.read()
                except OSError:
                    time.sleep(0.5)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)  # its workers too
    raise AssertionError(f"{' '.join(command)} did not answer")


def test_kedro_viz_shows_the_five_pipelines_in_layers(copy: Path) -> None:
    graph = json.loads(served(copy, "/api/main", "kedro", "viz", "run", "--no-browser"))
    assert {"data_processing", "feature_store", "training", "evaluation", "monitoring"} <= {entry["id"] for entry in graph["pipelines"]}
    assert graph["layers"] == ["raw", "processed", "features", "models", "reports", "promotion"]


def test_the_mlflow_page_starts(copy: Path) -> None:
    assert b"<html" in served(copy, "/", "kedro", "mlflow", "ui")


def test_links_and_pictures_are_there() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        targets = [target for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")) if "://" not in target]
        assert [target for target in targets if not (page.parent / target).exists()] == [], page.name


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 200
