"""The feature store as catalog entries: nodes say what, these say it to Feast."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from kedro.io import AbstractDataset

from churn.core.declaration import Feature
from churn.core.errors import ChurnError


class FeatureDefinitionsDataset(AbstractDataset[Sequence[Feature], list[str]]):
    """What is registered in Feast. Saving features registers them; loading gives their names in order.

    Args:
        filepath: the feature_store.yaml.
        source: `{filepath: ...}` of the Parquet file with the features.
    """

    def __init__(self, filepath: str, source: Mapping[str, str], metadata: dict[str, Any] | None = None) -> None:
        self._filepath, self._source, self.metadata = filepath, source["filepath"], metadata

    def save(self, data: Sequence[Feature]) -> None:
        """Register the features (`feast apply`)."""
        from churn.io.features import feature_store

        feature_store.apply(self._filepath, data, self._source)

    def load(self) -> list[str]:
        """The registered features' names."""
        from churn.io.features import feature_store

        return list(feature_store.registered_features(feature_store.open_store(self._filepath)))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "source": self._source}


class OnlineFeaturesDataset(AbstractDataset[Any, Any]):
    """The online store. Saving an interval fills it; loading opens it as `OnlineFeatures`.

    The interval is an Ibis table of one row with `start` and `end`: what the data say of themselves.

    Args:
        filepath: the feature_store.yaml.
    """

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath, self.metadata = filepath, metadata

    def save(self, data: Any) -> None:
        """Materialize from `start` to `end`, both included."""
        from churn.io.features import feature_store

        bounds = data.to_pyarrow().to_pylist()[0]
        if bounds["start"] is None:
            raise ChurnError("The feature table has no rows: there is nothing to put into the online store.")
        feature_store.materialize(self._filepath, _utc(bounds["start"]), _utc(bounds["end"]))

    def load(self) -> Any:
        """The store, open for reading."""
        from churn.io.features.reads import OnlineFeatures

        return OnlineFeatures(self._filepath)

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}


class HistoricalFeaturesDataset(AbstractDataset[Any, Any]):
    """Rows of customers at a time. Saving keeps the rows asked for; loading answers them with their features.

    Args:
        filepath: the feature_store.yaml.
        rows: `{filepath: ...}` of the Parquet file that keeps the rows asked for.
    """

    def __init__(self, filepath: str, rows: Mapping[str, str], metadata: dict[str, Any] | None = None) -> None:
        from kedro_datasets.pandas import ParquetDataset

        self._filepath, self._rows, self.metadata = filepath, rows["filepath"], metadata
        self._question = ParquetDataset(filepath=self._rows)

    def save(self, data: Any) -> None:
        """Keep customer_id, event_timestamp and any further columns (pandas)."""
        self._question.save(data)

    def load(self) -> Any:
        """The rows with their features at that time (pandas); see `read_historical`."""
        from churn.io.features.reads import read_historical

        return read_historical(self._filepath, self._question.load())

    def _exists(self) -> bool:
        return bool(self._question.exists())

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "rows": self._rows}


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
