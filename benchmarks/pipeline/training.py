"""How much of the training pipeline is the fit, on a large table.

    python -m benchmarks.pipeline.training [--rows 1000000]

Runs `kedro run --pipelines training` on the sample population, and the node that searches and fits by
itself; start-up is the node that only names the rows. The online store is left out: training does not read it.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import measure
from tests.projects import copy_project

KEDRO = str(Path(sys.executable).parent / "kedro")


def main() -> None:
    """Measure, and print the share."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=1_000_000)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        project = copy_project(Path(name) / "project")
        measure([KEDRO, "run", "--pipelines", "sample_data", "--params", f"sample_data.rows={given.rows}"], project)
        measure([KEDRO, "run", "--pipelines", "data_processing"], project)
        measure([KEDRO, "run", "--pipelines", "feature_store", "--nodes", "feature_store.register_features"], project)
        training = [KEDRO, "run", "--pipelines", "training"]
        whole = measure(training, project)
        start = measure([*training, "--nodes", "training.entity_rows"], project)
        fit = measure([*training, "--nodes", "training.train_challenger"], project)
    print(f"{given.rows:,} rows")
    print(f"training pipeline  {whole}\nsearch and fit     {fit}\nstart-up           {start}")
    print(f"The fit is {(fit.cpu - start.cpu) / whole.cpu:.0%} of the training pipeline's CPU")


if __name__ == "__main__":
    main()
