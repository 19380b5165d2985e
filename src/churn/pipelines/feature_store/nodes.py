"""What is registered, what is put online, and whether it reads back."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from churn.core.declaration import CUSTOMER_ID, EVENT_TIMESTAMP, Declaration, Feature
from churn.core.errors import ChurnError
from churn.core.read_back import FeatureStoreParameters, check, read_times

_log = logging.getLogger(__name__)
_SINGLE_READS = 100
"""Reads of one customer that are timed: enough for a 99th percentile."""


def declared_features(customers: Declaration, customer_features: Any) -> tuple[Feature, ...]:
    """The features to register: the declared ones, if the table (Ibis) holds them.

    Raises:
        ChurnError: naming the columns that the table and the declaration do not share.
    """
    declared = {CUSTOMER_ID, EVENT_TIMESTAMP, *(feature.name for feature in customers.features)}
    differing = sorted(declared ^ set(customer_features.columns))
    if differing:
        raise ChurnError(
            f"The feature table is not of this declaration; they differ in: {', '.join(differing)}. "
            "Run `kedro run --pipelines data_processing,feature_store`."
        )
    return customers.features


def interval(customer_features: Any, registered: Sequence[str]) -> Any:
    """One row (Ibis): the first and last event_timestamp of the customers with the registered features."""
    rows = customer_features.select(EVENT_TIMESTAMP, *registered)
    return rows.aggregate(start=rows[EVENT_TIMESTAMP].min(), end=rows[EVENT_TIMESTAMP].max())


def sample(customer_features: Any, parameters: FeatureStoreParameters) -> Any:
    """The newest row of a sample of customers (Ibis), the same in every run: those whose hash comes first."""
    import ibis

    newest = ibis.row_number().over(group_by=CUSTOMER_ID, order_by=ibis.desc(EVENT_TIMESTAMP)) == 0
    rows = customer_features.filter(newest)
    return rows.order_by(rows[CUSTOMER_ID].hexdigest("md5"), CUSTOMER_ID).limit(parameters.sample_size)


def read_back(sampled: Sequence[Mapping[str, Any]], online: Any) -> dict[str, Any]:
    """Compare the sample with what the online store answers, and time its reads.

    Args:
        sampled: one row per customer: customer_id, event_timestamp and the features as the table holds them.
        online: `churn.io.features.reads.OnlineFeatures`.

    Raises:
        ReadBackError: at the first value that differs.
    """
    customers = [row[CUSTOMER_ID] for row in sampled]
    answered = online.read(customers)  # also warms the store up
    check(customers, {name: [row[name] for row in sampled] for name in online.features}, answered.columns)
    batch_ms = online.read(customers).seconds * 1000
    single = read_times([online.read([customer]).seconds for customer in customers[:_SINGLE_READS]])
    _log.info(
        "Online values of %d customers equal the table's; one customer in %.1f ms (p99 %.1f ms), %d in %.1f ms",
        *(len(customers), single["p50_ms"], single["p99_ms"], len(customers), batch_ms),
    )
    return {
        "customers_compared": len(customers),
        "features_compared": list(online.features),
        "one_customer": single,
        "all_of_them_ms": round(batch_ms, 3),
    }
