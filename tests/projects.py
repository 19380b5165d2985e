"""Copies of the project, and commands run in them as a user types them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
SAMPLE_ROWS = 3000
QUICK = "training.budgets.default.trials=4,training.budgets.default.folds=3"
"""A search that is short, not good: for tests that need some champion."""


def copy_project(folder: Path) -> Path:
    """The project, without data, in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("conf", "feature_repo", "notebooks", "src"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "local"))
    (folder / "conf" / "local").mkdir()
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("raw", "processed", "features", "models", "reports"):
        (folder / "data" / name).mkdir(parents=True)
    return folder


def activated() -> dict[str, str]:
    """The environment variables of a shell in which the environment is activated, without settings of the caller's."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("KEDRO_", "MLFLOW_", "CHURN_", "COV_", "PROMETHEUS_"))}
    return {**kept, "PATH": f"{BIN}{os.pathsep}{kept['PATH']}", "COLUMNS": "200"}


def run_command(
    folder: Path, *command: str, timeout: int = 600, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A command of the environment's `bin` as a user types it, in a folder; `environment` is what the shell has besides."""
    program = str(BIN / command[0])
    line = [program, *command[1:]]
    variables = {**activated(), **(environment or {})}
    return subprocess.run(line, cwd=folder, env=variables, capture_output=True, text=True, timeout=timeout, check=False)
