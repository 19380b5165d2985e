"""What was answered is on record: under a kill, under damage, and across schema versions."""

import contextlib
import json
import signal
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from churn.core.errors import ChurnError
from churn.io.predictions import prediction_log
from churn.io.predictions.prediction_log import MIGRATIONS, Entry, PredictionLog
from tests.services.postgres import OwnPostgres, Postgres
from tests.serving import build
from tests.serving.conftest import edit
from tests.serving.servers import serve

LOG = Path("data/serving/predictions.db")


def entry(number: int) -> Entry:
    at = datetime(2026, 11, 1, 12, tzinfo=UTC)
    return Entry(f"id-{number}", at, "predict", "c", '{"a":1}', at, 0.25, 0.5, "1", "r")


def rows(path: Path, columns: str = "*") -> list[tuple]:
    with contextlib.closing(sqlite3.connect(path)) as found:
        return found.execute(f"SELECT {columns} FROM prediction_log ORDER BY prediction_id").fetchall()


def test_entries_are_committed_durably_and_only_once(tmp_path: Path):
    log = PredictionLog(f"sqlite:///{tmp_path}/new/log.db")
    log.write([entry(1), entry(2)])
    log.write([entry(2), entry(3)])
    assert [row[0] for row in rows(tmp_path / "new" / "log.db")] == ["id-1", "id-2", "id-3"]
    assert rows(tmp_path / "new" / "log.db")[0][1] == "2026-11-01 12:00:00.000000"
    assert log._open.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
    assert log._open.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    log.close()


def test_a_group_is_written_whole_or_not_at_all(tmp_path: Path):
    log = PredictionLog(f"sqlite:///{tmp_path}/log.db")
    log.write([entry(1)])
    broken = entry(3)._replace(probability=None)
    with pytest.raises(Exception, match="NOT NULL"):
        log.write([entry(2), broken])
    log.write([entry(4)])
    assert [row[0] for row in rows(tmp_path / "log.db")] == ["id-1", "id-4"]
    log.close()


def test_an_older_log_is_migrated_and_keeps_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    url = f"sqlite:///{tmp_path}/log.db"
    first = PredictionLog(url)
    first.write([entry(1)])
    first.close()
    monkeypatch.setattr(prediction_log, "MIGRATIONS", (*MIGRATIONS, ("ALTER TABLE prediction_log ADD COLUMN note TEXT",)))
    second = PredictionLog(url)
    second.open()
    second.close()
    assert rows(tmp_path / "log.db", "prediction_id, note") == [("id-1", None)]
    monkeypatch.undo()
    with pytest.raises(ChurnError, match=f"schema version {len(MIGRATIONS) + 1}; this program knows {len(MIGRATIONS)}"):
        PredictionLog(url).open()


def test_a_migration_that_fails_leaves_the_old_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    url = f"sqlite:///{tmp_path}/log.db"
    PredictionLog(url).open()
    monkeypatch.setattr(prediction_log, "MIGRATIONS", (*MIGRATIONS, ("ALTER TABLE prediction_log ADD COLUMN note TEXT", "nonsense")))
    with pytest.raises(Exception, match="syntax error"):
        PredictionLog(url).open()
    monkeypatch.undo()
    log = PredictionLog(url)
    log.write([entry(1)])
    assert len(rows(tmp_path / "log.db")) == 1


def test_two_processes_may_migrate_at_once(tmp_path: Path):
    logs = [PredictionLog(f"sqlite:///{tmp_path}/log.db") for _ in range(8)]
    failures = []

    def work(log: PredictionLog, number: int) -> None:
        try:
            log.write([entry(number)])
        except Exception as error:  # noqa: BLE001 - counted below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(log, number)) for number, log in enumerate(logs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(rows(tmp_path / "log.db")) == 8


@pytest.mark.parametrize("url", ["mysql://localhost/x", "not a url"])
def test_other_databases_are_refused(url: str):
    with pytest.raises(ChurnError):
        PredictionLog(url)


def test_a_log_that_is_no_database_is_an_error(tmp_path: Path):
    (tmp_path / "log.db").write_bytes(b"this is no database at all, whatever it is" * 100)
    with pytest.raises(Exception, match="not a database"):
        PredictionLog(f"sqlite:///{tmp_path}/log.db").write([entry(1)])


def test_each_answer_is_on_record_with_everything_it_was_made_of(project: Path):
    with serve(project) as server:
        one = server.predict("c-0007", reasons=2).json
        batch = server.post("/predict/batch", {"customer_ids": ["c-0008", "nobody", build.EMPTY]}, {"X-Request-ID": "batch-1"}).json["rows"]
        what_if = server.post("/what-if", {"customer_id": "c-0007", "changes": {"Contract": "Two year"}}).json
        server.predict("nobody")
    found = {row[0]: row for row in rows(project / LOG)}
    answers = [one, *(row["prediction"] for row in batch if "prediction" in row)]
    assert set(found) == {
        *(answer["prediction_id"] for answer in answers),
        what_if["before"]["prediction_id"],
        what_if["after"]["prediction_id"],
    }
    _, at, kind, customer, features, as_of, probability, threshold, version, _ = found[one["prediction_id"]]
    assert (kind, customer, probability, threshold, version) == ("predict", "c-0007", one["churn_probability"], 0.4, "1")
    assert datetime.fromisoformat(as_of).replace(tzinfo=UTC) == datetime.fromisoformat(one["features_as_of"])
    assert datetime.now(UTC) > datetime.fromisoformat(at).replace(tzinfo=UTC) > datetime.fromisoformat(as_of).replace(tzinfo=UTC)
    values = json.loads(features)
    assert all(values[reason["feature"]] == reason["value"] for reason in one["reasons"])
    assert "charges_per_month" in values
    assert json.loads(found[batch[2]["prediction"]["prediction_id"]][4])["TotalCharges"] is None
    assert {row[2] for row in found.values()} == {"predict", "batch", "what-if"}
    assert found[what_if["after"]["prediction_id"]][2] == "what-if"
    assert json.loads(found[what_if["after"]["prediction_id"]][4])["Contract"] == "Two year"
    assert "what-if" not in prediction_log.PRODUCTION
    assert {row[9] for row in found.values() if row[2] == "batch"} == {"batch-1"}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_killed_under_load_every_answer_received_is_on_record_once(project: Path, kind: str, request: pytest.FixtureRequest):
    url = f"sqlite:///{project / LOG}"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres").database("churn")
        edit(project / "conf" / "base" / "globals.yml", prediction_log=url)
    received: list[str] = []
    enough = threading.Event()

    with serve(project) as server:

        def load(number: int) -> None:
            with contextlib.suppress(OSError):
                while True:
                    if number % 2:
                        found = [server.predict("c-0007").json["prediction_id"]]
                    else:
                        answer = server.post("/predict/batch", {"customer_ids": ["c-0007", "c-0008"]}).json
                        found = [row["prediction"]["prediction_id"] for row in answer["rows"]]
                    received.extend(found)
                    if len(received) > 300:
                        enough.set()

        threads = [threading.Thread(target=load, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        assert enough.wait(60)
        server.process.send_signal(signal.SIGKILL)
        for thread in threads:
            thread.join(30)
    engine = create_engine(url)
    with engine.connect() as connection:
        logged = list(connection.exec_driver_sql("SELECT prediction_id FROM prediction_log").scalars())
    engine.dispose()
    assert len(received) > 300
    assert len(logged) == len(set(logged))
    assert set(received) <= set(logged)


@pytest.mark.parametrize("required", [True, False])
def test_a_log_that_cannot_be_written_is_503_unless_it_is_not_required(project: Path, required: bool):
    limits = {"required": required, "timeout": 0.5}
    edit(project / "conf" / "base" / "parameters" / "serving.yml", prediction_log=limits)
    with serve(project) as server:
        assert server.predict("c-0007").status == 200
        with contextlib.closing(sqlite3.connect(project / LOG, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            answer = server.predict("c-0007")
            if required:
                assert answer.status == 503
                assert answer.json["type"].endswith("log-down")
                assert "retry-after" in answer.headers
            else:
                assert answer.status == 200
                assert "churn_unlogged_predictions_total 1.0" in server.get("/metrics").text
            health = server.health()
            assert health["status"] == "degraded"
            assert "log" in health["problems"]
            other.execute("ROLLBACK")
        server.wait_for(lambda one: one.predict("c-0007").status == 200, "service resumes", 20)
        assert server.health()["status"] == "ready"


def test_the_table_reads_as_numbers_and_times_through_sqlalchemy(tmp_path: Path):
    log = PredictionLog(f"sqlite:///{tmp_path}/log.db")
    log.write([entry(1)])
    log.close()
    from sqlalchemy import MetaData, Table, select

    engine = create_engine(f"sqlite:///{tmp_path}/log.db")
    with engine.connect() as connection:
        table = Table("prediction_log", MetaData(), autoload_with=connection)
        (row,) = connection.execute(select(table.c.predicted_at, table.c.probability)).all()
    assert row == (datetime(2026, 11, 1, 12), 0.25)


def test_on_postgresql_several_processes_migrate_and_write_at_once(postgres: Postgres):
    url = postgres.database("churn")
    logs = [PredictionLog(url) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda numbered: numbered[1].write([entry(numbered[0]), entry(100)]), enumerate(logs)))
    engine = create_engine(url)
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT prediction_id, predicted_at, probability FROM prediction_log ORDER BY 1").all()
        applied = connection.exec_driver_sql("SELECT version FROM prediction_log_schema ORDER BY version").all()
    assert applied == [(number,) for number in range(1, len(MIGRATIONS) + 1)]  # each once
    engine.dispose()
    assert {row[0] for row in found} == {*(f"id-{number}" for number in range(6)), "id-100"}
    assert set(found[0][1:]) == {datetime(2026, 11, 1, 12, tzinfo=UTC), 0.25}
    for log in logs:
        log.close()


@pytest.fixture
def own_postgres() -> Iterator[OwnPostgres]:
    """A PostgreSQL that the test may stop."""
    server = OwnPostgres()
    server.start()
    yield server
    server.stop()
    server.remove()


def test_a_connection_that_postgresql_has_closed_is_replaced(own_postgres: OwnPostgres):
    log = PredictionLog(own_postgres.database("churn"))
    log.write([entry(1)])
    own_postgres.stop()
    with pytest.raises(SQLAlchemyError):
        log.write([entry(2)])
    own_postgres.start()
    log.write([entry(3)])
    own_postgres.stop()
    own_postgres.start()
    log.write([entry(4)])
    found = log._open.exec_driver_sql("SELECT prediction_id FROM prediction_log WHERE prediction_id IN ('id-2', 'id-3', 'id-4')").all()
    assert {row[0] for row in found} >= {"id-3", "id-4"}
    log.close()


@contextlib.contextmanager
def stopped(server: OwnPostgres) -> Iterator[None]:
    """SIGSTOP for all of its processes: connections stay, and nobody answers on them."""
    leader = psutil.Process(server.process.pid)
    processes = [leader, *leader.children(recursive=True)]
    for process in processes:
        process.suspend()
    yield
    for process in processes:
        process.resume()


def test_a_postgresql_that_hangs_is_503_and_holds_up_neither_what_comes_after_it_nor_the_end(project: Path, own_postgres: OwnPostgres):
    edit(project / "conf" / "base" / "globals.yml", prediction_log=own_postgres.database("churn"))
    edit(project / "conf" / "base" / "parameters" / "serving.yml", prediction_log={"timeout": 0.5})
    with serve(project) as server:
        server.wait_for(lambda one: one.predict("c-0007").status == 200, "answers")
        with stopped(own_postgres):
            assert server.predict("c-0007").json["type"] == "urn:churn:problem:log-down"
            server.wait_for(lambda one: "Error" in one.health()["problems"].get("log", ""), "the silent connection is given up")
        server.wait_for(lambda one: one.predict("c-0007").status == 200, "service resumes")
        with stopped(own_postgres):
            assert server.predict("c-0007").status == 503
            server.process.terminate()
            server.process.wait(60)
        assert "Traceback" not in server.log.read_text()


def test_a_table_that_is_locked_is_an_error_in_time(postgres: Postgres):
    url = postgres.database("churn")
    log = PredictionLog(url, seconds=0.2)
    log.write([entry(1)])
    engine = create_engine(url)
    with engine.connect() as other:
        other.exec_driver_sql("LOCK TABLE prediction_log")
        with pytest.raises(Exception, match="statement timeout"):
            log.write([entry(2)])
    log.write([entry(3)])
    with engine.connect() as other:
        assert list(other.exec_driver_sql("SELECT prediction_id FROM prediction_log ORDER BY 1").scalars()) == ["id-1", "id-3"]
    engine.dispose()
    log.close()
