"""What became of the customers: the table `outcomes`, which grows as outcomes arrive."""

from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset

from churn.core.declaration import CHURNED, CUSTOMER_ID
from churn.core.errors import ChurnError

if TYPE_CHECKING:
    from pandas import DataFrame

OBSERVED_AT = "observed_at"
COLUMNS = (CUSTOMER_ID, CHURNED, OBSERVED_AT)
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")


class OutcomesDataset(AbstractDataset[Any, Any]):
    """A CSV or Parquet file with `customer_id`, `churned` and `observed_at` (when it was known). No file: no outcomes yet.

    Args:
        filepath: the file, local or remote.
    """

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        from kedro_datasets.pandas import CSVDataset, ParquetDataset

        self.metadata, self._filepath = metadata, filepath
        is_csv = filepath.endswith(".csv")
        self._file = (
            CSVDataset(filepath=filepath, load_args={"dtype": str}, save_args={"index": False})
            if is_csv
            else ParquetDataset(filepath=filepath)
        )

    def load(self) -> "DataFrame":
        """The outcomes: customer_id as text, churned as bool, observed_at as UTC time.

        Raises:
            ChurnError: naming the column that is missing or the first value that cannot be read.
        """
        import pandas as pd

        if not self._file.exists():
            return typed(pd.DataFrame({name: [] for name in COLUMNS}), self._filepath)
        return typed(self._file.load(), self._filepath)

    def save(self, data: "DataFrame") -> None:
        """Add outcomes to those that are there; of two for a customer at one time the later stays."""
        import pandas as pd

        together = pd.concat([self.load(), typed(data, "the new outcomes")], ignore_index=True)
        self._file.save(together.drop_duplicates([CUSTOMER_ID, OBSERVED_AT], keep="last"))

    def _exists(self) -> bool:
        return bool(self._file.exists())

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}


def typed(frame: "DataFrame", where: str) -> "DataFrame":
    """The three columns in their types."""
    import pandas as pd

    if missing := [name for name in COLUMNS if name not in frame]:
        raise ChurnError(f"{where} has no column {', '.join(missing)}. Outcomes are {', '.join(COLUMNS)} (docs/monitoring.md).")
    words = frame[CHURNED].astype(str).str.strip().str.lower()
    times = pd.to_datetime(frame[OBSERVED_AT], utc=True, errors="coerce", format="ISO8601")
    for name, bad in ((CHURNED, ~words.isin(_TRUE + _FALSE)), (OBSERVED_AT, times.isna()), (CUSTOMER_ID, frame[CUSTOMER_ID].isna())):
        if bad.any():
            row = int(bad.to_numpy().argmax())
            wanted = "true or false" if name == CHURNED else "an ISO 8601 time" if name == OBSERVED_AT else "an id"
            raise ChurnError(f"{where}, row {row + 1}: {name} is {frame[name].iloc[row]!r}, and must be {wanted}.")
    return pd.DataFrame({CUSTOMER_ID: frame[CUSTOMER_ID].astype(str), CHURNED: words.isin(_TRUE).astype(bool), OBSERVED_AT: times})
