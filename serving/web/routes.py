"""The addresses of the API."""

from typing import Any

from fastapi import APIRouter, Depends, Security
from fastapi.security import APIKeyHeader
from starlette.requests import Request

from serving.champion.keeper import CHAMPION, REGISTRY
from serving.web import auth, problems
from serving.web.direct_route import DirectRoute
from serving.web.schemas import (
    PROBLEM,
    BatchAnswer,
    BatchRequest,
    Prediction,
    PredictRequest,
    ReloadAnswer,
    WhatIfAnswer,
    WhatIfRequest,
)

_key = APIKeyHeader(name=auth.HEADER, auto_error=False, description="Needed where the service has keys (CHURN_API_KEYS)")


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's word on the errors of a route."""
    return dict.fromkeys(statuses, PROBLEM)


predictions = APIRouter(
    route_class=DirectRoute, tags=["predictions"], responses=errors(401, 403, 409, 413, 415, 422, 503), dependencies=[Security(_key)]
)


@predictions.post("/predict", response_model=Prediction, responses=errors(404))
async def predict(body: PredictRequest, request: Request) -> Any:
    """The churn probability of a customer, from the newest features. `reasons` asks for the strongest contributions."""
    return await request.app.state.service.predict(body.customer_id, body.reasons, request.state.request_id)


@predictions.post("/predict/batch", response_model=BatchAnswer)
async def predict_batch(body: BatchRequest, request: Request) -> Any:
    """Up to 1,000 customers; a customer that cannot be scored has an error in its row, and the others their predictions."""
    return {"rows": await request.app.state.service.predict_batch(body.customer_ids, body.reasons, request.state.request_id)}


@predictions.post("/what-if", response_model=WhatIfAnswer, responses=errors(404))
async def what_if(body: WhatIfRequest, request: Request) -> Any:
    """The churn probability of a customer as it is and with some columns changed. Never counted as production traffic."""
    return await request.app.state.service.what_if(body.customer_id, body.changes, request.state.request_id)


def _admin(request: Request, _given: str | None = Security(_key)) -> None:
    auth.require(request, "admin")


admin = APIRouter(prefix="/admin", tags=["administration"], dependencies=[Depends(_admin)], responses=errors(401, 403))


@admin.post("/reload", responses=errors(503))
async def reload(request: Request) -> ReloadAnswer:
    """Look for a new champion now. A version that was refused is tried again."""
    keeper = request.app.state.keeper
    look = await keeper.look(force=True)
    if keeper.problems.keys() & {REGISTRY, CHAMPION}:
        raise problems.unavailable("no-new-champion", look.detail, 15)
    return ReloadAnswer(version=keeper.current.version if keeper.current else None, changed=look.changed, detail=look.detail)
