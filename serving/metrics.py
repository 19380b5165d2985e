"""What Prometheus reads from /metrics."""

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

from churn.io.processes import runs

_SEVERAL_WORKERS = "PROMETHEUS_MULTIPROC_DIR" in os.environ
"""Asked once, as prometheus_client asks when it is imported: importing Feast later sets the variable in a server that has one worker."""

REQUESTS = Counter("churn_requests", "Requests by route and status", ["route", "status"])
SECONDS = Histogram(
    "churn_request_seconds",
    "Time to answer",
    ["route"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
ERRORS = Counter("churn_errors", "Problem documents by kind", ["kind"])
SCORES = Histogram("churn_probability", "Churn probabilities answered", ["kind"], buckets=[share / 10 for share in range(1, 11)])
FEATURE_AGE = Histogram(
    "churn_feature_age_seconds", "Age of the features used", buckets=[3600, 86400, *(86400 * days for days in (3, 7, 14, 30, 60, 120))]
)
MODEL = Gauge("churn_model_version", "1 for the version that serves, 0 for those before it", ["version"], multiprocess_mode="livemax")
REFUSED = Counter("churn_champions_refused", "Champions that failed a check")
LOG_QUEUE = Gauge("churn_log_queue", "Predictions waiting for their commit", multiprocess_mode="livesum")
UNLOGGED = Counter("churn_unlogged_predictions", "Predictions served though the log could not be written")
STORE_UP = Gauge("churn_feature_store_up", "Whether the feature store answers", multiprocess_mode="livemin")


_scores: dict[str, Histogram] = {}


def observe(kind: str, probability: float, age: float) -> None:
    """A prediction was answered: its kind, and the age of its features in seconds."""
    histogram = _scores.get(kind)
    if histogram is None:
        histogram = _scores[kind] = SCORES.labels(kind)
    histogram.observe(probability)
    FEATURE_AGE.observe(age)


def forget_dead_workers() -> None:
    """Where PROMETHEUS_MULTIPROC_DIR is set: gauges of workers that a kill has ended would stay for ever."""
    if _SEVERAL_WORKERS:
        for file in Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).glob("gauge_live*_*.db"):
            number = int(file.stem.rpartition("_")[2])
            if not runs(number):
                multiprocess.mark_process_dead(number)  # type: ignore[no-untyped-call]


def exposition() -> bytes:
    """The metrics in Prometheus's text format; of all workers where PROMETHEUS_MULTIPROC_DIR is set."""
    if _SEVERAL_WORKERS:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
    return generate_latest()
