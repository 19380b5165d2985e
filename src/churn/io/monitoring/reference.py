"""The reference of a model version: what monitoring compares with, stored in the version's run, found by the version."""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset

from churn.core.declaration import CHURNED, SPLIT, Feature
from churn.core.errors import ChurnError
from churn.core.monitoring.table import SCORE, Reference, Sample, columns
from churn.io.models.registry import MODEL_NAME, RUN_ID, STAGING, client

if TYPE_CHECKING:
    from pandas import DataFrame

    from churn.core.modelling.model import ChurnModel

REFERENCE_SHA256 = "reference_sha256"
FOLDER, FILE = "monitoring", "reference.parquet"
_ABOUT = b"churn"
_EXPLAINED = 1000
"""Test customers that the importance of a feature is averaged over."""


@dataclass(frozen=True)
class ReferenceTable:
    """A reference as evaluation hands it over.

    `rows` has the split (`train`, `test`), the features, and for test customers the score and the outcome.
    """

    version: str
    rows: "DataFrame"
    features: tuple[Feature, ...]
    importance: Mapping[str, float]


def reference_table(version: str, model: "ChurnModel", training: "DataFrame", scored: "DataFrame", most: int) -> ReferenceTable:
    """The reference of a model: at most so many training and as many test customers, chosen at random (seeded).

    Args:
        version: the model's version in the registry.
        model: the model.
        training: its training customers with features.
        scored: the test customers with features, `churned` and the score (column `SCORE`).
        most: how many of each.
    """
    import pandas as pd

    names = [feature.name for feature in model.spec.features]
    train, test = (side.sample(most, random_state=0) if len(side) > most else side for side in (training, scored))
    effects = abs(model.explain(test.head(_EXPLAINED))[0]).mean(axis=0)
    importance = dict(zip(model.names, (effects / max(effects.sum(), 1e-12)).tolist(), strict=True))
    sides = [train[names].assign(**{SPLIT: "train"}), test[[*names, SCORE, CHURNED]].assign(**{SPLIT: "test"})]
    return ReferenceTable(version, pd.concat(sides, ignore_index=True), tuple(model.spec.features), importance)


class ModelReferenceDataset(AbstractDataset[Any, Any]):
    """Saving stores a reference beside its model version; loading gives the version that was trained last, if it has one."""

    def __init__(self, metadata: dict[str, Any] | None = None) -> None:
        self.metadata = metadata

    def save(self, data: ReferenceTable) -> None:
        """Store it as an artifact of the version's run and its hash as the version's tag: the tag is the last step."""
        store(data)

    def load(self) -> str | None:
        """The version with the alias Staging, or None where it has no reference."""
        return newest()

    def _exists(self) -> bool:
        return newest() is not None

    def _describe(self) -> dict[str, Any]:
        return {"model": MODEL_NAME}


class MonitoredReferenceDataset(AbstractDataset[Any, Any]):
    """Saving says which version made the predictions; loading gives its reference, None where it has none."""

    def __init__(self, metadata: dict[str, Any] | None = None) -> None:
        self.metadata = metadata
        self._version: str | None = None
        self._loaded: Reference | None = None

    def save(self, data: str) -> None:
        """Keep the version; an empty text stands for none."""
        self._version, self._loaded = data or None, None

    def load(self) -> Reference | None:
        """The reference, read once in a run.

        Raises:
            ChurnError: if its file is not the one that was stored.
        """
        if self._version is not None:
            self._loaded = self._loaded or load(self._version)
        return self._loaded

    def release(self) -> None:
        """Forget what was read."""
        self._loaded = None

    def _exists(self) -> bool:
        return self._version is not None

    def _describe(self) -> dict[str, Any]:
        return {"model": MODEL_NAME}


def store(table: ReferenceTable) -> str:
    """Write the reference into the version's run; nothing is written where it is there already.

    Returns:
        The file's sha256.
    """
    mlflow = client()
    entry = mlflow.get_model_version(MODEL_NAME, table.version)
    content = _bytes(table)
    sha256 = hashlib.sha256(content).hexdigest()
    if entry.tags.get(REFERENCE_SHA256) != sha256:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / FILE
            path.write_bytes(content)
            mlflow.log_artifact(entry.tags[RUN_ID], str(path), FOLDER)
        mlflow.set_model_version_tag(MODEL_NAME, table.version, REFERENCE_SHA256, sha256)
    return sha256


def load(version: str) -> Reference | None:
    """The reference of a version, checked against its hash; None where there is no such version or it has none.

    Raises:
        ChurnError: if the file cannot be read or has another hash.
    """
    import mlflow

    try:
        entry = client().get_model_version(MODEL_NAME, version)
    except mlflow.MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise
    expected = entry.tags.get(REFERENCE_SHA256)
    if expected is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        content = _download(entry.tags[RUN_ID], version, folder)
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        advice = "Run `kedro run --pipelines training,evaluation` for a new version."
        raise ChurnError(
            f"The reference of version {version} is damaged or not the stored one: sha256 {found}, expected {expected}. {advice}"
        )
    return _parsed(content, version, found)


def newest() -> str | None:
    """The version with the alias Staging, where it has a reference."""
    import mlflow

    try:
        entry = client().get_model_version_by_alias(MODEL_NAME, STAGING)
    except mlflow.MlflowException:
        return None
    return str(entry.version) if REFERENCE_SHA256 in entry.tags else None


def _download(run_id: str, version: str, folder: str) -> bytes:
    import mlflow

    try:
        return Path(client().download_artifacts(run_id, f"{FOLDER}/{FILE}", folder)).read_bytes()
    except (OSError, mlflow.MlflowException) as error:
        raise ChurnError(f"The reference of version {version} cannot be read ({error}). Run `kedro run --pipelines evaluation`.") from error


def _bytes(table: ReferenceTable) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    about = {"features": [feature.model_dump(mode="json") for feature in table.features], "importance": dict(table.importance)}
    rows = pa.Table.from_pandas(table.rows, preserve_index=False)
    sink = pa.BufferOutputStream()
    parquet.write_table(rows.replace_schema_metadata({_ABOUT: json.dumps(about, sort_keys=True)}), sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _parsed(content: bytes, version: str, sha256: str) -> Reference:
    import pyarrow as pa
    from pyarrow import parquet

    table = parquet.read_table(pa.BufferReader(content))
    about = json.loads(table.schema.metadata[_ABOUT])
    features = tuple(Feature.model_validate(feature) for feature in about["features"])
    sides = {name: table.filter(pa.compute.equal(table[SPLIT], name)) for name in ("train", "test")}
    training, test = (columns(features, {name: side[name].to_pylist() for name in table.column_names}) for side in sides.values())
    scored = sides["test"]
    sample = Sample(test, scored[SCORE].to_numpy().astype(float), scored[CHURNED].to_numpy(zero_copy_only=False).astype(bool))
    return Reference(version, features, training, sample, about["importance"], sha256)
