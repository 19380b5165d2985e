"""The API's reference at /docs, with Swagger UI's files from an installed package: the browser asks no other host."""

import importlib.util
from pathlib import Path

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from serving.web.problems import ProblemError

DOCS = "/docs"
_ASSETS = f"{DOCS}/assets"
_PACKAGE = "fastapi_offline"
"""Carries swagger-ui's script, style and icon; nothing of it is imported."""


def install(app: FastAPI) -> None:
    """Add /docs and the files that it loads."""
    found = importlib.util.find_spec(_PACKAGE)

    async def docs(_request: Request) -> Response:
        if found is None:
            raise ProblemError(404, "no-docs", "No reference here", "Swagger UI is not installed. /openapi.json describes the API.")
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title=app.title,
            swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{_ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{_ASSETS}/favicon.png",
        )

    async def no_icon(_request: Request) -> Response:
        return Response(status_code=204)  # every browser asks; a 404 would be noise in the log

    app.router.routes.extend([Route(DOCS, docs), Route("/favicon.ico", no_icon)])
    if found is not None and found.origin is not None:
        app.router.routes.append(Mount(_ASSETS, StaticFiles(directory=Path(found.origin).parent / "static")))
