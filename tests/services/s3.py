"""An object store with an S3 API for the tests."""

import os
import secrets
import sys
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.projects import ROOT
from tests.services.processes import free_port, start, wait_until

KEY, SECRET = "churn:tester", "an-s3-secret"


@dataclass(frozen=True)
class S3:
    """Where an object store is, and the keys to it."""

    endpoint: str
    key: str
    secret: str

    @property
    def environment(self) -> dict[str, str]:
        """What boto3, s3fs, Kedro, Feast, DVC and MLflow read."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def client(self) -> Any:
        """A client of boto3."""
        import boto3

        keys = {"aws_access_key_id": self.key, "aws_secret_access_key": self.secret, "region_name": "us-east-1"}
        return boto3.client("s3", endpoint_url=self.endpoint, **keys)

    def bucket(self, name: str = "test") -> str:
        """A new empty bucket's name."""
        own = f"{name}-{secrets.token_hex(4)}"
        self.client().create_bucket(Bucket=own)
        return own

    def objects(self, bucket: str) -> dict[str, int]:
        """Key and size of everything in a bucket."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return {item["Key"]: item["Size"] for page in pages for item in page.get("Contents", ())}


def start_shared() -> dict[str, Any]:
    """What `processes.shared` starts: TEST_S3_ENDPOINT with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, else Swift."""
    if given := os.environ.get("TEST_S3_ENDPOINT"):
        return {"endpoint": given, "key": os.environ["AWS_ACCESS_KEY_ID"], "secret": os.environ["AWS_SECRET_ACCESS_KEY"]}
    if find_spec("swift") is None:
        pytest.fail("no S3 object store for the tests: set TEST_S3_ENDPOINT and AWS_ACCESS_KEY_ID, ..., or `pip install swift` (Linux)")
    folder, port = Path(tempfile.mkdtemp(prefix="churn-s3-")), free_port()
    log = folder / "log"
    process = start([sys.executable, "-m", "tests.services.swift", str(folder), str(port), KEY, SECRET], log, cwd=ROOT)
    wait_until(lambda: _answers(f"http://127.0.0.1:{port}/healthcheck"), process, log)
    found = S3(f"http://127.0.0.1:{port}", KEY, SECRET)
    wait_until(lambda: _stores(found), process, log)
    return {"endpoint": found.endpoint, "key": KEY, "secret": SECRET, "group": process.pid, "folder": str(folder)}


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True


def _stores(server: S3) -> bool:
    """The proxy answers before the servers behind it do."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        server.bucket("ready")
    except (BotoCoreError, ClientError):
        return False
    return True
