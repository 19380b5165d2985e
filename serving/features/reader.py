"""Reading a customer's features from Feast's online store.

SQLite and Redis are read directly, in Feast's own encoding: a fraction of the CPU of Feast's call and none of its
imports. Every other store, and every option of these two that is not known here, goes through Feast's public call.
"""

import asyncio
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import yaml

from churn.core.errors import ChurnError

_FEAST_THREADS = 4
EXAMPLES = 20


class Row(NamedTuple):
    """One customer's values in the order asked for, and the time they describe (UTC)."""

    values: list[Any]
    as_of: datetime


class MissingFeaturesError(Exception):
    """The store knows the customer but not these features: what it holds of the customer and the model are of different declarations."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"the online store has no {', '.join(names)}")
        self.names = tuple(names)


Found = Row | MissingFeaturesError | None
"""What the store has of one customer: a row, one that lacks features (the error names them), or nothing."""


class FeatureReader(Protocol):
    """Where features are read. An exception means the store is down, but for `examples` of an empty one."""

    async def read(self, customer_ids: Sequence[str], names: Sequence[str]) -> list[Found]:
        """What is found of each customer, in the order asked."""

    async def examples(self) -> list[str]:
        """Some customer ids of the store, at most `EXAMPLES`; empty where a store cannot tell.

        Raises:
            MissingFeaturesError: if the store holds nothing at all.
        """

    async def close(self) -> None:
        """Let go of connections and threads."""


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


class FeastReader:
    """Feast's public call, for every store."""

    def __init__(self, feast_file: str) -> None:
        self._feast_file = feast_file
        self._threads = ThreadPoolExecutor(_FEAST_THREADS, "feast")
        self._opening = threading.Lock()
        self._online: Any = None

    async def read(self, customer_ids: Sequence[str], names: Sequence[str]) -> list[Found]:
        """See `FeatureReader`."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, customer_ids, names)

    async def examples(self) -> list[str]:
        """Not every store can tell; but Feast is imported, and the store has answered."""
        await self.read(["-"], [])
        return []

    async def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _read(self, customer_ids: Sequence[str], names: Sequence[str]) -> list[Found]:
        from churn.io.features.reads import OnlineFeatures

        with self._opening:
            if self._online is None:
                self._online = OnlineFeatures(self._feast_file)
        answer = self._online.read(customer_ids)
        if absent := [name for name in names if name not in answer.columns]:
            return [MissingFeaturesError(absent)] * len(customer_ids)
        columns = [answer.columns[name] for name in names]
        return [
            None if as_of is None else Row([column[place] for column in columns], as_of.astimezone(UTC))
            for place, as_of in enumerate(answer.as_of)
        ]
