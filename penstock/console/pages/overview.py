"""The first page: what is registered here."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from penstock.console.rendering import render
from penstock.console.viewer import reach_of, viewer_of


async def show(request: Request) -> Response:
    """File systems that the visitor's key may see, and buckets."""
    viewer, registry = viewer_of(request), reach_of(request).registry()
    seen = viewer.may("DescribeFileSystems")
    file_systems = [each for id_, each in sorted(registry.file_systems.items()) if seen and viewer.sees(id_)]
    buckets = [each for _, each in sorted(registry.buckets.items())] if file_systems else []
    return render(request, "overview.html", file_systems=file_systems, buckets=buckets)


ROUTES = (Route("/", show, methods=["GET"]),)
