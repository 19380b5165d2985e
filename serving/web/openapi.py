"""OpenAPI with examples that work when pasted: a customer of this store, a change that this table allows."""

import copy
from typing import Any

from fastapi import FastAPI

from churn.core.declaration import Column, Declaration
from serving.features.store_check import StoreCheck

OF_THE_SAMPLE = "7957-YHCMM"
"""The first customer of the sample table, which is no secret."""


def install_examples(app: FastAPI) -> None:
    """Fill the examples in whenever the document is asked for: the store may answer later than the app starts."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = copy.deepcopy(plain())
        customer = _customer(app)
        for path, example in _examples(customer, app.state.settings.declaration).items():
            document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"] = example
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's way to extend the document


def _customer(app: FastAPI) -> str:
    """A customer of the store, unless keys say that customers are not for everybody: the document is open."""
    store: StoreCheck | None = getattr(app.state, "store", None)  # there once the app has started
    return store.examples[0] if store and store.examples and not app.state.settings.keys else OF_THE_SAMPLE


def _examples(customer: str, declaration: Declaration) -> dict[str, Any]:
    return {
        "/predict": {"customer_id": customer, "reasons": 3},
        "/predict/batch": {"customer_ids": [customer, "unknown"]},
        "/what-if": {"customer_id": customer, "changes": _change(declaration)},
    }


def _change(declaration: Declaration) -> dict[str, Any]:
    """The last value of an actionable category, else of any column that has one."""
    by_use = sorted(declaration.columns.items(), key=lambda item: not item[1].actionable)
    for name, column in by_use:
        if (value := _value(column)) is not None:
            return {name: value}
    return {}


def _value(column: Column) -> Any:
    if column.type == "category":
        return column.values[-1] if column.values else None
    return True if column.type == "boolean" else column.min
