"""The first page: what moves, what waits, how it went since yesterday, how fast, what limits that, and whether all is well."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from penstock.catalog.live import Overview
from penstock.console.pulse import columns
from penstock.console.rendering import part, render
from penstock.console.scope import READ_FILES, file_systems_of
from penstock.console.streams import Look, live
from penstock.console.viewer import Viewer, reach_of, viewer_of
from penstock.console.wording import limit_words
from penstock.errors import CatalogError

FLYING_MAX = 8
TROUBLES_MAX = 6
PARTS = ("figures", "limit", "moving", "flows", "health", "troubles")


async def show(request: Request) -> Response:
    """The page as it is now."""
    request.app.state.heart.beat_on(reach_of(request))
    try:
        seen = await _seen(viewer_of(request))
    except CatalogError as error:
        return render(request, "overview.html", overview=None, trouble=str(error), parts=PARTS)
    return render(request, "overview.html", parts=PARTS, trouble="", **seen)


async def follow(request: Request) -> Response:
    """The page as it goes on."""
    heart = request.app.state.heart

    async def watch(viewer: Viewer) -> Look:
        heart.beat_on(viewer.reach)
        seen = await _seen(viewer)
        parts = {name: part(request, f"overview/{name}.html", viewer=viewer, **seen) for name in PARTS}
        return Look(parts=parts, told=[("beat", _beat(seen["overview"]))])

    return live(request, watch)


async def pulse(request: Request) -> Response:
    """The last minutes for the graph: of one dataflow, or of all that the visitor may see."""
    viewer = viewer_of(request)
    overview = await viewer.reach.seeing.overview(file_systems_of(viewer, READ_FILES), flying_max=0)
    flows = [each.flow.data_flow_id for each in overview.ledger.flows]
    asked = request.query_params.get("flow", "")
    chosen = flows if not asked else [each for each in flows if each == asked]
    at, into, out = columns(request.app.state.heart.pulse.beats(chosen))
    return JSONResponse({"at": at, "in": into, "out": out})


async def alive(request: Request) -> Response:  # noqa: ARG001 - a route's signature
    """For a page that has lost its stream: the service is there, and the session holds."""
    return JSONResponse({})


async def _seen(viewer: Viewer) -> dict[str, Any]:
    """Everything that the page's parts show."""
    reach = viewer.reach
    registry = reach.registry()
    file_systems = file_systems_of(viewer, READ_FILES)
    overview = await reach.seeing.overview(file_systems, flying_max=FLYING_MAX)
    troubles = await reach.seeing.troubles(file_systems, limit=TROUBLES_MAX)
    engine = overview.engine
    return {
        "overview": overview,
        "troubles": troubles,
        "limit": limit_words(engine.limit) if engine is not None else None,
        "file_systems": [registry.file_systems[each] for each in file_systems],
        "registered": [each for _, each in sorted(registry.buckets.items())] if file_systems else [],
        "buckets": {each.name: each for each in engine.buckets} if engine is not None else {},
        "mounts": {each.file_system_id: each for each in engine.mounts} if engine is not None else {},
    }


def _beat(overview: Overview) -> dict[str, object]:
    engine = overview.engine
    if engine is None:
        return {"at": overview.ledger.as_of_ns // 1_000_000_000, "flows": {}}
    flows: dict[str, tuple[int, int]] = {}
    for each in overview.ledger.flows:
        found = engine.flows.get(each.flow.data_flow_id)
        speed = found.speed if found is not None else None
        flows[each.flow.data_flow_id] = (speed.bytes_in_per_s, speed.bytes_out_per_s) if speed is not None else (0, 0)
    flows[""] = (sum(each[0] for each in flows.values()), sum(each[1] for each in flows.values()))
    return {"at": engine.as_of_ns // 1_000_000_000, "flows": flows}


ROUTES = (
    Route("/", show, methods=["GET"]),
    Route("/live/overview", follow, methods=["GET"]),
    Route("/live/alive", alive, methods=["GET"]),
    Route("/overview/pulse", pulse, methods=["GET"]),
)
