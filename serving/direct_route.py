"""FastAPI routes whose request is read once, by pydantic from bytes, and whose answer is written once, by orjson.

FastAPI's own way parses JSON to objects, validates those, and validates and serialises the answer again: several
times the CPU of the prediction. Everything else of FastAPI (routing, errors, OpenAPI) is as usual.
"""

import inspect
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from serving import auth, problems
from serving.problems import ProblemError

_JSON = "application/json"
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class DirectRoute(APIRoute):
    """A route for keys of scope `predict`. Its endpoint takes `body` (a pydantic model) and `request`, and returns what orjson writes."""

    def get_route_handler(self) -> Handler:
        """The request handler that FastAPI calls."""
        endpoint, status = self.endpoint, self.status_code or 200
        kind = inspect.signature(endpoint, eval_str=True).parameters["body"].annotation
        validate = TypeAdapter(kind).validator.validate_json

        async def handle(request: Request) -> Response:
            auth.require(request, "predict")
            _require_json(request.headers.get("content-type"))
            try:
                body = validate(await request.body())
            except ValidationError as error:
                raise problems.invalid(problems.field_errors(error.errors(include_url=False, include_input=False))) from None
            return Response(orjson.dumps(await endpoint(body, request)), status, media_type=_JSON)

        return handle


def _require_json(content_type: str | None) -> None:
    """Only JSON: a web page of another site can make a browser post text, but not JSON, without being asked."""
    if content_type is None or content_type.partition(";")[0].strip().lower() != _JSON:
        detail = f"Send the header Content-Type: {_JSON}."
        raise ProblemError(415, "unsupported-media-type", "Unsupported media type", detail)
