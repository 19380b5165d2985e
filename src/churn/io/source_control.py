"""The code version of a run, for its lineage."""

import os
import subprocess
from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

COMMIT_VARIABLE = "CHURN_GIT_SHA"
"""The commit where there is no git folder: docker/pipeline.Dockerfile sets it."""


class GitCommitDataset(AbstractDataset[None, str]):
    """The commit of the working directory, `-dirty` after it where files differ; outside git what CHURN_GIT_SHA says, else `unknown`."""

    def __init__(self, metadata: dict[str, Any] | None = None) -> None:
        self.metadata = metadata

    def load(self) -> str:
        """The commit's hash."""
        commit = _git("rev-parse", "HEAD")
        if not commit:
            return os.environ.get(COMMIT_VARIABLE, "unknown")
        return f"{commit}-dirty" if _git("status", "--porcelain", "--untracked-files=no") else commit

    def save(self, data: None) -> NoReturn:  # noqa: ARG002 - Kedro's interface
        """The code is never written."""
        raise DatasetError("The commit is read only.")

    def _describe(self) -> dict[str, Any]:
        return {"command": "git rev-parse HEAD"}


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607 - git from the PATH
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
