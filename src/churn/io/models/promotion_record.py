"""The lease for moving the champion, and the record of every move: two small tables in SQLite or PostgreSQL.

MLflow's alias is last-write-wins: of two that move it at once one is lost unseen. So a move needs the lease, which
one holder has at a time and which ends by itself if its holder dies. Each lease has a higher token than the one before,
and the tables take nothing from a holder whose token is not the newest (fencing; Kleppmann 2016, "How to do distributed locking").
"""

import json
import logging
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn.core.errors import ChurnError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

LEASE_SECONDS = 30.0
"""How long a holder may stay silent. A move takes about a second."""
WAIT_SECONDS = 120.0
"""How long a caller waits for its turn."""
MARGIN_SECONDS = 5.0
"""A step is begun only with so much of the lease left: it must be over before the lease ends."""

_LEASE, _MOVES = "promotion_lease", "promotions"
_LOCK = 0x70726F6D  # any number, the same in every process: PostgreSQL's advisory lock for making the tables
_DIALECTS = {
    "sqlite": {"now": "((julianday('now') - 2440587.5) * 86400.0)", "number": "INTEGER PRIMARY KEY AUTOINCREMENT"},
    "postgresql": {"now": "extract(epoch from clock_timestamp())", "number": "BIGSERIAL PRIMARY KEY"},
}
_TABLES = (
    f"""CREATE TABLE IF NOT EXISTS {_LEASE} (
        name VARCHAR(100) PRIMARY KEY, token BIGINT NOT NULL, holder TEXT NOT NULL, expires DOUBLE PRECISION NOT NULL)""",
    f"""CREATE TABLE IF NOT EXISTS {_MOVES} (
        number {{number}}, token BIGINT NOT NULL, action VARCHAR(20) NOT NULL, from_version VARCHAR(20), to_version VARCHAR(20),
        previous VARCHAR(20), who TEXT NOT NULL, reason TEXT NOT NULL, tags TEXT NOT NULL, started_at DOUBLE PRECISION NOT NULL,
        finished_at DOUBLE PRECISION, finished_by BIGINT, outcome VARCHAR(20) NOT NULL)""",
)
_HELD = f"EXISTS (SELECT 1 FROM {_LEASE} WHERE token = :token AND expires > {{now}} + :margin)"  # noqa: S608 - constants

logger = logging.getLogger(__name__)

BEGUN, DONE, ABANDONED = "begun", "done", "abandoned"


class LeaseLostError(ChurnError):
    """The lease ended before the move did; another holder may have it."""


@dataclass(frozen=True)
class Move:
    """One move of the champion. `previous` is the version that has the alias `Previous` afterwards; times are seconds since 1970."""

    number: int
    token: int
    action: str
    from_version: str | None
    to_version: str | None
    previous: str | None
    who: str
    reason: str
    tags: dict[str, str]
    started_at: float
    finished_at: float | None
    finished_by: int | None
    outcome: str


class PromotionRecord:
    """The two tables behind one database URL; they are made when they are first asked for."""

    def __init__(self, url: str, lease_seconds: float = LEASE_SECONDS, wait_seconds: float = WAIT_SECONDS) -> None:
        self._url, self._lease_seconds, self._wait_seconds = url, lease_seconds, wait_seconds
        self._margin = MARGIN_SECONDS * lease_seconds / LEASE_SECONDS

    @contextmanager
    def lease(self, holder: str) -> Iterator[int]:
        """Wait for the lease, hold it for the block, and give it back; the value is the token.

        Raises:
            ChurnError: if others have held it for longer than a caller waits.
        """
        token = self._wait(holder)
        try:
            yield token
        finally:
            self._give_back(token)

    def require(self, token: int) -> None:
        """Go on only while the lease is held.

        Raises:
            LeaseLostError: if it is not, or ends within moments.
        """
        if not self._rows(f"SELECT 1 AS held WHERE {_HELD}", token=token, margin=self._margin):
            raise LeaseLostError("The move took longer than its lease. Look at `churn status`, then try again.")

    def begin(self, token: int, move: dict[str, Any]) -> Move:
        """Write down what is going to be done: `action`, `from_version`, `to_version`, `previous`, `who`, `reason`, `tags`.

        Raises:
            LeaseLostError: if the lease is not held.
        """
        values = {**move, "tags": json.dumps(move["tags"], sort_keys=True), "token": token, "margin": self._margin, "begun": BEGUN}
        names = "action, from_version, to_version, previous, who, reason, tags"
        marks = ", ".join(f":{name}" if name == "tags" else f"CAST(:{name} AS TEXT)" for name in names.split(", "))
        found = self._rows(
            f"INSERT INTO {_MOVES} (token, started_at, outcome, {names}) "
            f"SELECT CAST(:token AS BIGINT), {{now}}, CAST(:begun AS TEXT), {marks} WHERE {_HELD} RETURNING *",
            **values,
        )
        if not found:
            raise LeaseLostError("The lease ended before anything was moved. Try again.")
        return _move(found[0])

    def finish(self, token: int, number: int, outcome: str = DONE) -> None:
        """Close a move.

        Raises:
            LeaseLostError: if the lease is not held, or another holder has closed it.
        """
        changed = self._change(
            f"UPDATE {_MOVES} SET outcome = :outcome, finished_by = :token, finished_at = {{now}} "  # noqa: S608
            f"WHERE number = :number AND outcome = '{BEGUN}' AND {_HELD}",
            token=token,
            number=number,
            outcome=outcome,
            margin=0,
        )
        if not changed:
            raise LeaseLostError("The move took longer than its lease. Look at `churn status`, then try again.")

    def moves(self) -> list[Move]:
        """Every move, oldest first."""
        return [_move(row) for row in self._rows(f"SELECT * FROM {_MOVES} ORDER BY number")]  # noqa: S608

    def _wait(self, holder: str) -> int:
        end = time.monotonic() + self._wait_seconds
        while True:
            found = self._rows(
                f"INSERT INTO {_LEASE} (name, token, holder, expires) VALUES ('champion', 1, :holder, {{now}} + :seconds) "  # noqa: S608
                f"ON CONFLICT (name) DO UPDATE SET token = {_LEASE}.token + 1, holder = excluded.holder, expires = excluded.expires "
                f"WHERE {_LEASE}.expires <= {{now}} RETURNING token",
                holder=holder,
                seconds=self._lease_seconds,
            )
            if found:
                return int(found[0]["token"])
            if time.monotonic() > end:
                (other,) = self._rows(f"SELECT holder FROM {_LEASE}")  # noqa: S608
                raise ChurnError(
                    f"Another promotion has been going on for {self._wait_seconds:g} seconds, by {other['holder']}. Try again later."
                )
            time.sleep(random.uniform(0.02, 0.1))  # noqa: S311 - so that waiting processes do not march in step

    def _give_back(self, token: int) -> None:
        try:
            self._change(f"UPDATE {_LEASE} SET expires = 0 WHERE token = :token", token=token)  # noqa: S608
        except ChurnError as error:  # what was done is done, and the lease ends by itself
            logger.warning("The lease for moving the champion was not given back and ends in %g seconds: %s", self._lease_seconds, error)

    def _rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        from sqlalchemy import text

        with self._transaction() as connection:
            return [dict(row) for row in connection.execute(text(statement.replace("{now}", self._words["now"])), values).mappings()]

    def _change(self, statement: str, **values: Any) -> int:
        from sqlalchemy import text

        with self._transaction() as connection:
            return int(connection.execute(text(statement.replace("{now}", self._words["now"])), values).rowcount)

    @contextmanager
    def _transaction(self) -> Iterator["Connection"]:
        from sqlalchemy import make_url
        from sqlalchemy.exc import OperationalError

        try:
            with self._engine.begin() as connection:
                yield connection
        except OperationalError as error:
            place = make_url(self._url).render_as_string(hide_password=True)
            raise ChurnError(f"The record of promotions, {place}, does not answer: {str(error.orig).strip()}") from error

    @property
    def _words(self) -> dict[str, str]:
        return _DIALECTS[self._engine.dialect.name]

    @cached_property
    def _engine(self) -> "Engine":
        engine = _connect(self._url)
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            for table in _TABLES:
                connection.exec_driver_sql(table.replace("{number}", _DIALECTS[engine.dialect.name]["number"]))
        return engine


def _connect(url: str) -> "Engine":
    from sqlalchemy import create_engine, make_url
    from sqlalchemy.exc import ArgumentError
    from sqlalchemy.pool import NullPool

    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ChurnError(
            "`promotions` of globals.yml is no database URL: it must start with sqlite:/// or postgresql+psycopg://."
        ) from None
    kind = parsed.get_backend_name()
    if kind not in _DIALECTS:
        raise ChurnError(f"`promotions` of globals.yml may be a sqlite or postgresql database, not {kind!r}.")
    if kind == "postgresql":
        return create_engine(parsed, poolclass=NullPool, connect_args={"connect_timeout": 5})
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    return create_engine(parsed, poolclass=NullPool, connect_args={"timeout": 30})


def _move(row: dict[str, Any]) -> Move:
    return Move(**{**row, "tags": json.loads(row["tags"])})
