"""How long the app's own feature read takes, inside its event loop."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import uvloop

from benchmarks.serving.prepare import FEAST_FILE
from serving.features.online_store import open_reader

WARM_UP, READS = 500, 10_000


def read_times(project: Path, names: Sequence[str], customers: Sequence[str]) -> tuple[float, float]:
    """Milliseconds of a read of one customer: the median and the 99th percentile."""
    return uvloop.run(_read_times(project, names, customers))


async def _read_times(project: Path, names: Sequence[str], customers: Sequence[str]) -> tuple[float, float]:
    reader = open_reader(str(project / FEAST_FILE))
    seconds = []
    for number in range(WARM_UP + READS):
        started = time.perf_counter()
        await reader.read([customers[number % len(customers)]], names)
        seconds.append(time.perf_counter() - started)
    await reader.close()
    p50, p99 = np.percentile(seconds[WARM_UP:], [50, 99]) * 1000
    return float(p50), float(p99)
