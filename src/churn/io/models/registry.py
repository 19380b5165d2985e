"""The model registry (MLflow): register, load with a hash check, list, tag. Who may move the champion: `churn.io.models.promotion`.

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
DIGEST = 36
"""Characters that MLflow takes for the digest of an input."""

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


def register(candidate: Candidate, source: str | None = None) -> str:
    """Log the model to the active run, register it and give it the alias `Staging`; the alias is the last step.

    Args:
        candidate: the model and its lineage.
        source: where the raw table lies that it was trained on, if that is to be an input of the run.

    Returns:
        The new version.
    """
    import mlflow
    import mlflow.xgboost

    from churn.core.modelling.model import SPEC_FILE

    model = candidate.model
    run = mlflow.active_run() or mlflow.start_run()
    mlflow.log_params(candidate.parameters)
    _log_history(run.info.run_id, candidate.history)
    if source is not None:
        _log_input(candidate, source)
    example, signature = _signature(model)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder))
        logged = mlflow.xgboost.log_model(
            model.booster,
            name="model",
            model_format="ubj",
            extra_files=[str(Path(folder) / SPEC_FILE)],
            signature=signature,
            input_example=example,
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
        return _client().get_model_version(MODEL_NAME, number)
    except mlflow.MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise ChurnError(f"{MODEL_NAME} has no version {number}. `churn status` lists them.") from None
        raise


def aliases() -> dict[str, str]:
    """Alias to version; empty where nothing was registered yet."""
    import mlflow

    try:
        found = _client().get_registered_model(MODEL_NAME).aliases
    except mlflow.MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise
    return {name: str(number) for name, number in found.items()}


def set_alias(alias: str, number: str) -> None:
    """Give an alias to a version, in one call."""
    _client().set_registered_model_alias(MODEL_NAME, alias, number)


def tag(number: str, tags: dict[str, str]) -> None:
    """Write tags of a version, and its decision as MLflow's page shows it."""
    client = _client()
    for key, value in tags.items():
        client.set_model_version_tag(MODEL_NAME, number, key, value)
    if GATE in tags:
        client.update_model_version(MODEL_NAME, number, description=f"{tags[GATE]}: {tags.get(GATE_REASON, '')}")


def parameters(number: str) -> dict[str, str]:
    """What the run of a version was configured with."""
    return dict(_client().get_run(version_entry(number).run_id).data.params)


def versions() -> list[VersionStatus]:
    """Every version, newest first."""
    client = _client()
    found = client.search_model_versions(f"name='{MODEL_NAME}'", order_by=["version_number DESC"])
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


def _client() -> Any:
    from mlflow import MlflowClient

    return MlflowClient()


def _log_history(run_id: str, history: tuple[float, ...]) -> None:
    """Validation log-loss per boosting round of the run's best member, as autologging would show it."""
    from mlflow.entities import Metric

    metrics = [Metric("validation_log_loss", value, 0, step) for step, value in enumerate(history)]
    for start in range(0, len(metrics), 1000):  # MLflow takes at most 1,000 a call
        _client().log_batch(run_id, metrics[start : start + 1000])


def _log_input(candidate: Candidate, source: str) -> None:
    """The table as an input of the run. By its recorded hash and the declared features: MLflow's own look at a million rows takes 20 s."""
    import mlflow
    from mlflow.data.dataset_source_registry import get_dataset_source_from_json
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.types import ColSpec, Schema

    kinds = {"category": "string", "boolean": "boolean", "integer": "long", "number": "double"}
    schema = Schema([ColSpec(kinds[feature.type], feature.name) for feature in candidate.model.spec.features])
    place = {"uri": source.replace("s3a://", "s3://")}
    found = get_dataset_source_from_json(json.dumps(place), "s3" if "://" in source else "local")
    dataset = MetaDataset(found, "customers", candidate.lineage[CUSTOMERS_SHA256][:DIGEST], schema)  # type: ignore[abstract]  # as MLflow documents it
    mlflow.log_input(dataset, context="training")


def _signature(model: "ChurnModel") -> tuple[Any, Any]:
    """Encoded golden rows as an input example, and the signature: the codes by feature name, so that no order can be mistaken.

    Of codes, not of categories: MLflow's pyfunc cannot predict with XGBoost's native categories under a signature. As doubles,
    which pandas and JSON give: under a narrower type MLflow refuses them.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
    from pandas import DataFrame

    example = DataFrame(model.encode(model.spec.golden.rows), columns=list(model.names))
    return example, ModelSignature(Schema([ColSpec("double", name) for name in model.names]), Schema([ColSpec("float")]))


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
