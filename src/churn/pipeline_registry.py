"""The pipelines of the project, and which of them `kedro run` runs."""

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline

MAIN = ("data_processing", "feature_store", "training", "evaluation", "monitoring")
"""What `kedro run` runs, in this order; the others run by name."""


def register_pipelines() -> dict[str, Pipeline]:
    """Find every folder of `churn.pipelines`; `__default__` is the main job.

    Each becomes a group of its name, which `kedro viz` shows as one box until it is opened.
    """
    found = find_pipelines(raise_errors=True)
    grouped = {
        name: Pipeline(pipeline, namespace=name, prefix_datasets_with_namespace=False)
        for name, pipeline in found.items()
        if name != "__default__"
    }
    return {**grouped, "__default__": sum((grouped[name] for name in MAIN if name in grouped), Pipeline([]))}
