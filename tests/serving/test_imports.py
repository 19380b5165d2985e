"""What the server's process may import."""

import subprocess
import sys

from tests.projects import ROOT

FORBIDDEN = {
    "kedro",
    "churn.pipelines",
    "mlflow",
    "feast",
    "pandas",
    "pyarrow",
    "sklearn",
    "shap",
    "evidently",
    "gradio",
    "duckdb",
    "ibis",
    "matplotlib",
}


def test_serving_imports_no_pipeline_and_nothing_that_costs_seconds():
    modules = sorted(path.stem for path in (ROOT / "serving").glob("*.py") if path.stem not in ("__init__", "app"))
    code = f"import sys, {', '.join(f'serving.{name}' for name in modules)}, redis.asyncio; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "serving.factory" in done.stdout.split()
    assert FORBIDDEN & set(done.stdout.split()) == set()


def test_scikit_learn_can_still_be_imported_afterwards():
    code = "import serving, xgboost, sklearn; print(sklearn.__version__)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
