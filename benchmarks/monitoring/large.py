"""The verdict on a window of 100,000 predictions with 20 features, read from SQLite: `python -m benchmarks.monitoring.large`.

All parameters but the window's rows are the defaults; 1,000 outcomes are known, and the memory of earlier verdicts is full.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.measure import MEGABYTE
from benchmarks.monitoring.worlds import World, build
from churn.core.declaration import CHURNED, CUSTOMER_ID, Feature
from churn.core.monitoring.judge import judge
from churn.core.monitoring.parameters import MonitoringParameters, WindowParameters
from churn.core.monitoring.table import Column, Reference, Sample
from churn.core.monitoring.verdict import HistoryEntry
from churn.core.population.customers import SampleParameters, draw
from churn.io.predictions.outcomes import OBSERVED_AT
from churn.io.predictions.prediction_log import Entry, PredictionLog
from churn.io.predictions.window import read_mature, read_window
from churn.pipelines.monitoring.nodes import ask_log, assemble, match_outcomes

ROWS = 100_000
EXTRA = Feature(name="score_last_month", type="number", label="Score of last month")
"""The twentieth feature."""


def with_extra(reference: Reference) -> Reference:
    """The reference with one number more."""
    training = {**reference.training, EXTRA.name: Column(reference.training["MonthlyCharges"].values / 100)}
    columns = {**reference.test.columns, EXTRA.name: Column(reference.test.columns["MonthlyCharges"].values / 100)}
    test = Sample(columns, reference.test.scores, reference.test.churned)
    return Reference("1", (*reference.features, EXTRA), training, test, reference.importance, reference.sha256)


def write_log(url: str, world: World) -> None:
    """Three windows of so many predictions, the first of them old enough to have outcomes."""
    log = PredictionLog(url)
    end = datetime.now(UTC)
    for part in range(3):
        drawn = draw(SampleParameters(rows=ROWS, seed=77 + part))
        frame = pd.DataFrame(drawn.features())
        frame[EXTRA.name] = frame["MonthlyCharges"] / 100
        scores, texts = world.model.predict(frame), frame.to_dict("records")
        at = end - timedelta(days=60 if part == 0 else 3 - part)
        log.write(
            [
                Entry(str(uuid.uuid4()), at, "predict", f"{part}-{row}", json.dumps(texts[row]), at, float(scores[row]), 0.2, "1", "")
                for row in range(ROWS)
            ]
        )
    log.close()


def entry(number: int) -> HistoryEntry:
    """An earlier verdict: every tenth on broken data."""
    start = datetime.now(UTC) - timedelta(days=1 + number)
    broken = number % 10 == 0
    return HistoryEntry(
        start=start,
        end=start + timedelta(hours=23),
        rows=ROWS,
        model_version="1",
        status="alert" if broken else "ok",
        action="fix-data" if broken else "none",
        broken=broken,
        shown=("unit:MonthlyCharges",) if broken else (),
    )


def known_outcomes(url: str, parameters: MonitoringParameters) -> pd.DataFrame:
    """What became of the customers who are measured: drawn from their scores."""
    mature = read_mature(url, parameters.performance, datetime.now(UTC))
    churned = np.random.default_rng(0).random(len(mature)) < mature["probability"]
    return pd.DataFrame({CUSTOMER_ID: mature[CUSTOMER_ID], CHURNED: churned, OBSERVED_AT: mature["predicted_at"] + timedelta(days=30)})


def verdict(url: str) -> None:
    """Read, judge, print what it took."""
    world = build(0)
    reference = with_extra(world.reference)
    parameters = MonitoringParameters(window=WindowParameters(rows=ROWS))
    history = [entry(number) for number in range(parameters.history)]
    outcomes = known_outcomes(url, parameters)
    before, cpu = time.perf_counter(), time.process_time()
    asked, measured = ask_log(parameters)
    logged, mature = read_window(url, asked, datetime.now(UTC)), read_mature(url, measured, datetime.now(UTC))
    window = assemble(logged, match_outcomes(mature, outcomes, parameters), reference, history, parameters)
    found = judge(reference, window, history, world.declaration.columns, parameters, datetime.now(UTC))
    found.model_dump_json()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE
    print(f"{found.window.rows:,} rows, {len(reference.features)} features, {found.outcomes:,} outcomes, {found.status}: ", end="")
    print(f"{time.process_time() - cpu:.1f} CPU s, {time.perf_counter() - before:.1f} s, peak {peak:.0f} MB with all imports")


def main() -> None:
    """Write the log, then judge it in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'log.db'}"
        write_log(url, build(0))
        subprocess.run([sys.executable, "-m", "benchmarks.monitoring.large", url], check=True)  # noqa: S603 - ourselves


if __name__ == "__main__":
    verdict(sys.argv[1]) if len(sys.argv) > 1 else main()
