"""What a simulation does to the outside world: features into the online store, questions to the API."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from churn.core.declaration import CUSTOMER_ID, EVENT_TIMESTAMP, Feature
from churn.core.errors import ChurnError
from churn.io.features.feature_store import VIEW, open_store, quiet

KEY_VARIABLE = "CHURN_API_KEY"
_BATCH = 1000
_START_SECONDS = 180
_OK, _BUSY = 200, 503
_ATTEMPTS, _PATIENCE = 10, 5.0
_DTYPES = {"category": "string", "boolean": "boolean", "integer": "Int64", "number": "float64"}


def put_online(feast_file: str, features: Sequence[Feature], customer_ids: Sequence[str], rows: Mapping[str, Any], at: datetime) -> None:
    """Write features of new customers to the online store; a later materialization of the embedded store removes them.

    Args:
        feast_file: the feature_store.yaml.
        features: the declared features.
        customer_ids: n ids.
        rows: feature to values (n,).
        at: the time that the features describe.
    """
    import pandas as pd

    frame = pd.DataFrame({feature.name: pd.array(rows[feature.name], dtype=_DTYPES[feature.type]) for feature in features})
    frame.insert(0, CUSTOMER_ID, list(customer_ids))
    frame.insert(1, EVENT_TIMESTAMP, pd.Timestamp(at))
    with quiet():
        open_store(feast_file).write_to_online_store(feature_view_name=VIEW, df=frame)


def ask(api: str, customer_ids: Sequence[str]) -> int:
    """Ask the API for predictions, up to 1,000 customers at once; how many were answered.

    Raises:
        ChurnError: if the API does not answer, or refuses.
    """
    import httpx

    key = os.environ.get(KEY_VARIABLE)
    headers = {"X-API-Key": key} if key else {}
    answered = 0
    with httpx.Client(base_url=api, headers=headers, timeout=60) as client:
        for start in range(0, len(customer_ids), _BATCH):
            try:
                answer = _posted(client, list(customer_ids[start : start + _BATCH]))
            except httpx.HTTPError as error:
                raise ChurnError(f"The API at {api} does not answer: {error}. Start it with `make serve`, or leave --api out.") from None
            if answer.status_code != _OK:
                said = answer.text[:300]
                raise ChurnError(f"The API at {api} refuses ({answer.status_code}): {said}. A key goes into {KEY_VARIABLE}.")
            answered += sum("prediction" in row for row in answer.json()["rows"])
    return answered


def _posted(client: Any, customer_ids: list[str]) -> Any:
    """The answer to a batch; a service that asks to be tried again later is."""
    for _ in range(_ATTEMPTS):
        answer = client.post("/predict/batch", json={"customer_ids": customer_ids})
        if answer.status_code != _BUSY:
            break
        time.sleep(min(float(answer.headers.get("Retry-After", 1)), _PATIENCE))
    return answer


@contextmanager
def running_api(root: Path, environment: str) -> Iterator[str]:
    """The API on a free port of this machine, until the block ends.

    Raises:
        ChurnError: with the end of its log, if it does not become ready.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    line = [sys.executable, "-m", "uvicorn", "serving.app:app", "--port", str(port), "--no-access-log"]
    path = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    variables = {**os.environ, "KEDRO_ENV": environment, "PYTHONPATH": path}
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(line, cwd=root, env=variables, stdout=log, stderr=log, start_new_session=True)  # noqa: S603 - our own app
        try:
            _wait(process, f"http://127.0.0.1:{port}", log)
            yield f"http://127.0.0.1:{port}"
        finally:
            _end(process)


def _wait(process: "subprocess.Popen[bytes]", address: str, log: Any) -> None:
    import httpx

    end, said = time.monotonic() + _START_SECONDS, ""
    while time.monotonic() < end and process.poll() is None:
        try:
            answer = httpx.get(f"{address}/health/ready", timeout=5)
            if answer.status_code == _OK:
                return
            said = answer.text
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    log.seek(0)
    raise ChurnError(f"The API did not become ready: {said}\nThe end of its log:\n{log.read()[-2000:]}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
