"""Files of the catalog that appear under their name only when they are whole, whatever dataset writes them."""

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from churn.io.files.places import written_whole


class WholeFileDataset(AbstractDataset[Any, Any]):
    """A dataset with one file: a run that is killed while it writes leaves the old file or none, never half of the new one.

    Args:
        dataset: the definition of the dataset, with `filepath`.
    """

    def __init__(self, dataset: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        self.metadata = metadata
        self._filepath = str(dataset["filepath"])
        self._definition = dataset
        self._dataset = self._at(self._filepath)

    def save(self, data: Any) -> None:
        """Write a file beside it, or on this machine if the place is remote, and put it in its place in one step."""
        with written_whole(self._filepath) as file:
            self._at(str(file)).save(data)

    def load(self) -> Any:
        """What was saved."""
        return self._dataset.load()

    @property
    def preview(self) -> Any:
        """Kedro-Viz' preview, where the dataset has one."""
        return self._dataset.preview  # type: ignore[attr-defined]

    def _at(self, filepath: str) -> AbstractDataset[Any, Any]:
        return AbstractDataset.from_config(Path(self._filepath).stem, {**self._definition, "filepath": filepath})

    def _exists(self) -> bool:
        return bool(self._dataset.exists())

    def release(self) -> None:
        """As the dataset does."""
        self._dataset.release()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}
