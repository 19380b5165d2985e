"""Datasets over the prediction log: the newest customers, and the predictions whose outcome must be known by now."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from kedro.io import AbstractDataset, DatasetError

from churn.core.monitoring.operation import EARLIER, NEVER_ASKED, Traffic
from churn.core.monitoring.parameters import PerformanceParameters, WindowParameters
from churn.io.predictions.log_reader import CHUNK, FIELDS, count, last_time, newest, of_periods, reading, shown

if TYPE_CHECKING:
    from pandas import DataFrame
    from sqlalchemy import Connection


class LoggedWindow(NamedTuple):
    """The newest prediction of each customer (columns `FIELDS`), oldest first; how many repeats were left out; and the traffic."""

    rows: "DataFrame"
    repeated: int
    traffic: Traffic


def read_window(url: str, asked: WindowParameters, now: datetime) -> LoggedWindow:
    """The newest customers, those of one moment in random order, and how much was asked in the last `days` days and before.

    By count: `rows` x `pooled` customers. By time: those of the last `pooled` periods of `days` days, of each at most `max_rows`,
    chosen at random.

    Raises:
        ChurnError: if the database does not answer.
    """
    with reading(url) as log:
        if log is None:
            return LoggedWindow(_frame([]), 0, NEVER_ASKED)
        if asked.by == "count":
            found = newest(log, asked.rows * asked.pooled)
        else:
            found = of_periods(log, asked.max_rows, asked.days, asked.pooled, now)
        return LoggedWindow(_frame(found.rows[::-1]), found.repeated, _traffic(log, asked.days, now))


def read_mature(url: str, asked: PerformanceParameters, now: datetime) -> "DataFrame":
    """The newest customers' predictions among those that are at least `label_horizon_days` old, whatever became of them, oldest first.

    Raises:
        ChurnError: if the database does not answer.
    """
    with reading(url) as log:
        rows = [] if log is None else newest(log, asked.outcomes, now - timedelta(days=asked.label_horizon_days)).rows
    return _frame(rows[::-1])


class _LogDataset(AbstractDataset[Any, Any]):
    """Saving says what is asked, loading reads it, once in a run: every node sees the same.

    Args:
        url: the prediction log, SQLite or PostgreSQL; a relative SQLite path starts from the project's folder.
    """

    def __init__(self, url: str, metadata: dict[str, Any] | None = None) -> None:
        self._url, self.metadata = url, metadata
        self._asked: Any = None
        self._loaded: Any = None

    def save(self, data: Any) -> None:
        """Keep what is asked."""
        self._asked, self._loaded = data, None

    def load(self) -> Any:
        """The answer.

        Raises:
            ChurnError: if the database does not answer.
        """
        if self._asked is None:
            raise DatasetError("Say what is asked first: save the parameters.")
        if self._loaded is None:
            self._loaded = self._read(self._asked, datetime.now(UTC))
        return self._loaded

    def release(self) -> None:
        """Forget what was read."""
        self._loaded = None

    def _read(self, asked: Any, now: datetime) -> Any:
        raise NotImplementedError

    def _exists(self) -> bool:
        return self._asked is not None

    def _describe(self) -> dict[str, Any]:
        return {"log": shown(self._url)}


class PredictionWindowDataset(_LogDataset):
    """`read_window`: saving takes `WindowParameters`."""

    def _read(self, asked: WindowParameters, now: datetime) -> LoggedWindow:
        return read_window(self._url, asked, now)


class MaturePredictionsDataset(_LogDataset):
    """`read_mature`: saving takes `PerformanceParameters`."""

    def _read(self, asked: PerformanceParameters, now: datetime) -> "DataFrame":
        return read_mature(self._url, asked, now)


def feature_columns(texts: Sequence[str]) -> dict[str, list[Any]]:
    """The features of logged rows (JSON objects) by name, None where a row has none."""
    import orjson

    found: dict[str, list[Any]] = {}
    for start in range(0, len(texts), CHUNK):
        rows = orjson.loads("[" + ",".join(texts[start : start + CHUNK]) + "]")
        for name in dict.fromkeys(name for row in rows for name in row):
            found.setdefault(name, [None] * start)
        for name, values in found.items():
            values.extend(row.get(name) for row in rows)
    return found


def _traffic(log: "Connection", days: float, now: datetime) -> Traffic:
    span = timedelta(days=days)
    counts = tuple(count(log, now - (place + 1) * span, now - place * span) for place in range(EARLIER + 1))
    return Traffic(last_time(log), days, counts)


def _frame(rows: Sequence[Any]) -> "DataFrame":
    import pandas as pd

    frame = pd.DataFrame(rows, columns=list(FIELDS))
    for name in ("predicted_at", "features_as_of"):
        frame[name] = pd.to_datetime(frame[name], utc=True)
    return frame
