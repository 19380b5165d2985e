"""docker/backup.sh as it is, on a PostgreSQL and an object store of the tests' own: `docker compose` runs their programs here."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.projects import ROOT, activated
from tests.services.postgres import PASSWORD, OwnPostgres, programs
from tests.services.s3 import S3

DATABASES = ("mlflow", "feast", "churn")
BUCKETS = ("churn", "dvc", "mlflow")
DOCKER = """#!/usr/bin/env bash
# docker compose exec|run [options] SERVICE COMMAND..., here instead of in a container; what else is asked for is noted.
shift; verb=$1; shift
while [ "$1" = -T ] || [ "$1" = -e ] || [ "$1" = --rm ] || [ "$1" = --no-deps ]; do [ "$1" != -e ] || shift; shift; done
service=$1; shift
case "$*" in *"${BREAK:-nothing breaks}"*) exit 1 ;; esac
case "$verb $service $1" in
  "exec postgres "*) program=$1; shift; exec "$PROGRAMS/$program" "$@" ;;
  "run train python") shift; exec "$PYTHON" "$@" ;;
  *) echo "$verb $service $*" >> "$NOTES" ;;
esac
"""


@pytest.fixture
def database() -> Iterator[OwnPostgres]:
    own = OwnPostgres()
    own.start()
    try:
        with psycopg.connect(own.admin_url, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE postgres LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
            for name in DATABASES:
                if name != "churn":  # the administrator of this server
                    connection.execute(f"CREATE ROLE {name}")
                connection.execute(f"CREATE DATABASE {name} OWNER {name}")
        yield own
    finally:
        own.stop()
        own.remove()


@pytest.fixture
def stack(database: OwnPostgres, s3: S3, tmp_path: Path) -> dict[str, str]:
    """A folder with the script, and the environment in which it finds these services."""
    folder = tmp_path / "stack"
    shutil.copytree(ROOT / "docker", folder / "docker")
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".env").write_text(f"MINIO_ROOT_USER={s3.key}\nMINIO_ROOT_PASSWORD={s3.secret}\n")
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "docker").write_text(DOCKER)
    (tools / "docker").chmod(0o755)
    for bucket in BUCKETS:
        with contextlib.suppress(s3.client().exceptions.BucketAlreadyOwnedByYou):
            s3.client().create_bucket(Bucket=bucket)
    environment = {key: value for key, value in activated().items() if not key.startswith("AWS_")}
    where = {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(database.port),
        "PGPASSWORD": PASSWORD,
        "PROGRAMS": str((programs() / "postgres").resolve().parent),
        "PYTHON": sys.executable,
    }
    where |= {"AWS_ENDPOINT_URL": s3.endpoint, "NOTES": str(tmp_path / "notes"), "HERE": str(folder)}
    return {**environment, **where, "PATH": f"{tools}{os.pathsep}{environment['PATH']}"}


def script(stack: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    line = [f"{stack['HERE']}/docker/backup.sh", *arguments]
    return subprocess.run(line, env=stack, capture_output=True, text=True, check=False)


def rows(database: OwnPostgres, name: str) -> list[int]:
    with psycopg.connect(database.admin_url.replace("/postgres", f"/{name}")) as connection:
        return [number for (number,) in connection.execute("SELECT number FROM numbers ORDER BY number").fetchall()]


def test_state_comes_back_as_it_was_backed_up(stack: dict[str, str], database: OwnPostgres, s3: S3, tmp_path: Path) -> None:
    for place, name in enumerate(DATABASES):
        with psycopg.connect(database.admin_url.replace("/postgres", f"/{name}")) as connection:
            connection.execute("CREATE TABLE numbers (number integer PRIMARY KEY)")
            connection.execute("INSERT INTO numbers SELECT generate_series(1, %s)", [place + 3])
    s3.client().put_object(Bucket="mlflow", Key="1/model.ubj", Body=b"model")
    folder = tmp_path / "backup"
    done = script(stack, "backup", str(folder))
    assert done.returncode == 0, done.stderr
    assert {path.stat().st_mode & 0o077 for path in folder.iterdir()} == {0}
    assert script(stack, "backup", str(folder)).returncode != 0, "no backup is written over another"

    for name in DATABASES:
        with psycopg.connect(database.admin_url.replace("/postgres", f"/{name}")) as connection:
            connection.execute("DELETE FROM numbers WHERE number > 1")
            connection.execute("CREATE TABLE later (x integer)")
    s3.client().put_object(Bucket="mlflow", Key="1/model.ubj", Body=b"another")
    s3.client().put_object(Bucket="churn", Key="later", Body=b"")
    damaged = tmp_path / "damaged"
    shutil.copytree(folder, damaged)
    (damaged / "feast.dump").write_bytes(b"x")
    refused = script(stack, "restore", str(damaged))
    assert refused.returncode != 0
    assert "Nothing was changed" in refused.stderr
    assert rows(database, "mlflow") == [1]

    done = script(stack, "restore", str(folder))
    assert done.returncode == 0, done.stderr
    for place, name in enumerate(DATABASES):
        assert rows(database, name) == list(range(1, place + 4))
        with psycopg.connect(database.admin_url.replace("/postgres", f"/{name}")) as connection:
            assert connection.execute("SELECT to_regclass('later')").fetchone() == (None,)
            owner = connection.execute(
                "SELECT pg_get_userbyid(datdba), datacl::text FROM pg_database WHERE datname = %s", [name]
            ).fetchone()
        assert owner is not None
        assert owner[0] == name
        assert "{=" not in owner[1], "nobody else may enter"
    assert s3.objects("churn") == {}
    assert s3.client().get_object(Bucket="mlflow", Key="1/model.ubj")["Body"].read() == b"model"
    notes = Path(stack["NOTES"]).read_text().splitlines()
    assert notes[0] == "stop api mlflow"
    assert not [note for note in notes if note.startswith("run train kedro")], "nothing was trained, so there is nothing to fill Redis with"
    assert "nothing was trained" in done.stdout


def test_a_restore_that_broke_off_says_what_is_stopped_and_can_be_repeated(
    stack: dict[str, str], database: OwnPostgres, s3: S3, tmp_path: Path
) -> None:
    for bucket in BUCKETS:
        for key in s3.objects(bucket):
            s3.client().delete_object(Bucket=bucket, Key=key)
    with psycopg.connect(database.admin_url.replace("/postgres", "/feast")) as connection:
        connection.execute("CREATE TABLE numbers AS SELECT 7 AS number")
    s3.client().put_object(Bucket="churn", Key="features/customer_features.parquet", Body=b"features")
    folder = tmp_path / "backup"
    assert script(stack, "backup", str(folder)).returncode == 0
    s3.client().put_object(Bucket="churn", Key="later", Body=b"")

    broken = script({**stack, "BREAK": "ALTER DATABASE feast_restored"}, "restore", str(folder))
    assert broken.returncode != 0
    assert "the API and MLflow are stopped" in broken.stderr
    assert "later" in s3.objects("churn"), "others are deleted last"
    with psycopg.connect(database.admin_url) as connection:
        assert connection.execute("SELECT 1 FROM pg_database WHERE datname = 'feast'").fetchone() is None

    done = script(stack, "restore", str(folder))
    assert done.returncode == 0, done.stderr
    assert "stopped" not in done.stderr
    assert rows(database, "feast") == [7]
    assert set(s3.objects("churn")) == {"features/customer_features.parquet"}
    notes = Path(stack["NOTES"]).read_text().splitlines()
    assert notes[-1] == "run train kedro run --env stack --pipelines feature_store", "Redis is filled again"
