"""Metrics as a JSON file that the tracking server gets too."""

from typing import Any

from churn.io.files.whole import WholeFileDataset


class MetricsDataset(WholeFileDataset):
    """A flat mapping of metric to number; inside a tracked run it is logged in one call.

    kedro-mlflow's own metric datasets keep no file and send each metric by itself.

    Args:
        filepath: where the file is, local or remote.
        options: what `json.JSONDataset` takes.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None, **options: Any) -> None:
        super().__init__({"type": "json.JSONDataset", "filepath": filepath, **options}, metadata)

    def save(self, data: dict[str, float]) -> None:
        """Write the file and log the metrics to the active run, if there is one."""
        import mlflow

        super().save(data)
        if mlflow.active_run() is not None:
            mlflow.log_metrics(data)
