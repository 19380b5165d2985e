"""The feature store: what is registered, and how values get into the online store.

Feast is imported inside the functions: it costs seconds, and most commands never need it.
"""

import contextlib
import io
import logging
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from churn.core.declaration import CUSTOMER_ID, EVENT_TIMESTAMP, ColumnType, Feature
from churn.core.errors import ChurnError
from churn.io.features.registry_files import is_registry, local_files, point_at, replaced_whole
from churn.io.files.places import s3_endpoint

ENTITY = "customer"
VIEW = "customer_features"
SERVICE = "churn_v1"

_TYPES: dict[ColumnType, str] = {"category": "String", "boolean": "Bool", "integer": "Int64", "number": "Float64"}
_COLUMN_TYPES: dict[str, ColumnType] = {feast: declared for declared, feast in _TYPES.items()}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Definitions:
    """The Feast objects of this project: Entity, FileSource, FeatureView, FeatureService."""

    entity: Any
    source: Any
    view: Any
    service: Any


def define(features: Sequence[Feature], source: str) -> Definitions:
    """Feast's objects for the declared features.

    Args:
        features: the declared features, in order.
        source: path or URL of the Parquet file with customer_id, event_timestamp and the features.
    """
    feast = _feast()
    entity = feast.Entity(name=ENTITY, join_keys=[CUSTOMER_ID], value_type=feast.ValueType.STRING, description="A customer")
    # Feast says s3:// where DuckDB and Spark say s3a://.
    path = re.sub("^s3a:", "s3:", source)
    endpoint = s3_endpoint() if path.startswith("s3:") else None
    table = feast.FileSource(name="customer_features_table", path=path, timestamp_field=EVENT_TIMESTAMP, s3_endpoint_override=endpoint)
    view = feast.FeatureView(
        name=VIEW,
        entities=[entity],
        ttl=timedelta(0),  # values do not expire here: how old is too old is decided where they are served
        schema=[feast.Field(name=CUSTOMER_ID, dtype=feast.types.String), *(_field(feature) for feature in features)],
        source=table,
        description="What is known of a customer at event_timestamp",
    )
    service = feast.FeatureService(name=SERVICE, features=[view], description="The inputs of the churn model")
    return Definitions(entity, table, view, service)


def read_config(feast_file: str) -> Any:
    """Feast's `RepoConfig` of a feature_store.yaml; relative paths start from the file's folder.

    Raises:
        ChurnError: if the file is missing, names an unset environment variable or is not what Feast expects.
    """
    from pydantic import ValidationError

    _feast()
    from feast.repo_config import FeastConfigError, load_repo_config

    path = Path(feast_file).resolve()
    if not path.is_file():
        raise ChurnError(f"There is no Feast configuration at {path}. Set `feast_file` in conf/*/globals.yml.")
    unset = sorted(set(re.findall(r"\$\{(\w+)\}", os.path.expandvars(path.read_text(encoding="utf-8")))))
    if unset:
        raise ChurnError(f"{path} needs environment variables that are not set: {', '.join(unset)}.")
    try:
        config = load_repo_config(path.parent, path)
    except (FeastConfigError, ValidationError) as error:
        raise ChurnError(f"{path} is not a valid Feast configuration: {_mistakes(error)}") from None  # the error shows secrets
    point_at(config, local_files(config))  # a FeatureStore made from a config starts relative paths from the working directory
    return config


def _mistakes(error: Exception) -> str:
    """What is wrong, without the values: one of them may be a password."""
    from pydantic import ValidationError

    cause = error if isinstance(error, ValidationError) else error.__cause__ or error.__context__
    if not isinstance(cause, ValidationError):
        return f"{type(error).__name__}; `feast configuration` in its folder says more."
    return "; ".join(f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in cause.errors(include_input=False))


def open_store(feast_file: str) -> Any:
    """The `FeatureStore` of a feature_store.yaml, for reading.

    Raises:
        ChurnError: as `read_config`, or if nothing is registered yet or the registry cannot be read.
    """
    config = read_config(feast_file)
    registry = local_files(config).get("registry")
    _require(registry is None or registry.is_file(), f"No features are registered: {registry} does not exist")
    if registry is not None and not is_registry(registry):
        raise ChurnError(f"The Feast registry {registry} is damaged. `kedro run --pipelines feature_store` rebuilds it.")
    return _feast().FeatureStore(config=config)


def apply(feast_file: str, features: Sequence[Feature], source: str) -> None:
    """Register the declared features; what was registered before under the same names is replaced.

    Raises:
        ChurnError: as `read_config`.
    """
    config = read_config(feast_file)
    defined = define(features, source)
    with replaced_whole(config, publish_online=False), quiet():
        _feast().FeatureStore(config=config).apply([defined.entity, defined.source, defined.view, defined.service])
    _log.info("Registered %d features of %s in Feast", len(features), VIEW)


def materialize(feast_file: str, start: datetime, end: datetime) -> None:
    """Write the newest value of every customer between `start` and `end` (both included, UTC) to the online store.

    The embedded store is written anew and takes the old one's place in one step: readers see the old values or
    the new ones, customers and columns that are gone are gone, and an interrupted run leaves the old store as it was.
    Other stores are updated in place.

    Raises:
        ChurnError: as `open_store`, or if the feature table is missing.
    """
    source = registered_view(open_store(feast_file)).batch_source.path
    _require("://" in source or Path(source).exists(), f"The feature table {source} does not exist", "data_processing,feature_store")
    config = read_config(feast_file)
    with replaced_whole(config, publish_online=True), quiet():
        store = _feast().FeatureStore(config=config)
        store.apply(store.list_feature_views())  # makes the tables of a new online store
        store.materialize(start, end)
    _log.info("Materialized %s from %s to %s", VIEW, start.isoformat(), end.isoformat())


def registered_view(store: Any) -> Any:
    """The registered `FeatureView`.

    Raises:
        ChurnError: if the registry does not hold it.
    """
    _feast()
    from feast.errors import FeatureViewNotFoundException

    try:
        return store.get_feature_view(VIEW)
    except FeatureViewNotFoundException as error:
        raise ChurnError(f"{VIEW} is not registered in Feast. Run `kedro run --pipelines feature_store` first.") from error


def registered_features(store: Any) -> dict[str, ColumnType]:
    """Name and type of every registered feature, in the declaration's order.

    Raises:
        ChurnError: as `registered_view`.
    """
    return {field.name: _COLUMN_TYPES[str(field.dtype)] for field in registered_view(store).features}


def _field(feature: Feature) -> Any:
    feast = _feast()
    tags = {"label": feature.label, "unit": feature.unit or "", "actionable": str(feature.actionable).lower()}
    description = f"{feature.label} ({feature.unit})" if feature.unit else feature.label
    dtype = getattr(feast.types, _TYPES[feature.type])
    return feast.Field(name=feature.name, dtype=dtype, description=description, tags=tags)


def _require(fact: bool, otherwise: str, pipelines: str = "feature_store") -> None:
    if not fact:
        raise ChurnError(f"{otherwise}. Run `kedro run --pipelines {pipelines}` first.")


def _feast() -> Any:
    """Feast, without the warning filters that its modules set for the whole process."""
    with warnings.catch_warnings():
        import feast
        import feast.types
    return feast


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Feast's banners and its libraries' deprecation notes from the user; errors pass."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
