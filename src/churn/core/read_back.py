"""Does the online store say what the table says? Comparison of the two and times of the reads."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from churn.core.errors import ChurnError


class FeatureStoreParameters(BaseModel):
    """`params:feature_store`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sample_size: int = Field(ge=1)


class ReadBackError(ChurnError):
    """The online store answers other values than the table holds."""


def first_difference(
    customers: Sequence[str], expected: Mapping[str, Sequence[Any]], answered: Mapping[str, Sequence[Any]]
) -> tuple[str, str, Any, Any] | None:
    """The first customer, feature, expected and answered value that differ, or None.

    Values are equal if type and value are, a missing value (None) only to a missing value.

    Args:
        customers: n customer ids.
        expected: feature -> n values.
        answered: feature -> n values, or no entry where the store does not have the feature.
    """
    nothing = [None] * len(customers)
    for feature, values in expected.items():
        for customer, value, answer in zip(customers, values, answered.get(feature, nothing), strict=True):
            if type(value) is not type(answer) or value != answer:
                return customer, feature, value, answer
    return None


def check(customers: Sequence[str], expected: Mapping[str, Sequence[Any]], answered: Mapping[str, Sequence[Any]]) -> None:
    """Stop at the first difference.

    Raises:
        ReadBackError: naming customer, feature and both values.
    """
    difference = first_difference(customers, expected, answered)
    if difference is None:
        return
    customer, feature, value, answer = difference
    raise ReadBackError(
        f"The online store differs from the feature table: customer {customer}, feature {feature}: online {answer!r}, table {value!r}. "
        "Something else writes to this store, or it is not the one of `feast_file`. "
        "Run `kedro run --pipelines feature_store` again; if it stays, remove the online store first."
    )


def read_times(seconds: Sequence[float]) -> dict[str, float]:
    """Median and 99th percentile of the reads, in milliseconds."""
    p50, p99 = np.percentile(seconds, [50, 99]) * 1000
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3)}
