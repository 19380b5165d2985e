"""Requests and answers of the API. The answers' models describe them in /docs and are checked by the tests."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

MAX_BATCH = 1000
MAX_REASONS = 100
CustomerId = Annotated[str, Field(min_length=1, max_length=200, description="As in the customer table")]
Reasons = Annotated[int, Field(ge=0, le=MAX_REASONS, description="How many reasons to answer, strongest first")]
Probability = Annotated[float, Field(ge=0, le=1)]
Value = str | bool | int | float | None


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class PredictRequest(_Request):
    """A customer to score."""

    customer_id: CustomerId
    reasons: Reasons = 0


class BatchRequest(_Request):
    """Customers to score; the answer has a row for each, in the same order."""

    customer_ids: Annotated[list[CustomerId], Field(min_length=1, max_length=MAX_BATCH)]
    reasons: Reasons = 0


def _not_too_many(changes: Any) -> Any:
    """Pydantic counts a dictionary after it has looked at every value, and keeps what is wrong with each."""
    if isinstance(changes, dict) and len(changes) > MAX_REASONS:
        raise PydanticCustomError("too_long", "At most {most} columns can be changed at once", {"most": MAX_REASONS})
    return changes


class WhatIfRequest(_Request):
    """A customer, and columns of the customer table with the values to try."""

    customer_id: CustomerId
    changes: Annotated[dict[str, Value], Field(max_length=MAX_REASONS), BeforeValidator(_not_too_many)]


class Model(BaseModel):
    """The model that made the answer."""

    name: str
    version: str


class Reason(BaseModel):
    """One feature's share in the score: `effect` in log-odds, above 0 towards churn (exact TreeSHAP)."""

    feature: str
    label: str
    value: Value
    effect: float


class Prediction(BaseModel):
    """A churn probability. `churn` says whether it reaches the threshold; `stale` whether the features are too old."""

    prediction_id: str
    customer_id: str
    churn_probability: Probability
    churn: bool
    threshold: Probability
    model: Model
    features_as_of: datetime
    stale: bool
    reasons: list[Reason] | None = None


class Problem(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[dict[str, str]] | None = None


class BatchRow(BaseModel):
    """A prediction, or the error of this row alone."""

    customer_id: str
    prediction: Prediction | None = None
    error: Problem | None = None


class BatchAnswer(BaseModel):
    """One row for each customer asked for, in the same order."""

    rows: list[BatchRow]


class Change(BaseModel):
    """One changed column. `actionable`: the business can change it."""

    column: str
    label: str
    before: Value
    after: Value
    actionable: bool


class Score(BaseModel):
    """One side of a what-if."""

    prediction_id: str
    churn_probability: Probability
    churn: bool


class WhatIfAnswer(BaseModel):
    """The customer's probability as it is, and with the changes."""

    customer_id: str
    before: Score
    after: Score
    changes: list[Change]
    threshold: Probability
    model: Model
    features_as_of: datetime
    stale: bool


class ReloadAnswer(BaseModel):
    """What a look for a new champion came to."""

    version: str | None
    changed: bool
    detail: str


class Health(BaseModel):
    """`ready`, `degraded` (it serves, but something in `problems` is wrong) or `unready`."""

    status: str
    model_version: str | None
    problems: dict[str, str]


PROBLEM: dict[str, Any] = {"model": Problem, "content": {"application/problem+json": {}}}
