"""The dataflows there are, one of them with its tasks, both as they go on, and what is done with one: start, stop, delete."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from penstock.catalog.views import BrowseTasks, TaskListed
from penstock.console.calling import caller_of
from penstock.console.flows import Flow, all_flows, flow_of
from penstock.console.rendering import back_to, not_found, part, refused, render, segment
from penstock.console.scope import READ_TASKS, file_systems_of
from penstock.console.snippets import data_flow_snippets
from penstock.console.streams import Look, live
from penstock.console.viewer import Viewer, viewer_of
from penstock.model import TaskStatus

LIST = "/dataflows"
TASKS_MAX = 50
PARTS = ("heading", "acts", "state", "tasks")
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


async def follow(request: Request) -> Response:
    """The rows of the list as they go on."""

    async def watch(viewer: Viewer) -> Look:
        flows = await all_flows(viewer)
        return Look(parts={f"flow:{flow.id}": part(request, "dataflows/row.html", flow=flow) for flow in flows})

    return live(request, watch)


async def show_one(request: Request) -> Response:
    """One, with its newest tasks."""
    viewer = viewer_of(request)
    flow = await _asked_for(viewer, request)
    if flow is None:
        return not_found(request, "dataflow")
    file_system = viewer.reach.registry().file_systems.get(flow.file_system_id)
    return render(
        request,
        "dataflows/one.html",
        flow=flow,
        root=path_of(flow.file_system_id, flow.id),
        tasks=await _tasks_of(viewer, flow),
        tasks_max=TASKS_MAX,
        directory=f"{file_system.root.rstrip('/')}{flow.path}" if file_system is not None else "",
        calls=data_flow_snippets(flow.parameters(), caller_of(viewer)),
    )


async def follow_one(request: Request) -> Response:
    """One as it goes on. One that was deleted stays as it was seen last."""

    async def watch(viewer: Viewer) -> Look:
        flow = await _asked_for(viewer, request)
        if flow is None:
            return Look(parts={})
        seen = {
            "flow": flow,
            "root": path_of(flow.file_system_id, flow.id),
            "tasks": await _tasks_of(viewer, flow),
            "tasks_max": TASKS_MAX,
        }
        return Look(parts={name: part(request, f"dataflows/{name}.html", viewer=viewer, **seen) for name in PARTS})

    return live(request, watch)


async def confirm_stop(request: Request) -> Response:
    """Whether it is really to be stopped, and what becomes of files under way."""
    flow = await _asked_for(viewer_of(request), request)
    if flow is None:
        return not_found(request, "dataflow")
    return render(request, "dataflows/stop.html", flow=flow)


async def confirm_delete(request: Request) -> Response:
    """Whether it is really to be deleted, and what goes with it."""
    viewer = viewer_of(request)
    flow = await _asked_for(viewer, request)
    if flow is None:
        return not_found(request, "dataflow")
    unended = {TaskStatus.EXECUTING, TaskStatus.PENDING, TaskStatus.CANCELING}
    open_tasks = [each.task for each in await _tasks_of(viewer, flow) if each.task.status in unended]
    return render(request, "dataflows/delete.html", flow=flow, open_tasks=open_tasks)


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


async def _asked_for(viewer: Viewer, request: Request) -> Flow | None:
    ids = request.path_params
    return await flow_of(viewer, ids["file_system_id"], ids["data_flow_id"])


async def _tasks_of(viewer: Viewer, flow: Flow) -> tuple[TaskListed, ...]:
    """The newest ones, of those that the visitor may see."""
    seen = tuple(each for each in file_systems_of(viewer, READ_TASKS) if each == flow.file_system_id)
    query = BrowseTasks(file_systems=seen, data_flow_ids=(flow.id,))
    return (await viewer.reach.seeing.tasks(query, cursor="", limit=TASKS_MAX)).items


def _text(flow: Flow) -> str:
    """What a search looks at."""
    return "\n".join((flow.id, flow.path, flow.source, flow.description, flow.status, flow.file_system_id)).lower()


ROUTES = (
    Route(LIST, show, methods=["GET"]),
    Route(_ONE, show_one, methods=["GET"]),
    Route(f"/live{LIST}", follow, methods=["GET"]),
    Route(f"/live{_ONE}", follow_one, methods=["GET"]),
    Route(_ONE + "/stop", confirm_stop, methods=["GET"]),
    Route(_ONE + "/delete", confirm_delete, methods=["GET"]),
    *(Route(f"{_ONE}/{word}", partial(step, word), methods=["POST"]) for word in _STEPS),
)
