"""What surrounds a run: parameters that are there, a database folder that exists, services that answer."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl

from churn import config, preflight
from churn.core.errors import ChurnError
from churn.io import connections

PARAMETERS = "params:"
"""What Kedro puts before a section of parameters that a node asks for."""


class ProjectHooks:
    """Registered in settings.py."""

    def __init__(self) -> None:
        self._context: Any = None

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: Any) -> None:
        """Before kedro-mlflow opens the tracking: its folder exists, or its server answers."""
        self._context = context
        configuration = self._configuration()
        preflight.limit_waiting(configuration)
        if connections.problems(preflight.of_tracking(configuration)):
            connections.require(preflight.of_environment(configuration))  # whoever starts one service has often to start all
        tracking_uri = configuration.settings["tracking_uri"]
        if tracking_uri.startswith(config.SQLITE):
            Path(configuration.path(tracking_uri).removeprefix(config.SQLITE)).parent.mkdir(parents=True, exist_ok=True)

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: Any, catalog: Any) -> None:
        """Before kedro-mlflow starts a run: the parameters of these pipelines are there, and the services of their datasets answer."""
        _require_parameters(pipeline, catalog)
        connections.require(self._needed(pipeline))

    @hook_impl(wrapper=True)
    def on_pipeline_error(self, error: Exception, pipeline: Any) -> Generator[None, Any, Any]:
        """A run that broke off because a service went away says which, instead of a library's traceback."""
        found = connections.problems([*preflight.of_tracking(self._configuration()), *self._needed(pipeline)])
        try:
            return (yield)
        finally:
            if found:
                message = [*found, "The run broke off. What it wrote before is whole; run it again when the service is back."]
                raise connections.ServiceError("\n".join(message)) from error

    def _configuration(self) -> config.Config:
        return config.load(Path(self._context.project_path), self._context.env)

    def _needed(self, pipeline: Any) -> list[connections.Service]:
        entries = self._context.config_loader["catalog"]
        used = (entries.get(name) for name in pipeline.datasets())
        return preflight.of_datasets(self._configuration(), [entry for entry in used if isinstance(entry, dict)])


def _require_parameters(pipeline: Any, catalog: Any) -> None:
    missing = sorted(name.removeprefix(PARAMETERS) for name in pipeline.inputs() if name.startswith(PARAMETERS) and name not in catalog)
    if missing:
        raise ChurnError(f"No file below conf has these parameters, or one of them is misspelled: {', '.join(missing)}.")
