"""The pipelines of the project, and which of them `kedro run` runs."""

from pkgutil import iter_modules

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline

import churn.pipelines
from churn.core.errors import ChurnError

MAIN = ("data_processing", "feature_store", "training", "evaluation", "monitoring")
"""What `kedro run` runs, in this order; the others run by name."""


def register_pipelines() -> dict[str, Pipeline]:
    """Find every folder of `churn.pipelines`; `__default__` is the main job.

    Each becomes a group of its name, which `kedro viz` shows as one box until it is opened.

    Raises:
        ChurnError: if a pipeline is asked for that does not exist.
    """
    try:
        found = find_pipelines(raise_errors=True)
    except ImportError as error:
        if error.__cause__ is not None:  # a pipeline that is there and does not import
            raise
        raise ChurnError(f"There is no pipeline of that name. There are: {', '.join(sorted(_names()))}.") from None
    grouped = {
        name: Pipeline(pipeline, namespace=name, prefix_datasets_with_namespace=False)
        for name, pipeline in found.items()
        if name != "__default__"
    }
    return {**grouped, "__default__": sum((grouped[name] for name in MAIN if name in grouped), Pipeline([]))}


def _names() -> list[str]:
    return [module.name for module in iter_modules(churn.pipelines.__path__)]
