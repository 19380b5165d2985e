"""The direct way of a request against FastAPI's own: the same answers, and the same description."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request

from serving.web import problems
from serving.web.auth import Keys
from serving.web.direct_route import DirectRoute
from serving.web.middleware import RequestContext
from serving.web.problems import ProblemError
from serving.web.schemas import Prediction, PredictRequest

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
JSON = {"Content-Type": "application/json"}


async def predict(body: PredictRequest, request: Request) -> Any:
    """A prediction that needs no champion."""
    if body.customer_id == "nobody":
        raise problems.unknown_customer(body.customer_id)
    if body.customer_id == "late":
        raise ProblemError(503, "feature-store-down", "Service unavailable", "It is down.", retry_after=1)
    return {
        "prediction_id": "1",
        "customer_id": body.customer_id,
        "churn_probability": 0.1 + 0.2,
        "churn": False,
        "threshold": 0.5,
        "model": {"name": "m", "version": "1"},
        "features_as_of": NOW,
        "stale": False,
        "reasons": [{"feature": "Contract", "label": "Contract", "value": "ärger", "effect": -0.5}],
    }


def app(way: str) -> FastAPI:
    """The route in FastAPI's own way, as a direct route below the layers of the framework, or past them."""
    router = APIRouter() if way == "own" else APIRouter(route_class=DirectRoute)
    router.post("/predict", response_model=Prediction)(predict)
    made = FastAPI()
    made.router.routes.extend(router.routes)
    made.state.settings = SimpleNamespace(keys=Keys())
    problems.install(made)
    direct = {("POST", route.path): route.app for route in router.routes} if way == "past the layers" else {}
    made.add_middleware(RequestContext, max_body_bytes=1000, routes=frozenset({"/predict"}), direct=direct)
    return made


def ask(way: str, content: bytes, headers: dict[str, str]) -> httpx.Response:
    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app(way)), base_url="http://test") as client:
            return await client.post("/predict", content=content, headers={"X-Request-ID": "r", **headers})

    return asyncio.run(send())


@pytest.mark.parametrize("way", ["below the layers", "past the layers"])
@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b'{"customer_id": "c"}', JSON),
        (b'{"customer_id": "c", "reasons": 3}', {"Content-Type": "application/json; charset=utf-8"}),
        ('{"customer_id": "ärger / 日本"}'.encode(), JSON),
        (b'{"customer_id": "nobody"}', JSON),
        (b'{"customer_id": "late"}', JSON),
    ],
)
def test_it_answers_what_fastapi_answers(way: str, content: bytes, headers: dict[str, str]):
    own, direct = ask("own", content, headers), ask(way, content, headers)
    assert (direct.status_code, direct.json()) == (
        own.status_code,
        own.json() | ({"features_as_of": NOW.isoformat()} if own.is_success else {}),
    )
    for name in ("content-type", "x-request-id", "retry-after"):
        assert direct.headers.get(name) == own.headers.get(name)
    assert int(direct.headers["content-length"]) == len(direct.content)


@pytest.mark.parametrize(
    "content", [b"{}", b"[]", b"", b'{"customer_id": 7}', b'{"customer_id": "c", "reason": 1}', b"\xff", b'{"customer_id": "']
)
def test_it_refuses_what_fastapi_refuses(content: bytes):
    own, below, past = (ask(way, content, JSON) for way in ("own", "below the layers", "past the layers"))
    assert own.status_code in (400, 422)  # FastAPI tells bad UTF-8 and other mistakes apart
    assert below.status_code == past.status_code == 422
    assert below.json() == past.json()
    assert below.headers == past.headers
    assert {error["field"].split(".")[0] for error in past.json()["errors"]}


@pytest.mark.parametrize("way", ["below the layers", "past the layers"])
def test_a_mistake_in_the_endpoint_is_a_problem_document_on_either_way(way: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(problems, "unknown_customer", lambda _: RuntimeError("a mistake"))
    found = ask(way, b'{"customer_id": "nobody"}', JSON)
    assert (found.status_code, found.json()["type"], found.json()["request_id"]) == (500, "urn:churn:problem:internal", "r")


def test_it_is_described_as_fastapi_describes_it():
    direct, own = app("past the layers").openapi(), app("own").openapi()
    assert direct == own
