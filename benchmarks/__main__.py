"""Run every benchmark: `python -m benchmarks` (some hours)."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
ALL = (
    ("benchmarks.pipeline.main_job",),
    ("benchmarks.pipeline.data_processing",),
    ("benchmarks.pipeline.training",),
    *(("benchmarks.quality", "--table", table) for table in ("telco", "bank", "sample")),
    ("benchmarks.gate",),
    ("benchmarks.monitoring",),
    ("benchmarks.serving",),
)

for module, *options in ALL:
    print(f"\n## python -m {' '.join((module, *options))}", flush=True)
    subprocess.run([sys.executable, "-m", module, *options], cwd=ROOT, check=True)  # noqa: S603 - our own commands
