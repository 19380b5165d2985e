"""How each kind of service is asked, and what its refusals mean."""

import os
from typing import Any

from churn.io.connections import SECONDS, STARTED, Service, credentials, said, without_secret
from churn.io.files.places import s3_endpoint


def mlflow_server(uri: str) -> Service:
    """An MLflow server: its API is asked, since /health stays green where the API refuses."""
    return Service("MLflow", uri, "MLFLOW_TRACKING_URI", _mlflow_problem)


def object_store(location: str) -> Service:
    """The bucket of s3://bucket/... or s3a://bucket/...; endpoint and keys come from the environment."""
    bucket = location.partition("://")[2].partition("/")[0]
    return Service("The object store (S3)", bucket, "AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", _bucket_problem)


def database(url: str, purpose: str, setting: str) -> Service:
    """A PostgreSQL database by its SQLAlchemy URL."""
    return Service(f"PostgreSQL ({purpose})", url, setting, _database_problem)


def redis(connection_string: str) -> Service:
    """A Redis by Feast's connection string: host:port,name=value,..."""
    return Service("Redis (Feast's online store)", connection_string, "REDIS_ADDRESS and REDIS_PASSWORD", _redis_problem)


def _mlflow_problem(service: Service) -> str | None:
    import json
    import ssl
    import urllib.error
    import urllib.request
    from http.client import HTTPException

    address = without_secret(service.address)
    question = f"{address.rstrip('/')}/api/2.0/mlflow/experiments/get-by-name?experiment_name=Default"
    request = urllib.request.Request(question, headers=credentials(service.address))  # noqa: S310 - http(s) by its caller
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
            json.load(answer)
    except urllib.error.HTTPError as error:
        return _mlflow_refusal(service, address, error)
    except (ValueError, HTTPException):
        return said(service, address, "does not speak MLflow's API", f"Another program answers there: check {service.setting}.")
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, ssl.SSLError):
            return None  # which certificates are trusted is MLflow's to say
        return said(service, address, f"does not answer ({reason})", f"{STARTED} Its address: {service.setting}.")
    return None


def _mlflow_refusal(service: Service, address: str, error: Any) -> str | None:
    text = error.read(2000).decode(errors="replace")
    if error.code == 404 and "RESOURCE_DOES_NOT_EXIST" in text:  # noqa: PLR2004 - somebody has removed the experiment Default
        return None
    if error.code in (401, 403) and "Invalid Host header" not in text:
        advice = "Check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
        return said(service, address, f"refuses these credentials ({error.code})", advice)
    if "Invalid Host header" in text:
        advice = "Start the server with this host in MLFLOW_SERVER_ALLOWED_HOSTS."
        return said(service, address, "does not accept requests under this host name (403)", advice)
    if error.code >= 500:  # noqa: PLR2004
        return said(service, address, f"answers {error.code}", "Its own database or object store may be down: look at its log.")
    return said(service, address, f"answers {error.code}", f"Another program may answer there: check {service.setting}.")


def _bucket_problem(service: Service) -> str | None:
    import botocore.session  # type: ignore[import-untyped]
    from botocore.config import Config  # type: ignore[import-untyped]
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError  # type: ignore[import-untyped]

    endpoint = s3_endpoint()
    address = f"{without_secret(endpoint) if endpoint else 'Amazon S3 (AWS_ENDPOINT_URL is not set)'}, bucket {service.address}"
    waiting = Config(connect_timeout=SECONDS, read_timeout=SECONDS, retries={"total_max_attempts": 1})
    try:
        client = botocore.session.get_session().create_client("s3", config=waiting, region_name=_region())
        client.list_objects_v2(Bucket=service.address, MaxKeys=1)
    except (NoCredentialsError, PartialCredentialsError):
        return said(service, address, "needs keys", "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
    except ClientError as error:
        return _bucket_refusal(service, address, error.response["Error"])
    except ValueError:
        return said(service, address, "has no valid address", "AWS_ENDPOINT_URL is written http://host:port.")
    except (BotoCoreError, OSError) as error:
        kind = type(error).__name__
        return said(service, address, f"does not answer ({kind})", f"{STARTED} Its address: AWS_ENDPOINT_URL.")
    return None


def _bucket_refusal(service: Service, address: str, error: dict[str, str]) -> str:
    code = error.get("Code", "")
    if code == "NoSuchBucket":
        place, bucket = address.partition(", bucket ")[0], service.address
        return said(service, place, f"has no bucket {bucket}", f"Make it (`aws s3 mb s3://{bucket}`) or set CHURN_BUCKET.")
    if code in ("InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "403"):
        return said(service, address, f"refuses these keys ({code})", "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
    return said(service, address, f"answers {code}", f"Check {service.setting}.")


def _region() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def _database_problem(service: Service) -> str | None:
    import psycopg
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(service.address)
    except ArgumentError:
        return f"{service.name}: {service.setting} is no database URL. It is written postgresql+psycopg://user:password@host:5432/database."
    shown = without_secret(url.render_as_string(hide_password=True))
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        psycopg.connect(plain, connect_timeout=SECONDS).close()
    except psycopg.Error as error:
        return _database_refusal(service, shown, str(error))
    return None


def _database_refusal(service: Service, address: str, message: str) -> str:
    """Source of the texts: PostgreSQL's messages in English, which drivers hand on."""
    if "password authentication failed" in message or "no password supplied" in message:
        return said(service, address, "refuses this user and password", f"Check {service.setting}.")
    if "does not exist" in message:
        return said(service, address, f"refuses: {_last(message)}", f"Make it, or check {service.setting}.")
    return said(service, address, f"does not answer ({_last(message)})", f"{STARTED} Its address: {service.setting}.")


def _redis_problem(service: Service) -> str | None:
    from redis import AuthenticationError, Redis, RedisError
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    place, _, options = service.address.partition(",")
    host, _, port = place.partition(":")
    if not port.isdigit():
        return f"{service.name}: REDIS_ADDRESS is {place!r}; it is written host:port."
    found = dict(option.split("=", 1) for option in options.split(",") if "=" in option)
    given = {name: text.strip('"') for name in ("username", "password", "db") if (text := found.get(name))}
    options_given: dict[str, Any] = {**given, "ssl": found.get("ssl", "").lower() == "true", "retry": Retry(NoBackoff(), 0)}
    try:
        with Redis(host, int(port), socket_connect_timeout=SECONDS, socket_timeout=SECONDS, **options_given) as client:
            client.ping()
    except AuthenticationError:
        return said(service, place, "refuses this password", "Check REDIS_PASSWORD.")
    except (RedisError, OSError) as error:
        if "NOAUTH" in str(error) or "WRONGPASS" in str(error):
            return said(service, place, "refuses this password", "Check REDIS_PASSWORD.")
        return said(service, place, f"does not answer ({_last(str(error))})", f"{STARTED} Its address: REDIS_ADDRESS.")
    return None


def _last(message: str) -> str:
    """The telling end of a driver's message."""
    lines = [line.strip() for line in message.splitlines() if line.strip() and not line.startswith("Multiple connection")]
    return (lines or ["no reason given"])[-1].rpartition("FATAL: ")[2].strip().rstrip(".?")
