"""The dataflows there are, one of them with its tasks, and what is done with one: start, stop, delete."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from penstock.console.calling import caller_of
from penstock.console.flows import Flow, all_flows, flow_of, streams_of
from penstock.console.rendering import back_to, not_found, refused, render, segment
from penstock.console.snippets import data_flow_snippets
from penstock.console.viewer import viewer_of

LIST = "/dataflows"
_ONE = LIST + "/{file_system_id}/{data_flow_id}"
_STEPS = {
    "start": ("StartDataFlow", "flow.started"),
    "stop": ("StopDataFlow", "flow.stopped"),
    "delete": ("DeleteDataFlow", "flow.deleted"),
}


def path_of(file_system_id: str, data_flow_id: str) -> str:
    """Where a dataflow's page is."""
    return f"{LIST}/{segment(file_system_id)}/{segment(data_flow_id)}"


async def show(request: Request) -> Response:
    """All of them."""
    viewer = viewer_of(request)
    flows = await all_flows(viewer)
    wanted = request.query_params.get("search", "").strip()
    found = [flow for flow in flows if wanted.lower() in _text(flow)]
    return render(request, "dataflows/list.html", flows=found, total=len(flows), wanted=wanted)


async def show_one(request: Request) -> Response:
    """One, with its tasks."""
    viewer = viewer_of(request)
    flow = await _asked_for(request)
    if flow is None:
        return not_found(request, "dataflow")
    file_system = viewer.reach.registry().file_systems.get(flow.file_system_id)
    return render(
        request,
        "dataflows/one.html",
        flow=flow,
        streams=await streams_of(viewer, flow),
        directory=f"{file_system.root.rstrip('/')}{flow.path}" if file_system is not None else "",
        calls=data_flow_snippets(flow.parameters(), caller_of(viewer)),
    )


async def confirm(request: Request) -> Response:
    """Whether it is really to be deleted, and what goes with it."""
    flow = await _asked_for(request)
    if flow is None:
        return not_found(request, "dataflow")
    streams = await streams_of(viewer_of(request), flow)
    live = [stream for stream in streams if stream.status in ("Executing", "Pending", "Canceling")]
    return render(request, "dataflows/delete.html", flow=flow, streams=streams, live=live)


async def step(word: str, request: Request) -> Response:
    """Start, stop or delete."""
    action, note = _STEPS[word]
    ids = request.path_params
    parameters = {"FileSystemId": ids["file_system_id"], "DataFlowId": ids["data_flow_id"]}
    result = await viewer_of(request).perform(action, parameters)
    if not result.ok:
        return refused(request, result)
    there = LIST if action == "DeleteDataFlow" else path_of(ids["file_system_id"], ids["data_flow_id"])
    return back_to(there, note)


async def _asked_for(request: Request) -> Flow | None:
    ids = request.path_params
    return await flow_of(viewer_of(request), ids["file_system_id"], ids["data_flow_id"])


def _text(flow: Flow) -> str:
    """What a search looks at."""
    return "\n".join((flow.id, flow.path, flow.source, flow.description, flow.status, flow.file_system_id)).lower()


ROUTES = (
    Route(LIST, show, methods=["GET"]),
    Route(_ONE, show_one, methods=["GET"]),
    Route(_ONE + "/delete", confirm, methods=["GET"]),
    *(Route(f"{_ONE}/{word}", partial(step, word), methods=["POST"]) for word in _STEPS),
)
