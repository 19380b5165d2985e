"""A bare Starlette app: what the web server itself costs."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def echo(request: Request) -> Response:
    """The body again."""
    return Response(await request.body(), media_type="application/json")


async def ready(_request: Request) -> Response:
    """Always."""
    return Response("ready")


app = Starlette(routes=[Route("/predict", echo, methods=["POST"]), Route("/health/ready", ready)])
