"""Files of the catalog that the tracking server gets too, wherever they lie."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from churn.io.files.places import filesystem


class ArtifactDataset(AbstractDataset[Any, Any]):
    """A dataset with one file; inside a tracked run the file is logged as an artifact of the run.

    kedro-mlflow's own artifact dataset needs the file on the local disk. It turns `_logging_activated` off for
    pipelines that are not tracked.

    Args:
        dataset: the definition of the dataset, with `filepath`.
    """

    _logging_activated = True

    def __init__(self, dataset: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        self.metadata = metadata
        self._filepath = str(dataset["filepath"])
        self._dataset: AbstractDataset[Any, Any] = AbstractDataset.from_config(Path(self._filepath).stem, dataset)

    def save(self, data: Any) -> None:
        """Write the file, and log it to the active run if there is one."""
        import mlflow

        self._dataset.save(data)
        if self._logging_activated and mlflow.active_run() is not None:
            self._log()

    def load(self) -> Any:
        """What was saved."""
        return self._dataset.load()

    @property
    def preview(self) -> Any:
        """Kedro-Viz' preview, where the dataset has one."""
        return self._dataset.preview  # type: ignore[attr-defined]

    def _log(self) -> None:
        import mlflow

        system, path = filesystem(self._filepath)
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / Path(path).name
            with system.open(path, "rb") as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target)
            mlflow.log_artifact(str(copy))

    def _exists(self) -> bool:
        return bool(self._dataset.exists())

    def release(self) -> None:
        """As the dataset does."""
        self._dataset.release()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}
