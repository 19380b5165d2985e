"""The services of the tests are real: they keep what they are given and refuse a wrong secret."""

import json
import urllib.request
from dataclasses import replace

import psycopg
import pytest
from botocore.exceptions import ClientError
from redis import AuthenticationError

from tests.services.mlflow_server import MlflowServer
from tests.services.postgres import Postgres
from tests.services.redis import Redis
from tests.services.s3 import S3


def test_postgres_gives_everybody_a_database_and_refuses_a_wrong_password(postgres: Postgres) -> None:
    first, second = (postgres.database("mine").replace("+psycopg", "") for _ in range(2))
    with psycopg.connect(first) as connection:
        connection.execute("CREATE TABLE mine (id INTEGER)")
    with psycopg.connect(second) as connection:
        assert connection.execute("SELECT to_regclass('mine')").fetchone() == (None,)
    user, _, place = first.partition("@")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"{user}x@{place}")


def test_redis_gives_everybody_a_database_and_refuses_a_wrong_password(redis: Redis) -> None:
    first, second = redis.database(), redis.database()
    first.client().set("mine", 1)
    assert second.client().get("mine") is None
    assert first.client().get("mine") == b"1"
    with pytest.raises(AuthenticationError):
        replace(first, password="wrong").client().ping()


def test_s3_keeps_objects_and_refuses_a_wrong_secret(s3: S3) -> None:
    bucket = s3.bucket("mine")
    s3.client().put_object(Bucket=bucket, Key="a/b", Body=b"content")
    assert s3.objects(bucket) == {"a/b": 7}
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        replace(s3, secret="wrong").client().list_objects_v2(Bucket=bucket)


def test_mlflow_keeps_its_artifacts_in_the_bucket(mlflow_server: MlflowServer, s3: S3) -> None:
    question = f"{mlflow_server.uri}/api/2.0/mlflow/experiments/get-by-name?experiment_name=Default"
    with urllib.request.urlopen(question, timeout=60) as answer:
        assert json.load(answer)["experiment"]["artifact_location"].startswith("mlflow-artifacts:/")
    put = urllib.request.Request(f"{mlflow_server.uri}/api/2.0/mlflow-artifacts/artifacts/probe.txt", b"probe", method="PUT")
    urllib.request.urlopen(put, timeout=60).close()
    assert s3.objects(mlflow_server.bucket)["probe.txt"] == 5
