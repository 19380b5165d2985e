"""Metrics of several workers."""

import os
import subprocess
import sys
from pathlib import Path

from tests.projects import ROOT

FORGET = "from serving import metrics; metrics.STORE_UP.set(1); metrics.forget_dead_workers(); print(metrics.exposition().decode())"


def worker(folder: Path, code: str) -> str:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


def test_the_gauges_of_a_worker_that_is_gone_are_forgotten(tmp_path: Path):
    worker(tmp_path, "from serving import metrics; metrics.STORE_UP.set(0); metrics.REFUSED.inc()")
    text = worker(tmp_path, FORGET)
    assert "churn_feature_store_up 1.0" in text  # the least of all workers that live
    assert "churn_champions_refused_total 1.0" in text  # what was counted stays
