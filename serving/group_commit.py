"""Group commit: predictions that wait at the same time share one transaction.

While one commit runs in its thread, those that arrive gather for the next; and where other requests are on their way to
the log, a commit waits some milliseconds for them. After PostgreSQL's `commit_delay` and `commit_siblings`: a lone
request never waits.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from churn.io.predictions.prediction_log import Entry, PredictionLog
from serving import metrics
from serving.settings import LogParameters

_log = logging.getLogger(__name__)
_LARGEST = 5000
_AGAIN_SECONDS = 15.0
_GATHER_SECONDS = 0.005
"""A commit waits for the requests on their way for so long at most."""


class LogDownError(Exception):
    """The predictions are not on record."""


class GroupCommit:
    """The prediction log for coroutines of one event loop."""

    def __init__(self, log: PredictionLog, parameters: LogParameters) -> None:
        self._log, self._parameters = log, parameters
        self._thread = ThreadPoolExecutor(1, "prediction-log")
        self._waiting: list[tuple[Sequence[Entry], asyncio.Future[None]]] = []
        self._queued = self._coming = 0
        self._arrived: asyncio.Event = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self.last_error: str | None = None

    async def open(self) -> None:
        """Connect and migrate.

        Raises:
            LogDownError: if that fails or takes too long; a later write tries again.
        """
        try:
            async with asyncio.timeout(self._parameters.timeout + 10):
                await asyncio.get_running_loop().run_in_executor(self._thread, self._log.open)
        except Exception as error:
            self.last_error = _first_line(error)
            raise LogDownError(self.last_error) from error

    async def watch(self) -> None:
        """Connect, and after a failure try again and again: readiness follows without anybody asking for a prediction."""
        try:
            await self.open()
        except LogDownError as error:
            _log.error("The prediction log cannot be opened: %s", error)
        while True:
            await asyncio.sleep(_AGAIN_SECONDS)
            if self.last_error is not None:
                with contextlib.suppress(LogDownError):
                    await self.record([])

    def expect(self) -> None:
        """A request is on its way to `record`; it says `arrive` when it is there, or when it is not coming."""
        self._coming += 1

    def arrive(self) -> None:
        """See `expect`."""
        self._coming -= 1
        if not self._coming:
            self._arrived.set()

    async def record(self, entries: Sequence[Entry]) -> None:
        """Return once the entries are committed.

        Raises:
            LogDownError: if they could not be, or not in time; also if the queue is full, or an earlier commit hangs.
        """
        if self._queued >= self._parameters.queue:
            raise LogDownError(f"{self._queued} predictions are waiting for the log already")
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        self._waiting.append((entries, done))
        self._queued += len(entries)
        if self._writer is None:
            self._writer = asyncio.ensure_future(self._write())
        late = loop.call_later(self._parameters.timeout, _settle, done, TimeoutError())
        try:
            await done
        except TimeoutError:
            self.last_error = f"no commit within {self._parameters.timeout:g} s"
            raise LogDownError(self.last_error) from None
        finally:
            late.cancel()

    async def close(self) -> None:
        """Finish what is waiting, then close. A database that hangs is not waited for."""
        if self._writer is not None:
            _, late = await asyncio.wait([self._writer], timeout=self._parameters.timeout)
            if late:
                self._log.abandon()
        self._thread.submit(self._log.close)
        self._thread.shutdown(wait=False)

    async def _write(self) -> None:
        try:
            while self._waiting:
                await self._gather()
                group = self._take()
                metrics.LOG_QUEUE.set(self._queued)
                if not group:
                    continue
                entries = [entry for one, _ in group for entry in one]
                error: Exception | None = None
                try:
                    await self._commit(entries)
                    self.last_error = None
                except Exception as failure:  # noqa: BLE001 - every waiting request hears of it
                    error = self._failed(failure, len(entries))
                self._queued -= len(entries)
                metrics.LOG_QUEUE.set(self._queued)
                for _, done in group:
                    _settle(done, error)
        finally:
            self._writer = None

    def _take(self) -> list[tuple[Sequence[Entry], asyncio.Future[None]]]:
        """As many as fit one transaction, at least one, of those whose request still waits: the others have been told 503, or have gone."""
        waiting = [(entries, done) for entries, done in self._waiting if not done.done()]
        self._queued = sum(len(entries) for entries, _ in waiting)
        size = count = 0
        for entries, _ in waiting:
            size += len(entries)
            if count and size > _LARGEST:
                break
            count += 1
        group, self._waiting = waiting[:count], waiting[count:]
        return group

    async def _commit(self, entries: Sequence[Entry]) -> None:
        """Write; and do not wait for ever for a database that has fallen silent, when everybody who waited has been told."""
        writing = asyncio.get_running_loop().run_in_executor(self._thread, self._log.write, entries)
        while not (await asyncio.wait([writing], timeout=2 * self._parameters.timeout))[0]:
            self._log.abandon()
        await writing

    def _failed(self, failure: Exception, count: int) -> LogDownError:
        self.last_error = _first_line(failure)
        _log.error("The prediction log could not be written (%d predictions): %s", count, self.last_error)
        return LogDownError(self.last_error)

    async def _gather(self) -> None:
        if self._coming:
            self._arrived.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GATHER_SECONDS):
                    await self._arrived.wait()


def _settle(done: "asyncio.Future[None]", error: Exception | None) -> None:
    if done.done():  # its request waited too long, or has gone
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
