"""The gauges of the last monitoring verdict, for /metrics: read at most once a minute, away from the event loop."""

import asyncio
import logging
import time

from churn.io.predictions.gauges import read_gauges

_log = logging.getLogger(__name__)
_REST_SECONDS = 60.0
_PATIENCE_SECONDS = 1.0
"""A scrape waits so long for a reading; the next one shows what it found."""


class LastCheck:
    """What monitoring has left in the database of the prediction log.

    Where it cannot be read the last gauges stay: one of them says when the verdict was made.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._text = ""
        self._reading: asyncio.Task[str] | None = None
        self._rest_until = 0.0

    async def gauges(self) -> bytes:
        """In Prometheus' text format; empty before the first verdict."""
        if self._reading is None and time.monotonic() >= self._rest_until:
            self._reading = asyncio.create_task(asyncio.to_thread(read_gauges, self._url))
        if self._reading is not None:
            await asyncio.wait({self._reading}, timeout=_PATIENCE_SECONDS)
            self._take()
        return self._text.encode()

    def _take(self) -> None:
        if self._reading is None or not self._reading.done():
            return
        task, self._reading = self._reading, None
        self._rest_until = time.monotonic() + _REST_SECONDS
        if (error := task.exception()) is not None:
            _log.warning("The gauges of the last monitoring verdict cannot be read: %s", error)
        else:
            self._text = task.result()
