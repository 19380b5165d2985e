"""Feast's SQLite online store, read directly."""

import asyncio
import sqlite3
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from churn.core.declaration import CUSTOMER_ID
from serving.features.feast_encoding import decode_value, entity_key, entity_key_prefix, entity_value
from serving.features.reader import EXAMPLES, Found, MissingFeaturesError, Row

_VIEW = "customer_features"
_THREADS = 4
_BUSY_SECONDS = 0.2


class SqliteReader:
    """Reads in threads of its own, so that a file system that hangs does not stop the server.

    A store file that has been replaced (Feast's or the pipeline's materialization) is noticed at the next read.
    """

    def __init__(self, path: Path, project: str) -> None:
        self._path = path.resolve()
        self._table = f"{project}_{_VIEW}".replace('"', '""')
        self._prefix = entity_key_prefix(CUSTOMER_ID)
        self._threads = ThreadPoolExecutor(_THREADS, "features")
        self._local = threading.local()

    async def read(self, customer_ids: Sequence[str], names: Sequence[str]) -> list[Found]:
        """See `FeatureReader`."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, customer_ids, names)

    async def examples(self) -> list[str]:
        """See `FeatureReader`."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._examples)

    async def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _read(self, customer_ids: Sequence[str], names: Sequence[str]) -> list[Found]:
        keys = [entity_key(self._prefix, customer) for customer in customer_ids]
        marks = ",".join("?" * len(keys))
        query = f'SELECT entity_key, feature_name, value, event_ts FROM "{self._table}" WHERE entity_key IN ({marks})'  # noqa: S608
        found: dict[bytes, dict[str, tuple[bytes, int]]] = {}
        for key, name, value, at in self._connection().execute(query, keys):
            found.setdefault(key, {})[name] = (value, at)
        return [_row(found.get(key), names) for key in keys]

    def _examples(self) -> list[str]:
        query = f'SELECT DISTINCT entity_key FROM "{self._table}" LIMIT {EXAMPLES}'  # noqa: S608
        keys = [key for (key,) in self._connection().execute(query)]
        if not keys:
            raise MissingFeaturesError(["customers"])
        return [entity_value(self._prefix, key) for key in keys]

    def _connection(self) -> sqlite3.Connection:
        stat = self._path.stat()
        state = (stat.st_dev, stat.st_ino)
        if getattr(self._local, "state", None) != state:
            if (old := getattr(self._local, "connection", None)) is not None:
                old.close()
            address = f"{self._path.as_uri()}?mode=ro"
            self._local.connection = sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
            self._local.state = state
        return self._local.connection  # type: ignore[no-any-return]


def _row(found: dict[str, tuple[bytes, int]] | None, names: Sequence[str]) -> Found:
    if found is None:
        return None
    if absent := [name for name in names if name not in found]:
        return MissingFeaturesError(absent)
    values: list[Any] = [decode_value(found[name][0]) for name in names]
    return Row(values, _time(max(found[name][1] for name in names)))


def _time(stored: int) -> datetime:
    """Feast stores UTC read as local time: `datetime.timestamp()` of a naive UTC value."""
    return datetime.fromtimestamp(stored).replace(tzinfo=UTC)
