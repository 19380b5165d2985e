"""The model registry (MLflow): register, load by alias with a hash check, promote, roll back.

Every function takes its client from the process's tracking URI; `connect` sets it outside Kedro
(inside a Kedro run kedro-mlflow has done so).
"""

import json
import logging
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn.core.errors import ChurnError

if TYPE_CHECKING:
    from churn.core.model import ChurnModel

MODEL_NAME = "churn-prediction-model"
STAGING, CHAMPION, PREVIOUS = "Staging", "Champion", "Previous"
ALIASES = (CHAMPION, PREVIOUS, STAGING)
GATE, GATE_REASON, MODEL_SHA256, RUN_ID, TEST_METRICS = "gate", "gate_reason", "model_sha256", "run_id", "test_metrics"
PROMOTED = "promoted"

os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # five small files

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """A model as training hands it over: with its lineage tags, parameters and validation history."""

    model: "ChurnModel"
    lineage: dict[str, str]
    parameters: dict[str, Any] = field(default_factory=dict)
    history: tuple[float, ...] = ()


@dataclass(frozen=True)
class RegisteredModel:
    """A version of the registry with its model, checked against the hash in the version's tags."""

    version: str
    model: "ChurnModel"
    tags: dict[str, str]


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


def register(candidate: Candidate) -> str:
    """Log the model to the active run, register it and give it the alias `Staging`; the alias is the last step.

    Returns:
        The new version.
    """
    import mlflow
    import mlflow.xgboost

    from churn.core.model import SPEC_FILE

    model = candidate.model
    run = mlflow.active_run() or mlflow.start_run()
    mlflow.log_params(candidate.parameters)
    _log_history(run.info.run_id, candidate.history)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder))
        logged = mlflow.xgboost.log_model(
            model.booster,
            name="model",
            model_format="ubj",
            extra_files=[str(Path(folder) / SPEC_FILE)],
            pip_requirements=_requirements(),
        )
    tags = {**candidate.lineage, MODEL_SHA256: model.sha256, RUN_ID: run.info.run_id}
    registered = mlflow.register_model(logged.model_uri, MODEL_NAME, tags=tags)
    mlflow.set_tags(candidate.lineage)
    _client().set_registered_model_alias(MODEL_NAME, STAGING, str(registered.version))
    return str(registered.version)


def load(alias: str) -> RegisteredModel | None:
    """The version behind an alias, or None where no version has it.

    Raises:
        ChurnError: if its files cannot be read or are not those that were registered.
    """
    from churn.core.model import ChurnModel

    entry = _by_alias(alias)
    if entry is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        _download(str(entry.version), Path(folder))
        model = ChurnModel.load(folder, entry.tags[MODEL_SHA256])
    return RegisteredModel(str(entry.version), model, dict(entry.tags))


def apply_decision(promotion: dict[str, Any]) -> None:
    """Write a gate's decision to the version's tags and, if it says so, make it champion: the last step.

    Args:
        promotion: `version`, `expected_champion` (a version or None), `outcome`, `reason` and `metrics` (name to number).
    """
    client, number = _client(), promotion["version"]
    if number == promotion["expected_champion"]:
        return  # the champion met itself: why it was promoted stays on record
    tags = {GATE: promotion["outcome"], GATE_REASON: promotion["reason"], TEST_METRICS: json.dumps(promotion["metrics"], sort_keys=True)}
    for key, value in tags.items():
        client.set_model_version_tag(MODEL_NAME, number, key, value)
    client.update_model_version(MODEL_NAME, number, description=f"{promotion['outcome']}: {promotion['reason']}")
    if promotion["outcome"] == PROMOTED:
        _move_champion(number, promotion["expected_champion"])


def promote(number: str, reason: str) -> None:
    """Make a version the champion by hand; the old one becomes `Previous`.

    Raises:
        ChurnError: if there is no such version, or it is the champion already.
    """
    if number not in {status.version for status in versions()}:
        raise ChurnError(f"{MODEL_NAME} has no version {number}. `churn status` lists them.")
    champion = _by_alias(CHAMPION)
    if champion is not None and str(champion.version) == number:
        raise ChurnError(f"Version {number} is the champion already.")
    _client().set_model_version_tag(MODEL_NAME, number, GATE, PROMOTED)
    _client().set_model_version_tag(MODEL_NAME, number, GATE_REASON, reason)
    _move_champion(number, None if champion is None else str(champion.version))


def rollback() -> tuple[str, str]:
    """Make `Previous` the champion again.

    Returns:
        The versions (old champion, new champion).

    Raises:
        ChurnError: if there is no previous champion to go back to.
    """
    champion, previous = _by_alias(CHAMPION), _by_alias(PREVIOUS)
    if champion is None or previous is None or champion.version == previous.version:
        raise ChurnError("There is no previous champion to go back to. `churn promote VERSION` takes any version of `churn status`.")
    _move_champion(str(previous.version), str(champion.version))
    return str(champion.version), str(previous.version)


def versions() -> list[VersionStatus]:
    """Every version, newest first."""
    client = _client()
    found = client.search_model_versions(f"name='{MODEL_NAME}'", order_by=["version_number DESC"])
    aliases = _aliases()
    return [
        VersionStatus(
            version=str(entry.version),
            aliases=tuple(alias for alias in ALIASES if aliases.get(alias) == str(entry.version)),
            created=_iso(entry.creation_timestamp),
            gate=entry.tags.get(GATE),
            gate_reason=entry.tags.get(GATE_REASON),
            metrics=json.loads(entry.tags.get(TEST_METRICS, "{}")),
            tags={key: value for key, value in entry.tags.items() if key != TEST_METRICS},
        )
        for entry in found
    ]


def _move_champion(number: str, expected: str | None) -> None:
    """Keep the old champion as `Previous`, then move `Champion`: one call, nothing after it."""
    champion = _by_alias(CHAMPION)
    current = None if champion is None else str(champion.version)
    if current != expected:
        raise ChurnError(
            f"The champion changed from version {expected} to {current} while version {number} was compared with it. "
            "Nothing was moved: run `kedro run --pipelines evaluation` to compare with the new champion."
        )
    client = _client()
    if current is not None and current != number:
        client.set_registered_model_alias(MODEL_NAME, PREVIOUS, current)
    client.set_registered_model_alias(MODEL_NAME, CHAMPION, number)


def _download(number: str, folder: Path) -> None:
    """Put the model's two files into a folder."""
    import mlflow

    from churn.core.model import BOOSTER_FILE, SPEC_FILE

    try:
        source = Path(mlflow.artifacts.download_artifacts(f"models:/{MODEL_NAME}/{number}", dst_path=str(folder / "download")))
        shutil.copy(source / BOOSTER_FILE, folder / BOOSTER_FILE)
        shutil.copy(source / "extra_files" / SPEC_FILE, folder / SPEC_FILE)
    except (OSError, mlflow.MlflowException) as error:
        advice = "Train again, or go back with `churn rollback`."
        raise ChurnError(f"The files of {MODEL_NAME} version {number} cannot be read ({error}). {advice}") from error


def _aliases() -> dict[str, str]:
    """Alias to version; empty where nothing was registered yet."""
    import mlflow

    try:
        found = _client().get_registered_model(MODEL_NAME).aliases
    except mlflow.MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise
    return {name: str(number) for name, number in found.items()}


def _by_alias(alias: str) -> Any:
    number = _aliases().get(alias)
    return None if number is None else _client().get_model_version(MODEL_NAME, number)


def _client() -> Any:
    from mlflow import MlflowClient

    return MlflowClient()


def _log_history(run_id: str, history: tuple[float, ...]) -> None:
    """Validation log-loss per boosting round of the run's best member, as autologging would show it."""
    from mlflow.entities import Metric

    metrics = [Metric("validation_log_loss", value, 0, step) for step, value in enumerate(history)]
    for start in range(0, len(metrics), 1000):  # MLflow takes at most 1,000 a call
        _client().log_batch(run_id, metrics[start : start + 1000])


def _requirements() -> list[str]:
    """What loading the model needs, pinned: inferring it would cost half a minute."""
    names = ("xgboost-cpu", "xgboost", "numpy", "scipy")
    return [f"{name}=={found}" for name in names if (found := _version(name))]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _iso(milliseconds: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")
