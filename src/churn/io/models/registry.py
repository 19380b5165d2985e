"""The model registry (MLflow): load with a hash check, list, tag.

Versions are made in `churn.io.models.registration`, the champion is moved in `churn.io.models.promotion`.

Every function takes its client from the process's tracking URI; `connect` sets it outside Kedro
(inside a Kedro run kedro-mlflow has done so).
"""

import json
import logging
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn.core.errors import ChurnError

if TYPE_CHECKING:
    from churn.core.modelling.model import ChurnModel

MODEL_NAME = "churn-prediction-model"
STAGING, CHAMPION, PREVIOUS = "Staging", "Champion", "Previous"
ALIASES = (CHAMPION, PREVIOUS, STAGING)
GATE, GATE_REASON, MODEL_SHA256, RUN_ID, TEST_METRICS = "gate", "gate_reason", "model_sha256", "run_id", "test_metrics"
COMPARED_WITH = "compared_with"
"""The champion that a version was judged against; empty where there was none."""
PROMOTED, AWAITING_APPROVAL = "promoted", "awaiting-approval"
CUSTOMERS_SHA256, SPLIT_PARAMETERS = "customers_sha256", "split"
"""Lineage: the hash of the processed table, and as JSON who of it was held out for the test."""

os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # five small files

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RegisteredModel:
    """A version of the registry with its model, checked against the hash in the version's tags.

    `rolled_back` is the version with the same model that was rolled back, if it has not become champion again since.
    """

    version: str
    model: "ChurnModel"
    tags: dict[str, str]
    rolled_back: str | None = None


@dataclass(frozen=True)
class VersionStatus:
    """What `churn status` shows of one version."""

    version: str
    aliases: tuple[str, ...]
    created: str
    gate: str | None
    gate_reason: str | None
    metrics: dict[str, float]
    tags: dict[str, str]


def connect(tracking_uri: str) -> None:
    """Point this process at a tracking server or database."""
    import mlflow

    mlflow.set_tracking_uri(tracking_uri)


def load(alias: str) -> RegisteredModel | None:
    """The version behind an alias, or None where no version has it.

    Raises:
        ChurnError: if its files cannot be read or are not those that were registered.
    """
    number = aliases().get(alias)
    return None if number is None else load_version(number)


def load_version(number: str) -> RegisteredModel:
    """A version by its number.

    Raises:
        ChurnError: if there is none, or its files cannot be read or are not those that were registered.
    """
    from churn.core.modelling.model import ChurnModel

    entry = version_entry(number)
    if MODEL_SHA256 not in entry.tags:
        raise ChurnError(
            f"{MODEL_NAME} version {number} has no tag {MODEL_SHA256} to check its files against: it was not registered by `kedro run`."
        )
    with tempfile.TemporaryDirectory() as folder:
        _download(number, Path(folder))
        model = ChurnModel.load(folder, entry.tags[MODEL_SHA256])
    return RegisteredModel(number, model, dict(entry.tags))


def version_entry(number: str) -> Any:
    """MLflow's entry of a version.

    Raises:
        ChurnError: if there is no such version.
    """
    import mlflow

    try:
        return client().get_model_version(MODEL_NAME, number)
    except mlflow.MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise ChurnError(f"{MODEL_NAME} has no version {number}. `churn status` lists them.") from None
        raise


def aliases() -> dict[str, str]:
    """Alias to version; empty where nothing was registered yet."""
    import mlflow

    try:
        found = client().get_registered_model(MODEL_NAME).aliases
    except mlflow.MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise
    return {name: str(number) for name, number in found.items()}


def set_alias(alias: str, number: str) -> None:
    """Give an alias to a version, in one call."""
    client().set_registered_model_alias(MODEL_NAME, alias, number)


def tag(number: str, tags: dict[str, str]) -> None:
    """Write tags of a version, and its decision as MLflow's page shows it."""
    mlflow = client()
    for key, value in tags.items():
        mlflow.set_model_version_tag(MODEL_NAME, number, key, value)
    if GATE in tags:
        mlflow.update_model_version(MODEL_NAME, number, description=f"{tags[GATE]}: {tags.get(GATE_REASON, '')}")


def parameters(number: str) -> dict[str, str]:
    """What the run of a version was configured with."""
    return dict(client().get_run(version_entry(number).run_id).data.params)


def versions() -> list[VersionStatus]:
    """Every version, newest first."""
    found = client().search_model_versions(f"name='{MODEL_NAME}'", order_by=["version_number DESC"])
    given = aliases()
    return [
        VersionStatus(
            version=str(entry.version),
            aliases=tuple(alias for alias in ALIASES if given.get(alias) == str(entry.version)),
            created=_iso(entry.creation_timestamp),
            gate=entry.tags.get(GATE),
            gate_reason=entry.tags.get(GATE_REASON),
            metrics=json.loads(entry.tags.get(TEST_METRICS, "{}")),
            tags={key: value for key, value in entry.tags.items() if key != TEST_METRICS},
        )
        for entry in found
    ]


def _download(number: str, folder: Path) -> None:
    """Put the model's two files into a folder."""
    import mlflow

    from churn.core.modelling.model import BOOSTER_FILE, SPEC_FILE

    try:
        source = Path(mlflow.artifacts.download_artifacts(f"models:/{MODEL_NAME}/{number}", dst_path=str(folder / "download")))
        shutil.copy(source / BOOSTER_FILE, folder / BOOSTER_FILE)
        shutil.copy(source / "extra_files" / SPEC_FILE, folder / SPEC_FILE)
    except (OSError, mlflow.MlflowException) as error:
        advice = "Train again, or go back with `churn rollback`."
        raise ChurnError(f"The files of {MODEL_NAME} version {number} cannot be read ({error}). {advice}") from error


def client() -> Any:
    """MLflow's client for the process's tracking server."""
    from mlflow import MlflowClient

    return MlflowClient()


def _iso(milliseconds: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")
