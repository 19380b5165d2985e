"""A trained model becomes a version of the registry: logged to its run with all that explains it, registered, `Staging`."""

import json
import tempfile
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn.io.models.registry import CUSTOMERS_SHA256, MODEL_NAME, MODEL_SHA256, RUN_ID, STAGING, client, set_alias

if TYPE_CHECKING:
    from churn.core.modelling.model import ChurnModel

DIGEST = 36
"""Characters that MLflow takes for the digest of an input."""


@dataclass(frozen=True)
class Candidate:
    """A model as training hands it over: with its lineage tags, parameters and validation history."""

    model: "ChurnModel"
    lineage: dict[str, str]
    parameters: dict[str, Any] = field(default_factory=dict)
    history: tuple[float, ...] = ()


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
    set_alias(STAGING, str(registered.version))
    return str(registered.version)


def _log_history(run_id: str, history: tuple[float, ...]) -> None:
    """Validation log-loss per boosting round of the run's best member, as autologging would show it."""
    from mlflow.entities import Metric

    metrics = [Metric("validation_log_loss", value, 0, step) for step, value in enumerate(history)]
    for start in range(0, len(metrics), 1000):  # MLflow takes at most 1,000 a call
        client().log_batch(run_id, metrics[start : start + 1000])


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
