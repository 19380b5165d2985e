"""What surrounds a run: messages for people, and a database folder that exists."""

import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from kedro.framework.hooks import hook_impl

from churn import config
from churn.core.errors import ChurnError


class ProjectHooks:
    """Registered in settings.py."""

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: Any) -> None:
        """Before kedro-mlflow opens the tracking database: its folder exists. Users' mistakes print without a traceback."""
        _show_mistakes_without_traceback()
        tracking_uri = config.load(Path(context.project_path), context.env).settings["tracking_uri"]
        if tracking_uri.startswith(config.SQLITE):
            database = config.rooted(tracking_uri, Path(context.project_path)).removeprefix(config.SQLITE)
            Path(database).parent.mkdir(parents=True, exist_ok=True)


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
