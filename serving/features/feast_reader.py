"""Feast's public call, for every store and option that the short ways do not know."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from typing import Any

from serving.features.reader import Found, MissingFeaturesError, Row

_THREADS = 4


class FeastReader:
    """Feast's public call, for every store."""

    def __init__(self, feast_file: str) -> None:
        self._feast_file = feast_file
        self._threads = ThreadPoolExecutor(_THREADS, "feast")
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
