"""Which services a command needs, read from the configuration. Asking them is `churn.io.connections`."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from churn.config import Config
from churn.io import connections, service_checks
from churn.io.connections import Service

_MLFLOW_WAITING = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
"""Attempts after the first, and seconds: MLflow's own defaults keep a user waiting for minutes."""
_ONLINE = "OnlineFeaturesDataset"


def limit_waiting(config: Config) -> None:
    """Make the libraries of this process give up within seconds where a service of the environment does not answer."""
    from churn.io.files import places

    if of_tracking(config):
        for name, value in _MLFLOW_WAITING.items():
            os.environ.setdefault(name, value)
    if places.is_remote(config.settings["storage"]):
        places.limit_waiting()


def require(services: Iterable[Service], config: Config) -> None:
    """Go on only if the services answer, and with libraries that give up within seconds.

    Raises:
        ServiceError: one message that names each that does not answer.
    """
    limit_waiting(config)
    connections.require(services)


def of_tracking(config: Config) -> list[Service]:
    """The MLflow server, where tracking is not embedded."""
    uri = config.settings["tracking_uri"]
    return [service_checks.mlflow_server(uri)] if uri.startswith(("http://", "https://")) else []


def of_registry(config: Config) -> list[Service]:
    """What moving the champion needs: MLflow and the record of promotions."""
    return [*of_tracking(config), *_of_text(config.settings["promotions"])]


def of_storage(config: Config) -> list[Service]:
    """The object store, where the catalog's files are not on this machine."""
    return _of_text(config.settings["storage"])


def of_environment(config: Config) -> list[Service]:
    """Every service of the environment."""
    settings = config.settings
    places = (settings["storage"], settings["prediction_log"], settings["promotions"])
    found = [service for place in places for service in _of_text(place)]
    return [*of_tracking(config), *found, *_of_feast(config, online=True)]


def of_datasets(config: Config, entries: Iterable[Mapping[str, Any]]) -> list[Service]:
    """What reading and writing these catalog entries needs (tracking apart)."""
    found: list[Service] = []
    feast_file = config.settings["feast_file"]
    for entry in entries:
        texts = list(_texts(entry))
        found += [service for text in texts for service in _of_text(text)]
        if feast_file in texts:
            found += _of_feast(config, online=str(entry.get("type", "")).endswith(_ONLINE))
    return list(dict.fromkeys(found))


def _texts(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    elif isinstance(entry, Mapping):
        for value in entry.values():
            yield from _texts(value)


def _of_text(text: str) -> list[Service]:
    """The service that an address of the configuration leads to; a path leads to none."""
    if text.startswith(("s3://", "s3a://")):
        return [service_checks.object_store(text)]
    if text.startswith("postgresql"):
        return [service_checks.database(text, "prediction log and record of promotions", "CHURN_PREDICTION_LOG")]
    return []


def _of_feast(config: Config, online: bool) -> list[Service]:
    path = Path(config.path(config.settings["feast_file"]))
    if not path.is_file():
        return []  # whoever opens it says so
    text = os.path.expandvars(path.read_text(encoding="utf-8"))
    if unset := sorted(set(re.findall(r"\$\{(\w+)\}", text))):
        return [connections.unset(str(path), unset)]
    content = yaml.safe_load(text)
    registry, store = content.get("registry"), content.get("online_store")
    found = []
    if isinstance(registry, dict) and registry.get("registry_type") == "sql":
        found.append(service_checks.database(registry["path"], "Feast's registry", "FEAST_REGISTRY_URL"))
    if online and isinstance(store, dict) and store.get("type") == "redis":
        found.append(service_checks.redis(store["connection_string"]))
    return found
