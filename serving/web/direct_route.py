"""FastAPI routes whose request is read once, by pydantic from bytes, and whose answer is written once, by orjson.

FastAPI's own way parses JSON to objects, validates those, and validates and serialises the answer again, inside two exit
stacks and four layers of middleware: several times the CPU of the prediction. A direct route is an ASGI app that answers
by itself; routing, OpenAPI and every other address are FastAPI's. A contract test holds the two ways together.
"""

import inspect
from typing import Any

import orjson
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.web import auth, problems
from serving.web.problems import ProblemError

_JSON = "application/json"
_JSON_HEADER = (b"content-type", _JSON.encode())


class DirectRoute(APIRoute):
    """A route for keys of scope `predict`. Its endpoint takes `body` (a pydantic model) and `request`, and returns what orjson writes."""

    def __init__(self, path: str, endpoint: Any, **options: Any) -> None:
        """As FastAPI calls it."""
        super().__init__(path, endpoint, **options)
        self.app = _direct(endpoint, self.status_code or 200)


def _direct(endpoint: Any, status: int) -> ASGIApp:
    kind = inspect.signature(endpoint, eval_str=True).parameters["body"].annotation
    validate = TypeAdapter(kind).validator.validate_json

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            auth.require(request, "predict")
            _require_json(request.headers.get("content-type"))
            try:
                body = validate(await _body(receive))
            except ValidationError as error:
                raise problems.invalid_fields(error.errors(include_url=False, include_context=False, include_input=False)) from None
            content = orjson.dumps(await endpoint(body, request))
        except ProblemError as problem:
            await problems.answer(request, problem)(scope, receive, send)
            return
        headers = [_JSON_HEADER, (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    return app


async def _body(receive: Receive) -> bytes:
    """The whole body: what `Request.body` answers, past its layers.

    Raises:
        ClientDisconnect: if the client has broken off.
    """
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _require_json(content_type: str | None) -> None:
    """Only JSON: a web page of another site can make a browser post text, but not JSON, without being asked."""
    if content_type == _JSON:
        return
    if content_type is None or content_type.partition(";")[0].strip().lower() != _JSON:
        detail = f"Send the header Content-Type: {_JSON}."
        raise ProblemError(415, "unsupported-media-type", "Unsupported media type", detail)
