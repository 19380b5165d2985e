"""Is it alive, is it ready, and how is it doing."""

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serving import metrics
from serving.web.auth import HEADER
from serving.web.schemas import Health

router = APIRouter(tags=["operation"])
READY, DEGRADED, UNREADY = "ready", "degraded", "unready"
_DETAILS = "the service's log says more, and so does this address to an admin key"


@router.get("/health/live")
async def live() -> dict[str, str]:
    """200 as long as the process answers."""
    return {"status": "alive"}


@router.get("/health/ready", response_model=Health, responses={503: {"model": Health}})
async def ready(request: Request) -> Response:
    """200 once a verified champion serves and the feature store has answered; `degraded` names what is wrong since.

    Where the service has keys the details, which may name hosts and users, are for keys of scope `admin`.
    """
    state = request.app.state
    found = problems_of(state)
    waiting = state.keeper.current is None or not state.store.warm.is_set()
    status = UNREADY if waiting else DEGRADED if found else READY
    version = None if state.keeper.current is None else state.keeper.current.version
    if not state.settings.keys.allow(request.headers.get(HEADER), "admin"):
        found = dict.fromkeys(found, _DETAILS)
    content = Health(status=status, model_version=version, problems=found).model_dump()
    return Response(orjson.dumps(content), 503 if waiting else 200, media_type="application/json")


def problems_of(state: object) -> dict[str, str]:
    """What is wrong now, by part: registry, champion, cache, features, log."""
    found = dict(state.keeper.problems)  # type: ignore[attr-defined]
    if state.store.problem:  # type: ignore[attr-defined]
        found["features"] = state.store.problem  # type: ignore[attr-defined]
    elif state.breaker.last_error:  # type: ignore[attr-defined]
        found["features"] = state.breaker.last_error  # type: ignore[attr-defined]
    if state.log.last_error:  # type: ignore[attr-defined]
        found["log"] = state.log.last_error  # type: ignore[attr-defined]
    return found


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def prometheus(request: Request) -> Response:
    """For Prometheus: the API's own metrics, and the gauges of the last monitoring verdict."""
    checked = await request.app.state.last_check.gauges()
    return Response(metrics.exposition() + checked, media_type="text/plain; version=0.0.4")
