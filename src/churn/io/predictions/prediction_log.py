"""The prediction log: one row for every answered prediction, in SQLite or PostgreSQL (SQLAlchemy).

What a row is and how the table got its shape are here; who waits for whom is the caller's.
"""

import contextlib
import logging
import os
import socket
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from churn.core.errors import ChurnError
from churn.io.predictions.log_engine import BEGIN, SECONDS, open_engine

if TYPE_CHECKING:
    from sqlalchemy import Connection

TABLE = "prediction_log"
VERSIONS = "prediction_log_schema"
GAUGES = "monitoring_gauges"
"""What the last verdict of monitoring tells Prometheus: one row, here because the API and the pipelines share this database."""

Kind = Literal["predict", "batch", "what-if"]
PRODUCTION: tuple[Kind, ...] = ("predict", "batch")
"""The kinds that monitoring counts as production traffic."""

_LOCK = 0x63687572  # any number, the same in every process: PostgreSQL's advisory lock for migrations
_TIME = {"sqlite": "TIMESTAMP", "postgresql": "TIMESTAMP WITH TIME ZONE"}
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        f"""CREATE TABLE {TABLE} (
            prediction_id VARCHAR(36) PRIMARY KEY,
            predicted_at {{time}} NOT NULL,
            kind VARCHAR(16) NOT NULL,
            customer_id TEXT NOT NULL,
            features TEXT NOT NULL,
            features_as_of {{time}} NOT NULL,
            probability DOUBLE PRECISION NOT NULL,
            threshold DOUBLE PRECISION NOT NULL,
            model_version VARCHAR(32) NOT NULL,
            request_id VARCHAR(100) NOT NULL
        )""",
        f"CREATE INDEX {TABLE}_time ON {TABLE} (predicted_at)",
    ),
    (f"CREATE TABLE {GAUGES} (id INTEGER PRIMARY KEY, content TEXT NOT NULL)",),
)
"""The table's history: entry n takes version n to n + 1. Entries are added, never changed."""

_TOGETHER = 100
"""Rows per statement; a driver takes some thousand values."""
_ZONE = len("+00:00")

_log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """One answered prediction. `features` is a JSON object of every feature used; times are UTC."""

    prediction_id: str
    predicted_at: datetime
    kind: Kind
    customer_id: str
    features: str
    features_as_of: datetime
    probability: float
    threshold: float
    model_version: str
    request_id: str


class PredictionLog:
    """Writes entries, each call one transaction. Not to be written from two threads at once.

    SQLite runs with WAL and synchronous=FULL: what is committed survives a kill and a power cut.
    """

    def __init__(self, url: str, seconds: float = SECONDS) -> None:
        """Nothing is opened yet: the first write, or `open`, does.

        Args:
            url: for SQLAlchemy, which keeps the connection and migrates; rows go through its driver.
            seconds: how long PostgreSQL may take for a statement, or its network for an acknowledgement.

        Raises:
            ChurnError: if the URL is neither SQLite nor PostgreSQL.
        """
        self._engine = open_engine(url, seconds)
        self._postgresql = self._engine.dialect.name == "postgresql"
        self._errors: Any = self._engine.dialect.loaded_dbapi.Error
        self._mark = "?" if self._engine.dialect.paramstyle == "qmark" else "%s"
        self._row: Callable[[Entry], tuple[Any, ...]] = tuple if self._postgresql else _as_text
        self._open: Connection | None = None
        self._driver: Any = None
        self._abandoned = False

    def open(self) -> None:
        """Connect, and bring the table to this program's version.

        Raises:
            ChurnError: if the table is of a newer program.
            sqlalchemy.exc.SQLAlchemyError: if the database does not answer.
        """
        if self._open is None:
            connection = self._engine.connect()
            try:
                migrate(connection)
            except BaseException:
                connection.close()
                raise
            self._open, self._driver = connection, connection.connection.dbapi_connection

    def write(self, entries: Sequence[Entry]) -> None:
        """Commit the entries, all or none; an entry that is there already stays as it is.

        A connection that the server has closed is replaced once.

        Raises:
            Exception: the driver's or SQLAlchemy's, if they could not be committed.
            ChurnError: as `open`.
        """
        self._abandoned = False
        try:
            self._write(entries)
        except self._errors as error:
            lost = self._driver is not None and self._engine.dialect.is_disconnect(error, self._driver, None)
            self.close()
            if self._abandoned or not lost:
                raise
            self._write(entries)

    def abandon(self) -> None:
        """From another thread: let a write that waits for PostgreSQL end, with an error. SQLite keeps nobody waiting for long."""
        driver = self._driver
        if self._postgresql and driver is not None:
            self._abandoned = True
            with contextlib.suppress(OSError, self._errors), socket.socket(fileno=os.dup(driver.fileno())) as own:
                own.shutdown(socket.SHUT_RDWR)

    def _write(self, entries: Sequence[Entry]) -> None:
        self.open()
        try:
            cursor = self._driver.cursor()
            if not self._postgresql:  # whose driver begins by itself
                cursor.execute(BEGIN)
            for start in range(0, len(entries), _TOGETHER):
                values = [self._row(entry) for entry in entries[start : start + _TOGETHER]]
                cursor.execute(_insert(self._mark, len(values)), tuple(chain.from_iterable(values)))
            self._driver.commit()
        except BaseException:
            with contextlib.suppress(self._errors):  # the connection is lost
                self._driver.rollback()
            raise

    def close(self) -> None:
        """Close the connection; a later write opens another."""
        if self._open is not None:
            self._driver = None
            self._open.invalidate()  # closed, not given back to the pool: perhaps nobody answers there
            self._open.close()
            self._open = None


def migrate(connection: "Connection") -> int:
    """Apply the migrations that the database has not seen, in one transaction; safe from several processes.

    Returns:
        The version the table has now.

    Raises:
        ChurnError: if the database is of a newer program.
    """
    kind = connection.dialect.name
    if kind == "postgresql":  # SQLite's transaction has locked out the others already
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")  # a large table, or another process that migrates it, takes its time
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    connection.exec_driver_sql(f"CREATE TABLE IF NOT EXISTS {VERSIONS} (version INTEGER NOT NULL)")
    version = connection.exec_driver_sql(f"SELECT coalesce(max(version), 0) FROM {VERSIONS}").scalar_one()  # noqa: S608
    if version > len(MIGRATIONS):
        connection.rollback()
        raise ChurnError(f"The prediction log is of schema version {version}; this program knows {len(MIGRATIONS)}. Update the program.")
    for number, statements in enumerate(MIGRATIONS[version:], version + 1):
        for statement in statements:
            connection.exec_driver_sql(statement.replace("{time}", _TIME[kind]))
        connection.exec_driver_sql(f"INSERT INTO {VERSIONS} (version) VALUES ({number})")  # noqa: S608
        _log.info("The prediction log is of schema version %d", number)
    connection.commit()
    return len(MIGRATIONS)


def _as_text(entry: Entry) -> tuple[Any, ...]:
    """The entry with its times as SQLAlchemy's DateTime keeps them in SQLite: UTC without a zone."""
    return (entry.prediction_id, _utc(entry.predicted_at), *entry[2:5], _utc(entry.features_as_of), *entry[6:])


@lru_cache(maxsize=1024)  # the features of a table are of few times
def _utc(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(" ", "microseconds")[:-_ZONE]


@lru_cache(maxsize=_TOGETHER)
def _insert(mark: str, rows: int) -> str:
    """One statement for all rows: the driver lets go of the interpreter once, not once a row."""
    marks = ", ".join([f"({', '.join([mark] * len(Entry._fields))})"] * rows)
    return f"INSERT INTO {TABLE} ({', '.join(Entry._fields)}) VALUES {marks} ON CONFLICT (prediction_id) DO NOTHING"  # noqa: S608
