"""Reading the prediction log: the newest customers, and the predictions whose outcome is known."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset, DatasetError

from churn.config import rooted
from churn.core.errors import ChurnError
from churn.core.monitoring.parameters import WindowParameters
from churn.io.predictions.prediction_log import PRODUCTION, TABLE

if TYPE_CHECKING:
    from pandas import DataFrame
    from sqlalchemy import Connection, Engine, TableClause

_SCAN = 20
"""How many log rows are looked through for each customer wanted: repeats are skipped, the whole log is not read."""
_CHUNK = 10_000
"""Rows parsed at once: bounds the memory."""
_FIELDS = ("prediction_id", "predicted_at", "customer_id", "features", "features_as_of", "probability", "model_version")


class PredictionWindowDataset(AbstractDataset[Any, Any]):
    """The newest production predictions, one for each customer. Saving says which, loading reads them.

    Args:
        url: the prediction log, SQLite or PostgreSQL; a relative SQLite path starts from the project's folder.
    """

    def __init__(self, url: str, metadata: dict[str, Any] | None = None) -> None:
        self._url, self.metadata = url, metadata
        self._asked: WindowParameters | None = None

    def save(self, data: WindowParameters) -> None:
        """Keep which window is asked for."""
        self._asked = data

    def load(self) -> "DataFrame":
        """The window and those before it that are pooled, oldest first; `repeated` counts the rows left out.

        Raises:
            ChurnError: if the database does not answer.
        """
        if self._asked is None:
            raise DatasetError("Say which window first: save WindowParameters.")
        return read_window(self._url, self._asked, datetime.now(UTC))

    def _exists(self) -> bool:
        return self._asked is not None

    def _describe(self) -> dict[str, Any]:
        return {"log": _shown(self._url)}


class LabelledPredictionsDataset(AbstractDataset[Any, Any]):
    """Predictions whose outcome is known. Saving gives the outcomes (customer_id, churned, observed_at), loading the predictions.

    Args:
        url: the prediction log, as above.
        horizon_days: how long before its outcome a prediction may have been made.
    """

    def __init__(self, url: str, horizon_days: float = 366, metadata: dict[str, Any] | None = None) -> None:
        self._url, self._horizon, self.metadata = url, timedelta(days=horizon_days), metadata
        self._outcomes: Any = None

    def save(self, data: "DataFrame") -> None:
        """Keep the outcomes."""
        self._outcomes = data

    def load(self) -> "DataFrame":
        """The newest prediction before each outcome, with `churned`; `eligible` counts the customers predicted in that time."""
        if self._outcomes is None:
            raise DatasetError("Give the outcomes first: save them.")
        return read_labelled(self._url, self._outcomes, self._horizon)

    def _exists(self) -> bool:
        return self._outcomes is not None

    def _describe(self) -> dict[str, Any]:
        return {"log": _shown(self._url)}


def read_window(url: str, asked: WindowParameters, now: datetime) -> "DataFrame":
    """The newest prediction of each of the newest customers, oldest first.

    By count: `rows` x `pooled` customers. By time: those of the last `days` x `pooled` days, `max_rows` a window at most.
    Column `repeated` (the same in every row): how many predictions of the same customers in that time were left out.
    """
    wanted = (asked.rows if asked.by == "count" else asked.max_rows) * asked.pooled
    since = now - timedelta(days=asked.days * asked.pooled) if asked.by == "time" else None
    with _Log(url) as log:
        rows = log.newest(wanted, since)
        repeated = log.count(rows[-1].predicted_at, now) - len(rows) if rows else 0
    frame = _frame(rows[::-1])
    frame["repeated"] = max(repeated, 0)
    return frame


def read_labelled(url: str, outcomes: "DataFrame", horizon: timedelta) -> "DataFrame":
    """The newest prediction before each outcome, oldest first, with the column `churned`.

    Column `eligible` (the same in every row): how many customers were predicted while these were.
    """
    import pandas as pd

    rows: list[Any] = []
    eligible = 0
    if len(outcomes):
        newest = outcomes.sort_values("observed_at").drop_duplicates("customer_id", keep="last")
        until, since = newest["observed_at"].max(), newest["observed_at"].min() - horizon
        with _Log(url) as log:
            rows = log.of_customers(newest["customer_id"].tolist(), since.to_pydatetime(), until.to_pydatetime())
            if rows:
                times = [row.predicted_at for row in rows]
                eligible = log.customers(min(times), max(times))
    frame = _frame(rows)
    if not len(frame):
        return frame.assign(churned=pd.Series(dtype=bool), eligible=0)
    joined = frame.merge(newest[["customer_id", "churned", "observed_at"]], on="customer_id")
    before = joined[joined["predicted_at"] < joined["observed_at"]].sort_values(["predicted_at", "prediction_id"])
    return before.drop_duplicates("customer_id", keep="last").assign(eligible=eligible).reset_index(drop=True)


def feature_columns(texts: Sequence[str]) -> dict[str, list[Any]]:
    """The features of logged rows (JSON objects) by name, None where a row has none."""
    import orjson

    found: dict[str, list[Any]] = {}
    for start in range(0, len(texts), _CHUNK):
        rows = orjson.loads("[" + ",".join(texts[start : start + _CHUNK]) + "]")
        for name in dict.fromkeys(name for row in rows for name in row):
            found.setdefault(name, [None] * start)
        for name, values in found.items():
            values.extend(row.get(name) for row in rows)
    return found


class _Log:
    """The log, open for reading; a log that was never written to is empty."""

    def __init__(self, url: str) -> None:
        self._url = rooted(url)
        self._engine: Engine | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> "_Log":
        from sqlalchemy import create_engine, inspect, make_url
        from sqlalchemy.exc import SQLAlchemyError

        address = make_url(self._url)
        if address.get_backend_name() == "sqlite" and not Path(address.database or "").is_file():
            return self
        self._engine = create_engine(address)
        try:
            self._connection = self._engine.connect()
            if not inspect(self._connection).has_table(TABLE):
                self.__exit__()
        except SQLAlchemyError as error:
            self.__exit__()
            reason = str(getattr(error, "orig", error)).splitlines()[0]
            raise ChurnError(f"The prediction log at {_shown(self._url)} cannot be read: {reason}") from None
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._engine is not None:
            self._engine.dispose()

    def newest(self, wanted: int, since: datetime | None) -> list[Any]:
        """Newest first: read in order of the index, one row for each customer, until there are enough."""
        from sqlalchemy import select

        if self._connection is None:
            return []
        log = _table()
        rows = select(*(log.c[name] for name in _FIELDS)).where(log.c.kind.in_(PRODUCTION))
        if since is not None:
            rows = rows.where(log.c.predicted_at >= since)
        question = rows.order_by(log.c.predicted_at.desc()).limit(wanted * _SCAN)
        found: dict[str, Any] = {}
        with self._connection.execution_options(stream_results=True, yield_per=_CHUNK).execute(question) as result:
            for row in result:
                found.setdefault(row.customer_id, row)
                if len(found) == wanted:
                    break
        return list(found.values())

    def of_customers(self, customers: Sequence[str], since: datetime, until: datetime) -> list[Any]:
        from sqlalchemy import select

        log = _table()
        found = select(*(log.c[name] for name in _FIELDS)).where(log.c.kind.in_(PRODUCTION), log.c.predicted_at.between(since, until))
        return self._rows(found.where(log.c.customer_id.in_(customers)).order_by(log.c.predicted_at))

    def count(self, since: datetime, until: datetime) -> int:
        from sqlalchemy import func

        return self._number(func.count(), since, until)

    def customers(self, since: datetime, until: datetime) -> int:
        from sqlalchemy import distinct, func

        return self._number(func.count(distinct(_table().c.customer_id)), since, until)

    def _number(self, what: Any, since: datetime, until: datetime) -> int:
        from sqlalchemy import select

        log = _table()
        found = select(what).select_from(log).where(log.c.kind.in_(PRODUCTION), log.c.predicted_at.between(since, until))
        return 0 if self._connection is None else int(self._connection.execute(found).scalar_one())

    def _rows(self, question: Any) -> list[Any]:
        return [] if self._connection is None else list(self._connection.execute(question))


@cache
def _table() -> "TableClause":
    """One object: two of the same name would be joined."""
    from sqlalchemy import DateTime, Float, String, column, table

    times, numbers = ("predicted_at", "features_as_of"), ("probability",)
    kinds: dict[str, Any] = {**dict.fromkeys(times, DateTime(timezone=True)), **dict.fromkeys(numbers, Float())}
    return table(TABLE, *(column(name, kinds.get(name, String())) for name in (*_FIELDS, "kind")))


def _frame(rows: Sequence[Any]) -> "DataFrame":
    import pandas as pd

    frame = pd.DataFrame(rows, columns=list(_FIELDS))
    for name in ("predicted_at", "features_as_of"):
        frame[name] = pd.to_datetime(frame[name], utc=True)
    return frame


def _shown(url: str) -> str:
    """The address without its password."""
    from sqlalchemy import make_url

    return make_url(url).render_as_string(hide_password=True)
