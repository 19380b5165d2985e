"""The sample population as a stream of Arrow batches."""

from typing import TYPE_CHECKING, Any

from churn.core.lazy_types import RecordBatchReader
from churn.core.population.customers import Customers, SampleParameters, chunks
from churn.core.population.tables import ADD_ONS, VALUES
from churn.io.files.streams import CHURN_PROBABILITY, KNOBS, OUTCOME

if TYPE_CHECKING:
    import pyarrow as pa

OBSERVED_AT = "ObservedAt"
BLANK = " "
"""What the telco table holds in TotalCharges for a customer in the first month."""


def draw_sample(parameters: SampleParameters) -> RecordBatchReader:
    """The customers in the telco schema, drawn as they are read, then `churn_probability` and `churned`.

    The knobs travel in the schema's metadata, as JSON.
    """
    import pyarrow as pa

    empty = _batch(next(chunks(parameters.model_copy(update={"rows": 1, "months": 1}))), parameters)
    schema = empty.schema.with_metadata({KNOBS: parameters.model_dump_json()})
    return pa.RecordBatchReader.from_batches(schema, (_batch(part, parameters) for part in chunks(parameters)))


def _batch(customers: Customers, parameters: SampleParameters) -> "pa.RecordBatch":
    import pyarrow as pa

    columns: dict[str, Any] = {"customerID": pa.array(customers.customer_id).cast(pa.string())}
    if parameters.months > 1:
        columns[OBSERVED_AT] = _month_starts(customers, parameters)
    columns |= {name: _text(name, customers) for name in ("gender",)}
    columns["SeniorCitizen"] = pa.array(customers.senior.astype("int64"))
    columns |= {name: _text(name, customers) for name in ("Partner", "Dependents")}
    columns["tenure"] = pa.array(customers.tenure)
    first, last = ("PhoneService", "MultipleLines", "InternetService"), ("Contract", "PaperlessBilling", "PaymentMethod")
    columns |= {name: _text(name, customers) for name in (*first, *ADD_ONS, *last)}
    columns["MonthlyCharges"] = pa.array(customers.monthly_charges, from_pandas=True)
    columns["TotalCharges"] = pa.array(customers.total_charges, from_pandas=True).cast(pa.string()).fill_null(BLANK)
    columns["Churn"] = _text("Churn", customers)
    columns |= {CHURN_PROBABILITY: pa.array(customers.probability), OUTCOME: pa.array(customers.churned)}
    return pa.record_batch(columns)


def _text(name: str, customers: Customers) -> "pa.Array":
    """A coded column as text; -1 is an empty cell."""
    import pyarrow as pa

    codes = customers.codes[name]
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), pa.array(VALUES[name])).dictionary_decode()


def _month_starts(customers: Customers, parameters: SampleParameters) -> "pa.Array":
    """The first day of each row's month as ISO text."""
    import pyarrow as pa

    starts = [parameters.month_start(month).isoformat() for month in range(parameters.first_month + parameters.months)]
    return pa.array(starts).take(pa.array(customers.month))
