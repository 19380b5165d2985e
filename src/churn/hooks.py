"""What surrounds a run: messages for people, a database folder that exists, services that answer."""

import sys
from collections.abc import Generator
from pathlib import Path
from types import TracebackType
from typing import Any

from kedro.framework.hooks import hook_impl

from churn import config, preflight
from churn.core.errors import ChurnError
from churn.io import connections


class ProjectHooks:
    """Registered in settings.py."""

    def __init__(self) -> None:
        self._context: Any = None

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: Any) -> None:
        """Before kedro-mlflow opens the tracking: its folder exists, or its server answers.

        Users' mistakes print without a traceback.
        """
        _show_mistakes_without_traceback()
        self._context = context
        configuration = self._configuration()
        preflight.limit_waiting(configuration)
        if connections.problems(preflight.of_tracking(configuration)):
            connections.require(preflight.of_environment(configuration))  # whoever starts one service has often to start all
        tracking_uri = configuration.settings["tracking_uri"]
        if tracking_uri.startswith(config.SQLITE):
            Path(configuration.path(tracking_uri).removeprefix(config.SQLITE)).parent.mkdir(parents=True, exist_ok=True)

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: Any) -> None:
        """Before kedro-mlflow starts a run: the services that the datasets of these pipelines need answer."""
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


def find_mistake(error: BaseException | None) -> ChurnError | None:
    """The user's mistake behind an error, where there is one: Kedro wraps what a dataset raises."""
    while error is not None and not isinstance(error, ChurnError):
        error = error.__cause__
    return error


def _show_mistakes_without_traceback() -> None:
    shown_before = sys.excepthook
    if getattr(shown_before, "shows_mistakes", False):
        return

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        mistake = find_mistake(error)
        if mistake is None:
            shown_before(kind, error, trace)
        else:
            sys.stderr.write(f"\n{mistake}\n")

    show.shows_mistakes = True  # type: ignore[attr-defined]
    sys.excepthook = show
