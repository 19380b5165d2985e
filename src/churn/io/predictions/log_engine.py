"""How the prediction log's database is connected to: durable in SQLite, with time limits in PostgreSQL."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn.core.errors import ChurnError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

KINDS = ("sqlite", "postgresql")
SECONDS = 5.0
"""How long a database may take for a statement where nobody says otherwise."""
BEGIN = "BEGIN IMMEDIATE"
"""SQLite's, with the lock at once: one that comes later can fail."""


def open_engine(url: str, seconds: float) -> "Engine":
    """An engine for the log's database; nothing is connected yet.

    Args:
        url: for SQLAlchemy.
        seconds: how long PostgreSQL may take for a statement, or its network for an acknowledgement.

    Raises:
        ChurnError: if the URL is neither SQLite nor PostgreSQL.
    """
    from sqlalchemy import create_engine, event, make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ChurnError(f"The URL of the prediction log is no database URL: {error}") from None
    kind = parsed.get_backend_name()
    if kind not in KINDS:
        raise ChurnError(f"The prediction log may be sqlite or postgresql, not {kind!r}.")
    if kind == "postgresql":
        engine = create_engine(parsed, connect_args=_limits(seconds))
        event.listen(engine, "connect", partial(_limit_statements, seconds))
        return engine
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, connect_args={"timeout": 5, "check_same_thread": False})
    event.listen(engine, "connect", _durable)
    event.listen(engine, "begin", _begin)
    return engine


def _limits(seconds: float) -> dict[str, int]:
    """libpq's: how long to try to connect, and when a server whose network is silent counts as gone."""
    whole = max(1, round(seconds))
    return {"connect_timeout": 2, "tcp_user_timeout": round(1000 * seconds), "keepalives_idle": whole, "keepalives_interval": whole}


def _limit_statements(seconds: float, connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET statement_timeout = {round(1000 * seconds)}")  # in milliseconds; waiting for a lock counts
    connection.commit()


def _durable(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver's own BEGIN would come late and lock later
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: "Connection") -> None:
    connection.exec_driver_sql(BEGIN)
