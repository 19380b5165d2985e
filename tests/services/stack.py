"""The environment `stack` on the tests' services."""

from typing import Any

from tests.services.mlflow_server import MlflowServer
from tests.services.postgres import Postgres
from tests.services.redis import Redis
from tests.services.s3 import S3

PREDICT_KEY = "a-predict-key-of-the-tests"


def stack_environment(postgres: Postgres, redis: Redis, s3: S3, mlflow: MlflowServer) -> dict[str, str]:
    """The variables that conf/stack reads, with an empty bucket and empty databases; tracking is as it is."""
    store = redis.database()
    return {
        **s3.environment,
        "CHURN_BUCKET": s3.bucket("churn"),
        "MLFLOW_TRACKING_URI": mlflow.uri,
        "REDIS_ADDRESS": f"{store.host}:{store.port},db={store.db}",
        "REDIS_PASSWORD": store.password or "",
        "FEAST_REGISTRY_URL": postgres.database("feast"),
        "CHURN_PREDICTION_LOG": postgres.database("churn"),
        "CHURN_API_KEYS": f"predict:{PREDICT_KEY}",
    }


def secrets_of(environment: dict[str, Any]) -> set[str]:
    """What no message may show."""
    urls = (environment["FEAST_REGISTRY_URL"], environment["CHURN_PREDICTION_LOG"])
    passwords = {url.partition("://")[2].partition("@")[0].partition(":")[2] for url in urls}
    return {environment["AWS_SECRET_ACCESS_KEY"], environment["REDIS_PASSWORD"], *passwords} - {""}
