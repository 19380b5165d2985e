"""Scoring: Ibis expressions find the rows, Arrow batches carry them through the model."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from churn.core.decisions.reasons import current_texts
from churn.core.decisions.retention import (
    CHURN_PROBABILITY,
    EXPECTED_VALUE,
    RANK,
    REASONS,
    ScoringParameters,
    misfits,
    reason_columns,
    score_columns,
)
from churn.core.declaration import CUSTOMER_ID, EVENT_TIMESTAMP, ColumnType, Declaration
from churn.core.errors import ChurnError
from churn.core.evaluation.profit import Costs
from churn.core.lazy_types import RecordBatchReader, Table
from churn.io.models.registry import RegisteredModel

FEATURES_AS_OF, MODEL_VERSION, SCORED_AT = "features_as_of", "model_version", "scored_at"


def newest_rows(customer_features: Table, champion: RegisteredModel | None) -> Table:
    """The newest row of each customer, with the champion's features.

    Raises:
        ChurnError: if there is no champion, or it was trained on a table with other columns.
    """
    if champion is None:
        raise ChurnError(
            "There is no champion to score with. Train one with `kedro run`, or make a version of `churn status` the champion "
            "with `churn promote VERSION`."
        )
    types = {name: _declared_type(kind) for name, kind in customer_features.schema().items()}
    if found := misfits(champion.model.spec.features, types):
        raise ChurnError(
            f"The champion (version {champion.version}) does not fit the table of features: {'; '.join(found)}. Train on the present table "
            "with `kedro run`, or, if its declaration was changed by mistake, mend it and run "
            "`kedro run --pipelines data_processing,feature_store`."
        )
    newest = customer_features.group_by(CUSTOMER_ID).agg(**{EVENT_TIMESTAMP: customer_features[EVENT_TIMESTAMP].max()})
    rows = customer_features.semi_join(newest, [CUSTOMER_ID, EVENT_TIMESTAMP])
    return rows.select(CUSTOMER_ID, EVENT_TIMESTAMP, *champion.model.names)


def score_customers(newest: RecordBatchReader, champion: RegisteredModel, costs: Costs) -> RecordBatchReader:
    """Probability, call and expected value of contacting for every customer, in the order in which the engine hands them on."""
    import pyarrow as pa

    scored_at = datetime.now(UTC)

    def scored() -> Iterator[Any]:
        for batch in newest:
            columns = score_columns(champion.model, batch.to_pandas(), costs)
            keys = {CUSTOMER_ID: batch.column(CUSTOMER_ID), FEATURES_AS_OF: batch.column(EVENT_TIMESTAMP)}
            yield _batch(_scores_schema(), len(batch), {**keys, **columns, MODEL_VERSION: champion.version, SCORED_AT: scored_at})

    return pa.RecordBatchReader.from_batches(_scores_schema(), scored())


def rank_customers(scores: Table, customer_features: Table, champion: RegisteredModel, parameters: ScoringParameters) -> Table:
    """Those whom contacting is expected to pay, most valuable first and equal ones by id, with the features they were scored on.

    The features' columns are called by their place in the model, so that no name of the user's table meets one of the scores'.
    """
    import ibis

    order = [ibis.desc(EXPECTED_VALUE), CUSTOMER_ID]
    worth = scores.filter(scores[EXPECTED_VALUE] > 0).order_by(order)
    if parameters.limit is not None:
        worth = worth.limit(parameters.limit)
    named = {_place(place): name for place, name in enumerate(champion.model.names)}
    features = customer_features.select(**{CUSTOMER_ID: CUSTOMER_ID, FEATURES_AS_OF: EVENT_TIMESTAMP, **named})
    return worth.join(features, [CUSTOMER_ID, FEATURES_AS_OF]).order_by(order)


def explain_customers(ranked: RecordBatchReader, champion: RegisteredModel, customers: Declaration) -> RecordBatchReader:
    """The retention list: rank, what contacting is worth, and the three strongest reasons in words."""
    import pyarrow as pa

    model = champion.model
    features = current_texts(model.spec.features, customers)

    def explained() -> Iterator[Any]:
        listed = 0
        for batch in ranked:
            rows = _features(batch, model.names)
            values = {name: rows.column(name).to_pylist() for name in model.names}
            reasons = reason_columns(model, rows.to_pandas(), values, features)
            ranks = range(listed + 1, listed + 1 + len(batch))
            yield _batch(_list_schema(), len(batch), {**_columns(batch), RANK: ranks, **reasons})
            listed += len(batch)

    return pa.RecordBatchReader.from_batches(_list_schema(), explained())


def _place(place: int) -> str:
    return f"feature_{place}"


def _features(batch: Any, names: Sequence[str]) -> Any:
    """The features of a ranked batch under their own names."""
    import pyarrow as pa

    return pa.record_batch([batch.column(_place(place)) for place in range(len(names))], names=list(names))


def _columns(batch: Any) -> dict[str, Any]:
    return dict(zip(batch.schema.names, batch.columns, strict=True))


def _declared_type(kind: Any) -> ColumnType | None:
    """An Ibis type as the declaration names it."""
    if kind.is_string():
        return "category"
    if kind.is_boolean():
        return "boolean"
    if kind.is_integer():
        return "integer"
    return "number" if kind.is_numeric() else None


def _batch(schema: Any, rows: int, columns: dict[str, Any]) -> Any:
    """A batch of n rows; a column given as one value has it in every row."""
    import pyarrow as pa

    arrays = [_array(columns[field.name], rows, field.type) for field in schema]
    return pa.record_batch(arrays, schema=schema)


def _array(column: Any, rows: int, kind: Any) -> Any:
    import pyarrow as pa

    if isinstance(column, pa.Array):
        return column.cast(kind)
    if isinstance(column, str | float | datetime):
        return pa.repeat(pa.scalar(column, kind), rows)
    return pa.array(column, kind)


def _scores_schema() -> Any:
    import pyarrow as pa

    time = pa.timestamp("us", "UTC")
    kinds = {
        CUSTOMER_ID: pa.string(),
        CHURN_PROBABILITY: pa.float64(),
        "churn": pa.bool_(),
        "threshold": pa.float64(),
        EXPECTED_VALUE: pa.float64(),
        MODEL_VERSION: pa.string(),
        FEATURES_AS_OF: time,
        SCORED_AT: time,
    }
    return pa.schema(kinds)


def _list_schema() -> Any:
    import pyarrow as pa

    scores = {field.name: field.type for field in _scores_schema()}
    first = (CUSTOMER_ID, CHURN_PROBABILITY, EXPECTED_VALUE)
    last = (MODEL_VERSION, FEATURES_AS_OF, SCORED_AT)
    texts = dict.fromkeys(REASONS, pa.string())
    return pa.schema({RANK: pa.int64(), **{name: scores[name] for name in first}, **texts, **{name: scores[name] for name in last}})
