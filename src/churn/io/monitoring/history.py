"""The memory of earlier verdicts."""

import json
from typing import Any

from kedro_datasets.json import JSONDataset

from churn.core.errors import ChurnError


class HistoryDataset(JSONDataset):  # type: ignore[misc]  # kedro-datasets has no types
    """A JSON list; no file is an empty list."""

    def load(self) -> list[dict[str, Any]]:
        """The entries, oldest first.

        Raises:
            ChurnError: if the file is no list.
        """
        try:
            found = super().load() if self._exists() else []
        except json.JSONDecodeError:
            found = None
        if not isinstance(found, list):
            raise ChurnError(f"{self._filepath} is damaged. Move it away: monitoring starts a new one, and forgets what has alerted.")
        return found
