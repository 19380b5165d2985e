"""Questions to the prediction log: the newest customers in an order that is the same in every database, and how much is asked."""

import hashlib
import heapq
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from churn.config import rooted
from churn.core.errors import ChurnError
from churn.io.predictions.prediction_log import PRODUCTION, TABLE

if TYPE_CHECKING:
    from sqlalchemy import Connection, TableClause

FIELDS = ("prediction_id", "predicted_at", "customer_id", "features", "features_as_of", "probability", "model_version")
CHUNK = 10_000
"""Rows read at once: bounds the memory."""
_SCAN = 20
"""How many log rows are looked through for each customer wanted: repeats are skipped, the whole log is not read."""
_CONNECT_SECONDS = 5


class Found(NamedTuple):
    """Rows with the fields of `FIELDS`, one for each customer, newest first; how many repeats of customers were skipped."""

    rows: list[Any]
    repeated: int


@contextmanager
def reading(url: str, table: str = TABLE) -> Iterator["Connection | None"]:
    """A connection for reading; None where there is no such database file, or no such table in it.

    Raises:
        ChurnError: if the database does not answer.
    """
    from sqlalchemy import create_engine, inspect, make_url
    from sqlalchemy.exc import SQLAlchemyError

    address = make_url(rooted(url))
    is_file = address.get_backend_name() == "sqlite"
    if is_file and not Path(address.database or "").is_file():
        yield None
        return
    engine = create_engine(address, connect_args={} if is_file else {"connect_timeout": _CONNECT_SECONDS})
    try:
        with engine.connect() as connection:
            yield connection if inspect(connection).has_table(table) else None
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).splitlines()[0]
        raise ChurnError(f"The prediction log at {shown(url)} cannot be read: {reason}") from None
    finally:
        engine.dispose()


def newest(connection: "Connection", wanted: int, until: datetime | None = None) -> Found:
    """The newest prediction of each of the newest customers: those of one moment, such as a batch, in random order.

    Args:
        connection: to the log.
        wanted: how many customers.
        until: predictions after it do not count.
    """
    found: dict[str, Any] = {}
    repeated = 0
    for row in _stream(connection, None, until, wanted * _SCAN):
        if row.customer_id in found:
            repeated += 1
        elif len(found) == wanted:
            break
        else:
            found[row.customer_id] = row
    return Found(list(found.values()), repeated)


def of_periods(connection: "Connection", most: int, days: float, periods: int, now: datetime) -> Found:
    """The newest prediction of each customer in periods of so many days, the last of which ends now.

    Of a period with more than `most` customers it is a random part.
    """
    span = timedelta(days=days)
    rows: list[Any] = []
    seen: set[str] = set()
    repeated = 0
    stream = _stream(connection, now - periods * span, now, most * periods * _SCAN)
    for _, period in groupby(stream, key=lambda row: int((now - aware(row.predicted_at)) / span)):
        fresh: list[Any] = []
        for row in period:
            if row.customer_id in seen:
                repeated += 1
                continue
            seen.add(row.customer_id)
            fresh.append(row)
            if len(fresh) == 2 * most:  # bounds the memory
                fresh = heapq.nsmallest(most, fresh, key=_chance)
        chosen = heapq.nsmallest(most, fresh, key=_chance)
        rows += sorted(chosen, key=lambda row: aware(row.predicted_at), reverse=True)
    return Found(rows, repeated)


def count(connection: "Connection", since: datetime, until: datetime) -> int:
    """Production predictions after `since`, up to `until`."""
    from sqlalchemy import func, select

    log = _table()
    asked = select(func.count()).select_from(log).where(log.c.kind.in_(PRODUCTION), log.c.predicted_at > since, log.c.predicted_at <= until)
    return int(connection.execute(asked).scalar_one())


def last_time(connection: "Connection") -> datetime | None:
    """When the newest production prediction was made."""
    from sqlalchemy import select

    log = _table()
    asked = select(log.c.predicted_at).where(log.c.kind.in_(PRODUCTION)).order_by(log.c.predicted_at.desc()).limit(1)
    found = connection.execute(asked).scalar_one_or_none()
    return None if found is None else aware(found)


def aware(time: datetime) -> datetime:
    """A time of the log with its zone: SQLite keeps UTC without one."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


def shown(url: str) -> str:
    """The address without its password."""
    from sqlalchemy import make_url

    return make_url(url).render_as_string(hide_password=True)


def _chance(row: Any) -> bytes:
    """A place in a random order, the same in every database and at every reading.

    It is not the customer's: of a list that is asked for every night, each night chooses others.
    """
    return hashlib.blake2b(row.prediction_id.encode(), digest_size=8).digest()


def _stream(connection: "Connection", since: datetime | None, until: datetime | None, most: int) -> Iterator[Any]:
    """Newest first, which the index on the time gives; those of one moment by lot, since each database has an order of its own."""
    from sqlalchemy import select

    log = _table()
    rows = select(*(log.c[name] for name in FIELDS)).where(log.c.kind.in_(PRODUCTION))
    if since is not None:
        rows = rows.where(log.c.predicted_at > since)
    if until is not None:
        rows = rows.where(log.c.predicted_at <= until)
    question = rows.order_by(log.c.predicted_at.desc()).limit(most)
    with connection.execution_options(stream_results=True, yield_per=CHUNK).execute(question) as result:
        for _, moment in groupby(result, key=lambda row: row.predicted_at):
            yield from sorted(moment, key=_chance)


@cache
def _table() -> "TableClause":
    """One object: two of the same name would be joined."""
    from sqlalchemy import DateTime, Float, String, column, table

    times, numbers = ("predicted_at", "features_as_of"), ("probability",)
    kinds: dict[str, Any] = {**dict.fromkeys(times, DateTime(timezone=True)), **dict.fromkeys(numbers, Float())}
    return table(TABLE, *(column(name, kinds.get(name, String())) for name in (*FIELDS, "kind")))
