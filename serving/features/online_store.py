"""Which reader knows Feast's online store.

SQLite and Redis are read directly, in Feast's own encoding: a fraction of the CPU of Feast's call and none of its
imports. Every other store, and every option of these two that is not known here, goes through Feast's public call.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from churn.core.errors import ChurnError
from serving.features.feast_reader import FeastReader
from serving.features.reader import FeatureReader


@dataclass(frozen=True)
class StoreFile:
    """What a feature_store.yaml says of the online store."""

    path: Path
    project: str
    online: dict[str, Any]
    plain: bool
    """Whether keys are encoded as this program knows them."""


def read_store_file(feast_file: str) -> StoreFile:
    """Read a feature_store.yaml as Feast does: environment variables filled in.

    Raises:
        ChurnError: if it does not exist or names no online store.
    """
    path = Path(feast_file).resolve()
    if not path.is_file():
        raise ChurnError(f"There is no Feast configuration at {path}. Set `feast_file` in conf/*/globals.yml.")
    content = yaml.safe_load(os.path.expandvars(path.read_text(encoding="utf-8"))) or {}
    online, registry = content.get("online_store"), content.get("registry")
    if not isinstance(online, dict) or "project" not in content:
        raise ChurnError(f"{path} names no project or no online store.")
    versioned = isinstance(registry, dict) and registry.get("enable_online_feature_view_versioning", False)
    plain = content.get("entity_key_serialization_version", 3) == 3 and not versioned  # noqa: PLR2004 - Feast's format version
    return StoreFile(path, content["project"], online, plain)


def open_reader(feast_file: str) -> FeatureReader:
    """The fastest reader that knows this store.

    Args:
        feast_file: the feature_store.yaml.

    Raises:
        ChurnError: if the file is missing or incomplete.
    """
    store = read_store_file(feast_file)
    kind = store.online.get("type")
    if store.plain and kind == "sqlite" and set(store.online) <= {"type", "path"}:
        from serving.features.sqlite_reader import SqliteReader

        return SqliteReader(store.path.parent / store.online.get("path", "data/online.db"), store.project)
    if store.plain and kind == "redis":
        from serving.features.redis_reader import RedisReader, address

        if (known := address(store.online)) is not None:
            return RedisReader(known, store.project)
    return FeastReader(feast_file)
