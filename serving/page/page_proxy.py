"""/demo: passed on to the page's process, so that the API's port is the only one to know."""

import asyncio
import importlib
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketClose

from serving.page import PATH
from serving.page.page_process import PageDownError, PageProcess
from serving.settings import Settings
from serving.web import problems
from serving.web.problems import ProblemError

if TYPE_CHECKING:
    import httpx

_OF_ONE_CONNECTION = frozenset({"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"})
_STREAM = "text/event-stream"
_CALLS = f"{PATH}/gradio_api/"
_JOIN = f"{_CALLS}queue/join"
_WANTED = ("queue/join", "queue/data", "heartbeat/", "file=/")
"""What the page in the browser calls. Gradio has more: uploads, and fetching any address of the web for whoever asks."""
_POLICY_HEADER = "content-security-policy"
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'self'"
)
"""The browser loads nothing from another host, whatever a component would like to. The report has a stricter one of its own."""
_STARTING = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="1">
<title>Customer retention</title><link rel="icon" href="data:,"></head>
<body style="font-family:system-ui,sans-serif;margin:4rem auto;max-width:32rem">
<h1>One moment</h1><p>The page is starting. This takes some seconds the first time.</p></body></html>"""


class PageProxy:
    """ASGI app for everything below /demo."""

    def __init__(self, settings: Settings) -> None:
        self._page = PageProcess(settings)
        self._client: httpx.AsyncClient | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request. The page opens no WebSocket."""
        if scope["type"] == "websocket":
            await WebSocketClose()(scope, receive, send)
            return
        request = Request(scope, receive)
        request.state.long_lived = True  # an open page is one request for as long: no measure of the API
        response = await self._answer(request)
        await response(scope, receive, send)

    async def close(self) -> None:
        """End the page's process."""
        await self._page.close()
        if self._client is not None:
            await self._client.aclose()

    async def _answer(self, request: Request) -> Response:
        if not self._page.installed():
            raise ProblemError(404, "no-page", "No page here", "The page needs Gradio, which this installation leaves out.")
        host, port = request.scope.get("server") or ("", None)
        if port is None:
            raise ProblemError(404, "no-page", "No page here", "The page needs the API on a TCP port; this one listens on a socket file.")
        await _require_known(request)
        try:
            found = self._page.port((host, port))
        except PageDownError as error:
            raise problems.unavailable("page-down", str(error), 10) from None
        if found is None:
            return _starting(request)
        return await self._pass_on(request, found)

    async def _pass_on(self, request: Request, port: int) -> Response:
        client = await self._opened()
        import httpx

        scope, body = request.scope, await request.body()
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        url = httpx.URL(scheme="http", host="127.0.0.1", port=port, raw_path=target)
        asked = client.build_request(request.method, url, headers=_forwarded(request), content=body)
        try:
            answer = await client.send(asked, stream=True)
        except httpx.TransportError:
            self._page.forget()
            return _starting(request)
        kept = [(name, value) for name, value in answer.headers.multi_items() if name.lower() not in _OF_ONE_CONNECTION]
        response = StreamingResponse(_pieces(answer), answer.status_code)
        if _POLICY_HEADER not in answer.headers:
            kept.append((_POLICY_HEADER, _POLICY))
        response.raw_headers = _encoded([*kept, ("referrer-policy", "same-origin")])
        return response

    async def _opened(self) -> "httpx.AsyncClient":
        if self._client is None:
            httpx = await asyncio.to_thread(importlib.import_module, "httpx")
            # Each open page holds a connection; proxies of the environment are for other hosts.
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
            self._client = httpx.AsyncClient(timeout=httpx.Timeout(None, connect=5), limits=limits, trust_env=False)
        return self._client


async def _require_known(request: Request) -> None:
    """Refuse what the page in the browser never asks.

    Raises:
        ProblemError: 404 for an address that it does not call, 422 for an event with more than plain values.
    """
    path = request.scope["path"]
    dots = not {".", ".."}.isdisjoint(path.split("/"))  # whoever is asked next may resolve them, to another address than the one looked at
    if dots or (path.startswith(_CALLS) and not path.removeprefix(_CALLS).startswith(_WANTED)):
        raise ProblemError(404, "not-found", "Not Found", "The page has no such address. Programs ask the API: /docs.")
    if path.startswith(_JOIN) and not _plain(await request.body()):
        raise problems.invalid([{"field": "data", "message": "The page's events take plain values"}])


def _plain(body: bytes) -> bool:
    """Whether an event brings plain values: of an object that looks like a file Gradio would fetch the address it names."""
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    data = event.get("data") if isinstance(event, dict) else None
    return isinstance(data, list) and not any(isinstance(value, dict | list) for value in data)


async def to_page(_request: Request) -> Response:
    """The page's address without its slash."""
    return RedirectResponse(f"{PATH}/")


def _starting(request: Request) -> Response:
    """What a browser shows until the page is there; it asks again by itself."""
    if "text/html" not in request.headers.get("accept", ""):
        raise problems.unavailable("page-starting", "The page is starting.", 1)
    return HTMLResponse(_STARTING, 202)


def _forwarded(request: Request) -> list[tuple[str, str]]:
    """The browser's headers, and the scheme it used: the page writes links with it."""
    kept = [(name, value) for name, value in request.headers.items() if name not in _OF_ONE_CONNECTION]
    return kept if "x-forwarded-proto" in request.headers else [*kept, ("x-forwarded-proto", request.url.scheme)]


def _encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


async def _pieces(answer: "httpx.Response") -> AsyncIterator[bytes]:
    """The answer's bytes as they come, still compressed. A stream of events ends with the page's process."""
    import httpx

    try:
        async for piece in answer.aiter_raw():
            yield piece
    except httpx.TransportError:
        if not answer.headers.get("content-type", "").startswith(_STREAM):
            raise
    finally:
        await answer.aclose()
