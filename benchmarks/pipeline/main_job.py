"""What `kedro run` costs beside its bare parts.

    python -m benchmarks.pipeline.main_job [--repeats 3]

On the sample table of 7,043 rows with the default search. `bare parts` is one script: read the CSV,
search and fit with the same trials, materialize with Feast. `imports` loads the libraries that a run
uses and does nothing. The least of the repeats counts.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Cost, measure
from tests.projects import copy_project

PROGRAM = Path(sys.executable).parent
LIBRARIES = (
    "kedro.framework.cli, kedro_mlflow, kedro_datasets, mlflow.xgboost, feast, xgboost, sklearn.linear_model, optuna,"
    " shap, evidently, ibis, duckdb, pandas, pyarrow, scipy.stats, matplotlib.pyplot"
)
BARE = """
import pandas as pd
from datetime import UTC, datetime
from churn import config
from churn.core.modelling.training import TrainingParameters, train
from churn.io.features import feature_store

pd.read_csv("data/raw/churn.csv")
found = config.load()
frame = pd.read_parquet("data/models/training_frame.parquet")
parameters = TrainingParameters.model_validate(found.parameters["training"])
features = found.declaration.features
train(frame, frame["churned"], frame["customer_id"].tolist(), features, parameters, threshold=0.16, schema_sha256="")
moment = datetime(2026, 11, 1, tzinfo=UTC)
feature_store.materialize("feature_repo/feature_store.yaml", moment, moment)
"""


def main() -> None:
    """Measure, and print a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--repeats", type=int, default=3)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        project = copy_project(Path(name) / "project")
        run = [str(PROGRAM / "kedro"), "run"]
        measure([*run, "--pipelines", "sample_data"], project)
        sides = {"kedro run": run, "bare parts": [sys.executable, "-c", BARE], "imports": [sys.executable, "-c", f"import {LIBRARIES}"]}
        costs = {side: _least(command, project, given.repeats) for side, command in sides.items()}
    for side, cost in costs.items():
        print(f"{side:12s}{cost}")
    print(f"CPU of `kedro run`: {costs['kedro run'].cpu / costs['bare parts'].cpu:.2f} times its bare parts")


def _least(command: list[str], project: Path, repeats: int) -> Cost:
    return min((measure(command, project) for _ in range(repeats)), key=lambda cost: cost.cpu)


if __name__ == "__main__":
    main()
