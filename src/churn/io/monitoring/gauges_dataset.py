"""The gauges as a dataset of the catalog."""

from typing import Any

from kedro.io import AbstractDataset

from churn.config import rooted
from churn.io.predictions.gauges import read_gauges, write_gauges
from churn.io.predictions.log_reader import shown


class GaugesDataset(AbstractDataset[str, str]):
    """Prometheus' text format, kept where the API finds it.

    Args:
        url: the prediction log, SQLite or PostgreSQL; a relative SQLite path starts from the project's folder.
    """

    def __init__(self, url: str, metadata: dict[str, Any] | None = None) -> None:
        self._url, self.metadata = rooted(url), metadata

    def save(self, data: str) -> None:
        """Keep the gauges in place of the last ones."""
        write_gauges(self._url, data)

    def load(self) -> str:
        """The gauges; empty where there are none."""
        return read_gauges(self._url)

    def _exists(self) -> bool:
        return bool(self.load())

    def _describe(self) -> dict[str, Any]:
        return {"database": shown(self._url)}
