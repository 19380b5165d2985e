"""Files of the catalog that the tracking server gets too, wherever they lie."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from churn.io.files.places import filesystem
from churn.io.files.whole import WholeFileDataset


class ArtifactDataset(WholeFileDataset):
    """A dataset with one file; inside a tracked run the file is logged as an artifact of the run.

    kedro-mlflow's own artifact dataset needs the file on the local disk.
    """

    def save(self, data: Any) -> None:
        """Write the file, and log it to the active run if there is one."""
        import mlflow

        super().save(data)
        if mlflow.active_run() is not None:
            self._log()

    def _log(self) -> None:
        import mlflow

        system, path = filesystem(self._filepath)
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / Path(path).name
            with system.open(path, "rb") as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target)
            mlflow.log_artifact(str(copy))
