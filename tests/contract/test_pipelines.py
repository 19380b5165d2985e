"""What holds for every pipeline of the project."""

from pathlib import Path

import pytest
from kedro.framework.project import configure_project, pipelines
from kedro.framework.startup import bootstrap_project
from kedro.pipeline import Pipeline
from kedro.validation.type_extractor import TypeExtractor
from pydantic import BaseModel

ROOT = Path(__file__).parents[2]
MAIN = ("data_processing", "feature_store", "training", "evaluation", "monitoring")


@pytest.fixture(scope="module")
def registered() -> dict[str, Pipeline]:
    bootstrap_project(ROOT)
    configure_project("churn")
    return dict(pipelines)


def test_the_five_pipelines_are_the_default(registered: dict[str, Pipeline]) -> None:
    assert set(MAIN) <= set(registered)
    assert {node.name for node in registered["__default__"].nodes} == {node.name for name in MAIN for node in registered[name].nodes}


def test_kedro_validates_every_parameter_before_a_node_runs(registered: dict[str, Pipeline]) -> None:
    types = TypeExtractor(registered).extract_types_from_pipelines()
    used = {name.removeprefix("params:") for pipeline in registered.values() for name in pipeline.inputs() if name.startswith("params:")}
    assert {name: types.get(name) for name in used if not (isinstance(types.get(name), type) and issubclass(types[name], BaseModel))} == {}
