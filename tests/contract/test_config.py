"""What reads `conf/` without a Kedro session finds there what Kedro finds."""

from pathlib import Path

import pytest
from kedro.config import OmegaConfigLoader

from churn import config
from churn.settings import CONFIG_LOADER_ARGS


@pytest.mark.parametrize("environment", ["local", "sample", "stack", "mine"])
def test_settings_and_parameters_are_those_of_kedro(project: Path, environment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHURN_PREDICTION_LOG", "postgresql+psycopg://churn@localhost/churn")
    mine = project / "conf" / "mine"
    mine.mkdir()
    (mine / "globals.yml").write_text("storage: other\ntracking_uri: http://localhost:5000\n")
    (mine / "parameters.yml").write_text("scoring: {batch: 10}\n")
    loader = OmegaConfigLoader(str(project / "conf"), env=environment, **CONFIG_LOADER_ARGS)
    found = config.load(project, environment)
    assert found.settings == loader["globals"]
    assert found.parameters == loader["parameters"]
