"""Errors as RFC 9457 problem documents."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
_MOST_ERRORS, _LONGEST_NAME = 20, 100
"""What a 422 repeats of a request: one of legal size can have some hundred thousand mistakes, and names as long as itself."""
_log = logging.getLogger("serving")


class ProblemError(Exception):
    """An error for the client; `kind` ends its `type` and is what the metrics count."""

    def __init__(
        self,
        status: int,
        kind: str,
        title: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.title, self.detail, self.errors = status, kind, title, detail, list(errors)
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(max(1, round(retry_after)))

    def document(self, request_id: str) -> dict[str, Any]:
        """The problem document."""
        document = {"type": f"urn:churn:problem:{self.kind}", "title": self.title, "status": self.status, "detail": self.detail}
        return {**document, "request_id": request_id, **({"errors": self.errors} if self.errors else {})}


def unknown_customer(customer_id: str) -> ProblemError:
    """404: the feature store does not know the customer."""
    return ProblemError(404, "unknown-customer", "Unknown customer", f"The feature store has no customer {customer_id!r}.")


def invalid(errors: Sequence[Mapping[str, str]], count: int | None = None) -> ProblemError:
    """422: the request is not valid.

    Args:
        errors: each with `field` and `message`; the first ones are answered.
        count: how many there are, where they are not all given.
    """
    shown = [{"field": error["field"][:_LONGEST_NAME], "message": error["message"]} for error in errors[:_MOST_ERRORS]]
    more = (count or len(errors)) - len(shown)
    texts = [f"{error['field']}: {error['message']}" for error in shown]
    detail = "; ".join([*texts, f"and {more:,} more"] if more else texts)
    return ProblemError(422, "invalid-request", "The request is not valid", detail, errors=shown)


def unavailable(kind: str, what: str, retry_after: float = 1.0) -> ProblemError:
    """503: something that an answer needs is not there now."""
    return ProblemError(503, kind, "Service unavailable", what, retry_after=retry_after)


def internal() -> ProblemError:
    """500: a mistake in this program; the log has its traceback."""
    return ProblemError(500, "internal", "Internal error", "This is a mistake of the service. Its log has the details by request_id.")


def invalid_fields(errors: Sequence[Any]) -> ProblemError:
    """422 from pydantic's errors; the input is not repeated."""
    first = errors[:_MOST_ERRORS]
    return invalid(
        [{"field": ".".join(str(part) for part in error["loc"]) or "body", "message": error["msg"]} for error in first], len(errors)
    )


def response(problem: ProblemError, request_id: str, route: str) -> Response:
    """The problem as a response; it is logged with the request id, what the client has sent in it with its line breaks escaped."""
    level = logging.ERROR if problem.status >= 500 else logging.INFO  # noqa: PLR2004
    _log.log(level, "%r %s %s: %r [request %s]", route, problem.status, problem.kind, problem.detail, request_id)
    content = orjson.dumps(problem.document(request_id))
    return Response(content, problem.status, problem.headers, MEDIA_TYPE)


def answer(request: Request, error: Exception) -> Response:
    """The problem document of an error; its kind is left in the request's state for the metrics."""
    problem = _problem(error)
    request.state.problem = problem.kind
    return response(problem, request.state.request_id, request.url.path)


def install(app: FastAPI) -> None:
    """Make every error of the app a problem document."""

    async def handle(request: Request, error: Exception) -> Response:
        return answer(request, error)

    for kind in (ProblemError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, handle)


_HTTP_KINDS = {
    404: ("not-found", "There is no such address. /docs lists them."),
    405: ("method-not-allowed", "This address takes other methods."),
}


def _problem(error: Exception) -> ProblemError:
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, RequestValidationError):
        return invalid_fields(error.errors())
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    kind, detail = _HTTP_KINDS.get(status, ("http-error", str(getattr(error, "detail", ""))))
    return ProblemError(status, kind, str(getattr(error, "detail", "Error")), detail, headers=headers)
