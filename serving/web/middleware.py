"""Around every request: its id, its size limit, its metrics, and no error without a problem document."""

import asyncio
import contextlib
import logging
import re
import secrets
import time
from collections.abc import Mapping
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving import metrics
from serving.web import problems

_log = logging.getLogger("serving")
_GIVEN = re.compile(rb"[A-Za-z0-9._:-]{1,100}")
_OTHER = "other"
_CLIENT_GONE = 499
"""Counted, never sent: the client has broken off before it could be answered. After nginx."""
_LINGER, _LINGER_SECONDS = 10, 5.0
"""What is still taken of a body that is too large: so many times the limit, and for so long."""


class _TooLargeError(Exception):
    pass


class RequestContext:
    """ASGI middleware. A client's `X-Request-ID` is kept if it is plain; else one is made.

    `direct` holds apps by method and path that answer by themselves: they are called past the layers of the framework.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int, routes: frozenset[str], direct: Mapping[tuple[str, str], ASGIApp]) -> None:
        self._app, self._limit, self._routes, self._direct = app, max_body_bytes, routes, direct

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._limit)
        started = time.perf_counter()
        try:
            if exchange.announced > self._limit:
                raise _TooLargeError
            app = self._direct.get((scope["method"], scope["path"]), self._app)
            await app(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            exchange.status = _CLIENT_GONE
        except Exception as error:  # noqa: BLE001 - logged and answered
            await exchange.fail(error)
        if scope["state"].get("long_lived"):
            return
        route = scope["path"] if scope["path"] in self._routes else _OTHER
        _count(route, exchange.status, scope["state"].get("problem"), time.perf_counter() - started)


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        headers = dict(scope["headers"])
        self._receive, self._send, self._scope, self._limit = receive, send, scope, limit
        self._read, self._ended, self.status = 0, False, 0
        self._waits = headers.get(b"expect", b"").lower() == b"100-continue"  # such a client sends its body once it is asked to
        length = headers.get(b"content-length", b"0")
        self.announced = int(length) if length.isdigit() else 0
        given = headers.get(b"x-request-id", b"")
        self._id = given if _GIVEN.fullmatch(given) else secrets.token_hex(8).encode()
        scope.setdefault("state", {})["request_id"] = self._id.decode()

    async def receive(self) -> Message:
        message = await self._next()
        if self._read > self._limit:
            raise _TooLargeError
        return message

    async def _next(self) -> Message:
        message = await self._receive()
        self._read += len(message.get("body", b""))
        self._ended = not message.get("more_body", False)
        return message

    async def _discard(self) -> None:
        """Take the rest of a body for a while: who is still sending when the connection closes never sees the answer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while not self._ended and self._read <= _LINGER * self._limit:
                    await self._next()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self._id)]
        await self._send(message)

    async def fail(self, error: Exception) -> None:
        if isinstance(error, _TooLargeError):
            problem = problems.ProblemError(413, "too-large", "Request too large", f"A request may have at most {self._limit} bytes.")
            if not self._waits:
                await self._discard()
        else:
            _log.error("%r failed [request %s]", self._scope["path"], self._id.decode(), exc_info=error)
            problem = problems.internal()
        if self.status:
            raise error  # half of an answer is out: only closing the connection tells
        self._scope["state"]["problem"] = problem.kind
        answer = problems.response(problem, self._id.decode(), self._scope["path"])
        await answer(self._scope, self._receive, self.send)


_counters: dict[tuple[str, int], Any] = {}
_timers: dict[str, Any] = {}


def _count(route: str, status: int, problem: str | None, seconds: float) -> None:
    counter = _counters.get((route, status))
    if counter is None:
        counter = _counters[route, status] = metrics.REQUESTS.labels(route, str(status))
    timer = _timers.get(route)
    if timer is None:
        timer = _timers[route] = metrics.SECONDS.labels(route)
    counter.inc()
    timer.observe(seconds)
    if problem is not None:
        metrics.ERRORS.labels(problem).inc()
