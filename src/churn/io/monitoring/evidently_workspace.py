"""The folder that `evidently ui` shows: a run for every judged window, and panels over time."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from churn.core.monitoring.table import SCORE

PROJECT = "churn"
WINDOW = "window"
PANELS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("Features that have drifted", "DriftedColumnsCount", {"value_type": "count"}),
    ("Drift of the score (PSI)", "ValueDrift", {"column": SCORE}),
    ("ROC-AUC where outcomes are known", "RocAuc", {}),
)
"""Title, Evidently's metric, and the labels that choose one of several."""


@dataclass(frozen=True)
class EvidentlyRuns:
    """Snapshots of one window by name, each with the metadata `WINDOW`, which names the window."""

    snapshots: dict[str, Any] = field(default_factory=dict)


class EvidentlyWorkspaceDataset(AbstractDataset[Any, Any]):
    """Saving adds runs to the project `churn` of a workspace, which is made where there is none.

    Args:
        path: a folder of this machine.
    """

    def __init__(self, path: str, metadata: dict[str, Any] | None = None) -> None:
        self._path, self.metadata = path, metadata

    def save(self, data: EvidentlyRuns) -> None:
        """Add the runs, in place of those of the same window; without any, the workspace stays as it is."""
        if not data.snapshots:
            return
        workspace, project = self._project()
        window = next(iter(data.snapshots.values())).to_snapshot_model().metadata[WINDOW]
        for run in sorted(workspace.list_runs(project.id), reverse=True):  # their ids grow with time
            if workspace.get_run(project.id, run).metadata.get(WINDOW) != window:
                break
            workspace.delete_run(project.id, run)
        for name, snapshot in data.snapshots.items():
            workspace.add_run(project.id, snapshot, include_data=False, name=name)

    def load(self) -> list[Any]:
        """The runs of the project, oldest first."""
        if not Path(self._path).is_dir():
            raise DatasetError(f"There is no workspace in {self._path} yet.")
        workspace, project = self._project()
        return list(workspace.list_runs(project.id))

    def _project(self) -> tuple[Any, Any]:
        from evidently.ui.workspace import Workspace

        Path(self._path).mkdir(parents=True, exist_ok=True)
        workspace = Workspace.create(self._path)
        found = workspace.search_project(PROJECT)
        if found:
            return workspace, found[0]
        project = workspace.create_project(PROJECT, description="Predictions in production against the customers the model was tested on")
        for title, metric, labels in PANELS:
            project.dashboard.add_panel(_panel(title, metric, labels))
        project.save()
        return workspace, project

    def _exists(self) -> bool:
        return Path(self._path).is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"path": self._path}


def _panel(title: str, metric: str, labels: dict[str, str]) -> Any:
    from evidently.sdk.models import PanelMetric
    from evidently.sdk.panels import line_plot_panel

    return line_plot_panel(title=title, values=[PanelMetric(legend=title, metric=metric, metric_labels=labels)])
