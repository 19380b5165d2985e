"""The app, built from a configuration."""

import logging

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.routing import Mount, Route

from churn import config
from serving.lifespan import lifespan
from serving.page import PATH as PAGE
from serving.page import page_proxy
from serving.settings import Settings, read_settings
from serving.web import docs_page, health, problems, routes
from serving.web.direct_route import DirectRoute
from serving.web.middleware import RequestContext
from serving.web.openapi import install_examples

_DESCRIPTION = "How likely each customer is to leave, why, and what would change it. Errors are RFC 9457 problem documents."

_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
"""FastAPI's own: asking at each request whether anybody has set it up costs more than this app's metrics, which are Prometheus's."""


def create_app(configuration: config.Config) -> FastAPI:
    """The API of one environment.

    Raises:
        ChurnError: if the configuration is wrong, or keys are required and there are none.
    """
    settings: Settings = read_settings(configuration)
    _log_to_stderr()
    app = FastAPI(
        title="Churn predictions",
        version="1",
        description=_DESCRIPTION,
        lifespan=lifespan,
        telemetry=_NO_TELEMETRY,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would be an answer without a problem document
    )
    app.state.settings = settings
    routers = (routes.predictions, routes.admin, health.router)
    for router in routers:
        app.router.routes.extend(router.routes)  # as include_router does, less a second match and scope per request
    docs_page.install(app)
    app.state.page = page_proxy.PageProxy(settings) if settings.parameters.page else None
    if app.state.page is not None:
        app.router.routes += [Route(PAGE, page_proxy.to_page), Mount(PAGE, app.state.page)]
    problems.install(app)
    known = frozenset(str(getattr(route, "path", "")) for router in routers for route in router.routes)
    direct = {("POST", route.path): route.app for route in routes.predictions.routes if isinstance(route, DirectRoute)}
    app.add_middleware(RequestContext, max_body_bytes=settings.parameters.max_body_bytes, routes=known, direct=direct)
    install_examples(app)
    return app


def _log_to_stderr() -> None:
    """Show this package's log where nobody else has set logging up (uvicorn sets up its own loggers only)."""
    logger = logging.getLogger("serving")
    if not logging.getLogger().handlers and not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
