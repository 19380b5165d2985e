"""Reading features: online by customer, and offline as they were at a point in time."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from churn.core.declaration import CUSTOMER_ID, EVENT_TIMESTAMP, ColumnType
from churn.core.errors import ChurnError
from churn.io.features.feature_store import SERVICE, VIEW, open_store, quiet, registered_features, registered_view
from churn.io.features.registry_files import local_files

_SHOWN = 3


@dataclass(frozen=True)
class OnlineRows:
    """What the online store answered for n customers.

    Attributes:
        columns: feature -> n values (str, bool, int, float or None), features in the declaration's order.
        as_of: n times (UTC) that the values describe; None for a customer the store does not know.
        seconds: how long the read took.
    """

    columns: dict[str, list[Any]]
    as_of: list[datetime | None]
    seconds: float

    @property
    def found(self) -> list[bool]:
        """Whether the store knows each customer."""
        return [when is not None for when in self.as_of]


class OnlineFeatures:
    """The online store, open for reading. Safe to share between threads.

    Where the store is a local file, a file that has taken its place is noticed at the next read.
    """

    def __init__(self, feast_file: str) -> None:
        """Open it.

        Raises:
            ChurnError: if nothing is registered yet.
        """
        self._feast_file = feast_file
        self._opened: tuple[Any, Any, tuple[str, ...]] | None = None
        self._state: tuple[tuple[int, int], ...] = ()
        self._store()

    @property
    def features(self) -> tuple[str, ...]:
        """The features' names in the declaration's order."""
        return self._store()[2]

    def read(self, customer_ids: Sequence[str]) -> OnlineRows:
        """The newest values of n customers, in the order asked.

        An unknown customer has only None: stores disagree on the status they answer, but none answers a time.
        """
        started = time.perf_counter()
        store, service, names = self._store()
        if not customer_ids:
            return OnlineRows({name: [] for name in names}, [], time.perf_counter() - started)
        entities = [{CUSTOMER_ID: customer} for customer in customer_ids]
        answer = store.get_online_features(features=service, entity_rows=entities).to_dict(include_event_timestamps=True)
        columns = {name: [_plain(value) for value in answer[name]] for name in names}
        times = (max(row) for row in zip(*(answer[f"{name}__ts"] for name in names), strict=True))
        as_of = [datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None for seconds in times]
        return OnlineRows(columns, as_of, time.perf_counter() - started)

    def _store(self) -> tuple[Any, Any, tuple[str, ...]]:
        if self._opened is None or self._state != self._files_state():
            store = open_store(self._feast_file)
            self._files = tuple(local_files(store.config).values())
            self._state = self._files_state()
            self._opened = (store, store.get_feature_service(SERVICE), tuple(registered_features(store)))
        return self._opened

    def _files_state(self) -> tuple[tuple[int, int], ...]:
        """Changes when a local file of the store is replaced or written."""
        stats = [path.stat() for path in self._files if path.exists()]
        return tuple((stat.st_ino, stat.st_mtime_ns) for stat in stats)

    _files: tuple[Path, ...] = ()


def read_historical(feast_file: str, rows: Any) -> Any:
    """Each row with the features its customer had at its event_timestamp (point-in-time join).

    Args:
        feast_file: the feature_store.yaml.
        rows: pandas, n rows: customer_id (text), event_timestamp (UTC) and any further columns, which are kept.

    Returns:
        pandas, the same n rows sorted by customer_id and event_timestamp, and the features in the declaration's
        order: category as object (str or None), boolean as `boolean`, integer as `Int64`, number as float64.
        Equal on every offline engine.

    Raises:
        ChurnError: if Feast answers another number of rows, or knows nothing of a customer at that time.
    """
    store = open_store(feast_file)
    types = registered_features(store)
    with quiet():
        # Feast adds to the frame it is given.
        job = store.get_historical_features(entity_df=rows.copy(deep=False), features=store.get_feature_service(SERVICE))
        answer = job.to_arrow()
    if len(answer) != len(rows):
        raise ChurnError(
            f"Feast answered {len(answer):,} rows for {len(rows):,} customers: {VIEW} has no value, or several at the same time, for "
            "the others. Run `kedro run --pipelines data_processing,feature_store` first."
        )
    frame = _typed(answer, types, rows)
    _require_known(frame[frame[list(types)].isna().all(axis=1)], registered_view(store).batch_source.path, len(frame))
    return frame


def _typed(answer: Any, types: dict[str, ColumnType], rows: Any) -> Any:
    """Arrow of any offline engine to pandas with one order of rows and columns and one set of types."""
    import pandas as pd
    import pyarrow as pa

    arrow = {"category": pa.string(), "boolean": pa.bool_(), "integer": pa.int64(), "number": pa.float64()}
    kept = [name for name in rows.columns if name not in (CUSTOMER_ID, EVENT_TIMESTAMP)]
    keys = {CUSTOMER_ID: pa.string(), EVENT_TIMESTAMP: pa.timestamp("us", "UTC")}
    fixed = keys | {name: arrow[declared] for name, declared in types.items()}
    names = [CUSTOMER_ID, EVENT_TIMESTAMP, *kept, *types]
    table = pa.table({name: answer[name].cast(fixed[name]) if name in fixed else answer[name] for name in names})
    table = table.sort_by([(CUSTOMER_ID, "ascending"), (EVENT_TIMESTAMP, "ascending")])
    frame = table.to_pandas(types_mapper={pa.bool_(): pd.BooleanDtype(), pa.int64(): pd.Int64Dtype()}.get)
    return frame.astype({name: rows[name].dtype for name in kept})


def _require_known(empty: Any, source: str, asked: int) -> None:
    """Stop if the feature table has no row of a customer at or before the time asked for.

    Feast answers such a customer like one whose features are all missing: with nothing.

    Args:
        empty: pandas, the answered rows without any value.
        source: the Parquet file with the features.
        asked: how many rows were asked for.
    """
    if empty.empty:
        return
    import pandas as pd

    filters = [(CUSTOMER_ID, "in", empty[CUSTOMER_ID].unique().tolist())]
    held = pd.read_parquet(source, columns=[CUSTOMER_ID, EVENT_TIMESTAMP], filters=filters)
    first = empty[CUSTOMER_ID].map(held.groupby(CUSTOMER_ID)[EVENT_TIMESTAMP].min())
    unknown = empty[~(pd.to_datetime(first, utc=True) <= empty[EVENT_TIMESTAMP])]
    if len(unknown):
        examples = ", ".join(unknown[CUSTOMER_ID].head(_SHOWN))
        raise ChurnError(
            f"The feature store knows nothing of {len(unknown):,} of {asked:,} customers at their time (such as {examples}). "
            "Run `kedro run --pipelines data_processing,feature_store` first."
        )


def _plain(value: Any) -> Any:
    """A missing number may come back as NaN."""
    return None if value != value else value  # noqa: PLR0124
