"""The app, built from a configuration."""

import logging

from fastapi import FastAPI

from churn import config
from serving import health, problems, routes
from serving.lifespan import lifespan
from serving.middleware import RequestContext
from serving.openapi import install_examples
from serving.settings import Settings, read_settings

_DESCRIPTION = "How likely each customer is to leave, why, and what would change it. Errors are RFC 9457 problem documents."


def create_app(configuration: config.Config) -> FastAPI:
    """The API of one environment.

    Raises:
        ChurnError: if the configuration is wrong, or keys are required and there are none.
    """
    settings: Settings = read_settings(configuration)
    _log_to_stderr()
    app = FastAPI(title="Churn predictions", version="1", description=_DESCRIPTION, lifespan=lifespan)
    app.state.settings = settings
    routers = (routes.predictions, routes.admin, health.router)
    for router in routers:
        app.router.routes.extend(router.routes)  # as include_router does, less a second match and scope per request
    problems.install(app)
    known = frozenset(str(getattr(route, "path", "")) for router in routers for route in router.routes)
    app.add_middleware(RequestContext, max_body_bytes=settings.parameters.max_body_bytes, routes=known)
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
