"""The pipelines of the project, and which of them `kedro run` runs."""

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline

MAIN = ("data_processing", "feature_store", "training", "evaluation", "monitoring")
"""What `kedro run` runs, in this order; the others run by name."""


def register_pipelines() -> dict[str, Pipeline]:
    """Find every folder of `churn.pipelines`; `__default__` is the main job."""
    pipelines = find_pipelines(raise_errors=True)
    pipelines["__default__"] = sum((pipelines[name] for name in MAIN if name in pipelines), Pipeline([]))
    return pipelines
