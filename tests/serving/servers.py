"""The app under uvicorn, for the tests."""

import contextlib
import json
import os
import signal
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
from tests.services.processes import free_port

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
            with urllib.request.urlopen(request, timeout=START_SECONDS) as answer:
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
