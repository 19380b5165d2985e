"""`python -m benchmarks.serving`: the API side by side with its peers, in one run on one machine."""

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from benchmarks.serving import client, prepare
from benchmarks.serving.reads import read_times
from benchmarks.serving.report import HEAD, REPEATED, Figures, arguments, line, median, ratios
from tests.projects import ROOT
from tests.services.processes import free_port
from tests.services.redis import redis_server

UVICORN = ("-m", "uvicorn", "--no-access-log", "--log-level", "warning")


@dataclass(frozen=True)
class Peer:
    """A server of the comparison: how it is started, and what it is asked."""

    name: str
    command: tuple[str, ...]
    ready: str
    path: str
    by_id: bool


PEERS = (
    Peer("(a) app, durable log", (*UVICORN, "serving.app:app", "--port"), "/health/ready", "/predict", True),
    Peer("(b) app, no log", (*UVICORN, "benchmarks.serving.without_log:app", "--port"), "/health/ready", "/predict", True),
    Peer("(c) Starlette echo", (*UVICORN, "benchmarks.serving.echo:app", "--port"), "/health/ready", "/predict", True),
    Peer(
        "(d) mlflow models serve",
        ("-m", "mlflow", "models", "serve", "--env-manager", "local", "-m", "models:/churn-prediction-model@Champion", "-p"),
        "/ping",
        "/invocations",
        False,
    ),
    Peer("(e) tutorial", (*UVICORN, "benchmarks.serving.tutorial:app", "--port"), "/health/ready", "/predict", True),
)


@contextlib.contextmanager
def running(peer: Peer, project: Path) -> Iterator[tuple[int, psutil.Process, float]]:
    """The server's port, process and seconds until ready."""
    port = free_port()
    started = time.perf_counter()
    command = [sys.executable, *peer.command, str(port)]
    with (
        (project / "server.log").open("wb") as log,
        subprocess.Popen(command, cwd=project, env=prepare.environment(project, ROOT), stdout=log, stderr=log) as process,  # noqa: S603 - PEERS
    ):
        try:
            _wait(f"http://127.0.0.1:{port}{peer.ready}", process)
            yield port, psutil.Process(process.pid), time.perf_counter() - started
        finally:
            children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
            process.send_signal(signal.SIGTERM)
            for child in children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.terminate()
            process.wait(60)


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(6000):
        if process.poll() is not None:
            raise SystemExit(f"a server of the benchmark ended with status {process.returncode}: its log is server.log in the project")
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - this machine
            if answer.status == 200:
                return
        time.sleep(0.02)
    raise SystemExit(f"{address} did not answer in time")


def cpu(process: psutil.Process) -> float:
    """User and system seconds of a process and its children."""
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(time.user + time.system for time in times)


def pss(process: psutil.Process) -> float:
    """Proportional set size in MB of a process and its children."""
    return sum(one.memory_full_info().pss for one in (process, *process.children(recursive=True))) / 2**20


def figures(peer: Peer, project: Path, bodies: Sequence[bytes], singles: int, seconds: float) -> Figures:
    """Measure one server."""
    with running(peer, project) as (port, process, start):
        requests = [client.request(port, peer.path, body) for body in bodies]
        client.latencies(port, requests, 200)
        before = cpu(process)
        times = client.latencies(port, requests, singles)
        between = cpu(process)
        count, took = client.throughput(port, requests, 32, seconds)
        after = cpu(process)
        p50, p99 = np.percentile(times, [50, 99]) * 1000
        each = (between - before) / singles * 1000, (after - between) / count * 1000
        return Figures(start, float(p50), float(p99), count / took, *each, pss(process))


def main() -> None:
    """Prepare, measure every peer, print a table; for each size of the customer table."""
    chosen = arguments(__doc__)
    for rows in chosen.rows:
        with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as redis:
            project = prepare.prepare(Path(folder) / "project", redis.port, rows, chosen.quick)
            print(f"{rows:,} customers in Redis, ", end="")
            compare(project, chosen)


def compare(project: Path, chosen: argparse.Namespace) -> None:
    """Measure the chosen peers on a project that has run."""
    with running(PEERS[0], project):
        pass  # fetches the champion: what follows starts with a warm cache
    questions = prepare.questions(project)
    by_id, encoded = (prepare.bodies(asked) for asked in questions)
    spec = json.loads((prepare.model_folder(project) / "spec.json").read_text())
    print(f"a model of {spec['trees']:,} trees, {psutil.cpu_count()} cores, load {psutil.getloadavg()[0]:.1f}\n\n{HEAD}", flush=True)
    taken: dict[str, list[Figures]] = {}
    for number in range(chosen.rounds):
        for peer in (one for one in PEERS if one.name[1] in chosen.peers and (number == 0 or one.name[1] in REPEATED)):
            bodies = by_id if peer.by_id else encoded
            taken.setdefault(peer.name[1], []).append(figures(peer, project, bodies, chosen.singles, chosen.seconds))
    found = {letter: median(several) for letter, several in taken.items()}
    print("\n".join(line(peer.name, found[peer.name[1]]) for peer in PEERS if peer.name[1] in found))
    names, customers = [feature["name"] for feature in spec["features"]], [question["customer_id"] for question in questions[0]]
    p50, p99 = read_times(project, names, customers)
    print(
        f"\nCPU at 32, as ratios: {'; '.join(ratios(found))}\nFeature read inside the app: p50 {p50:.3f} ms, p99 {p99:.3f} ms\n", flush=True
    )


if __name__ == "__main__":
    main()
