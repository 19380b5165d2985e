"""Kedro's reader of `conf`, for people: what is wrong in it is one message, without a traceback."""

import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from kedro.config import OmegaConfigLoader
from kedro.validation import ParameterValidationError, TypeExtractor
from pydantic import ValidationError

from churn import config
from churn.core.errors import ChurnError, find_mistake, mistakes


class ReadableConfigLoader(OmegaConfigLoader):
    """Registered in settings.py; the first that Kedro makes in a run. From then on users' mistakes print without a traceback."""

    def __init__(self, conf_source: str, env: str | None = None, runtime_params: dict[str, Any] | None = None, **options: Any):
        """Look at every file that Kedro will read.

        Raises:
            ChurnError: naming the first that is broken, and where.
        """
        self._show_mistakes_without_traceback()
        self._config = config.load(Path(conf_source), env)
        config.require_readable(self._config)
        super().__init__(conf_source, env, runtime_params, **options)

    def explained(self, error: BaseException) -> ChurnError | None:
        """The user's mistake behind an error, where there is one: Kedro wraps what a dataset raises, and says what pydantic says."""
        if isinstance(error, ParameterValidationError):
            return self._mistakes_in_parameters()
        return find_mistake(error)

    def _mistakes_in_parameters(self) -> ChurnError:
        from kedro.framework.project import pipelines  # the import sets logging up, and a notebook wants none of it

        lines = []
        for section, model in TypeExtractor(dict(pipelines)).extract_types_from_pipelines().items():
            try:
                model.model_validate(self["parameters"].get(section))  # type: ignore[attr-defined]
            except ValidationError as refused:
                place = "--params" if section in (self.runtime_params or {}) else config.declared_in(self._config, section)
                lines += [f"  {line}  [{place}]" for line in mistakes(refused, section)]
        return ChurnError("\n".join(["The parameters have mistakes; nothing was written:", *lines]))

    def _show_mistakes_without_traceback(self) -> None:
        shown_before = sys.excepthook

        def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
            mistake = self.explained(error)
            if mistake is None:
                shown_before(kind, error, trace)
            else:
                sys.stderr.write(f"\n{mistake}\n")

        sys.excepthook = show
