"""`kedro run` killed at random moments, and a version made again from its lineage.

CHURN_KILLS sets the number of kills (few by default, so that the test run stays short).
"""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from churn.core.errors import ChurnError
from churn.io.models import registry
from churn.io.models.promotion_record import PromotionRecord
from tests.projects import BIN, QUICK, activated, run_command

KILLS = int(os.environ.get("CHURN_KILLS", "3"))
WEAK = f"{QUICK},data_processing.split.test_share=0.95"
"""A model of one customer in twenty."""
TOLERANT = "evaluation.gate.calibration_tolerance=0.1"
"""Here it is the gain that decides: the table is small."""


class Project:
    """A copy of a project that has run; version 1 is its model."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.url = folder, f"sqlite:///{folder}/data/mlflow/mlflow.db"

    def churn(self, *arguments: str) -> str:
        done = run_command(self.folder, "churn", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, *arguments: str) -> float:
        """Seconds of a whole run."""
        start = time.monotonic()
        done = run_command(self.folder, "kedro", "run", *arguments)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return time.monotonic() - start

    def kill(self, seconds: float, *arguments: str) -> None:
        """A run that is killed, with all its children, unless it was quicker."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(
            [str(BIN / "kedro"), "run", *arguments], cwd=self.folder, env=activated(), start_new_session=True, **quiet
        ) as process:
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)

    def aliases(self) -> dict[str, str]:
        """Every alias, after each has been found to stand for a whole version: files, hash, tags."""
        registry.connect(self.url)
        found = registry.aliases()
        for number in found.values():
            assert {"git_sha", "data_sha256", registry.MODEL_SHA256} <= set(registry.load_version(number).tags)
        return found


@pytest.fixture(scope="module")
def project(finished_project: Path, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("crashes") / "project"
    shutil.copytree(finished_project, folder, symlinks=True)
    return Project(folder)


def test_runs_killed_at_random_moments_harm_nothing_and_a_version_made_again_is_the_same(project: Project) -> None:
    lineage = json.loads(project.churn("lineage", "1", "--json"))
    again = f"{lineage['rebuild']},{TOLERANT}".replace("training --params", "training,evaluation --params").split()[2:]
    seconds = project.run("--pipelines", again[1], "--params", f"{WEAK},{TOLERANT}")
    project.churn("promote", "2", "--reason", "so that something can be better")
    draw = np.random.default_rng(int.from_bytes(os.urandom(4), "big"))
    for _ in range(KILLS):
        project.kill(float(draw.uniform(0.3, 1.3)) * seconds, *again)
        found = project.aliases()
        assert found["Champion"] == "2" or registry.version_entry(found["Champion"]).tags["gate"] == "promoted"
    project.run(*again)
    found = project.aliases()
    assert found["Champion"] != "2"
    moves = PromotionRecord(project.url).moves()
    assert all(move.outcome == "done" for move in moves)
    assert moves[-1].to_version == found["Champion"]
    for alias in ("Champion", "Staging"):
        assert registry.version_entry(found[alias]).tags[registry.MODEL_SHA256] == lineage["model_sha256"]


def test_lineage_says_what_a_version_was_made_from_who_promoted_it_and_why(project: Project) -> None:
    found = json.loads(project.churn("lineage", "2", "--json"))
    assert (found["parent_champion"], found["feature_service"]) == ("1", "churn_v1")
    assert found["parameters"]["split.test_share"] == "0.95"
    assert "data_processing.split.test_share=0.95" in found["rebuild"]
    text = project.churn("lineage", "2")
    for part in (found["model_sha256"], found["data"]["sha256"], "so that something can be better", "promote 1 -> 2", "log-loss"):
        assert part in text
    with pytest.raises(ChurnError, match="no version 99"):
        registry.version_entry("99")
    assert "Last move: " in project.churn("status")
