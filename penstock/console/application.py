"""The console as one ASGI application: guard, routes, templates and assets, put together for whoever serves it."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from penstock.console.assets import Assets
from penstock.console.attempts import Attempts
from penstock.console.guard import Guard
from penstock.console.heart import Heart
from penstock.console.reach import Reach
from penstock.console.rendering import Renderer, not_found, refused
from penstock.console.routes import PAGES
from penstock.console.sessions import Sessions
from penstock.console.streams import Streams
from penstock.console.viewer import RefusedError

_HERE = Path(__file__).parent


def create_console(reach: Reach) -> ASGIApp:
    """The console over what it is handed."""
    sessions = Sessions(reach.session_key, registry=reach.registry, now_ns=reach.now_ns, entropy=reach.entropy)
    assets = Assets(_HERE / "static")
    application = Starlette(
        routes=[Route("/static/{digest}/{name:path}", assets.serve, methods=["GET"]), *PAGES],
        exception_handlers={404: _nothing_here, 405: _nothing_here, RefusedError: _refused},
    )
    application.router.redirect_slashes = False
    application.state.renderer = Renderer(_HERE / "templates", assets)
    application.state.attempts = Attempts()
    application.state.streams = Streams()
    application.state.heart = Heart()
    return Guard(application, reach=reach, sessions=sessions)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return refused(request, error.result)


async def _nothing_here(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    return not_found(request)
