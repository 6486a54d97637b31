"""Tasks: the list, one of them with its counters and its equal call, opening a stream, and ending either kind."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from penstock.catalog.views import BrowseTasks, FlowView, TaskListed, TaskSheet
from penstock.console.batches import CREATE, Progress
from penstock.console.calling import caller_of
from penstock.console.guard import form_of
from penstock.console.rendering import back_to, not_found, part, refused, render
from penstock.console.scope import READ_TASKS, file_systems_of
from penstock.console.snippets import task_snippets
from penstock.console.streams import Look, live
from penstock.console.viewer import Viewer, reach_of, viewer_of
from penstock.errors import InvalidNextTokenError
from penstock.model import STREAM_ACTIONS, TaskStatus

PAGE_ROWS = 50
TOKEN_BYTES = 12
CANCEL = "CancelDataFlowTask"
STREAM_PARTS = {"acts": "tasks/acts.html", "counters": "tasks/counters.html", "facts": "tasks/facts.html"}
BATCH_PARTS = STREAM_PARTS | {"counters": "tasks/progress.html", "reports": "tasks/reports.html"}
ACTIONS = (
    ("StreamImport", "Import: from the bucket into the file system"),
    ("StreamExport", "Export: from the file system into the bucket"),
)
POLICIES = (
    ("SKIP_THE_FILE", "Skip: the target stays as it is"),
    ("KEEP_LATEST", "Keep the latest: a newer source replaces it"),
    ("OVERWRITE_EXISTING", "Overwrite it"),
)
STATUSES = tuple(status.value for status in TaskStatus)


async def show(request: Request) -> Response:
    """The list."""
    viewer = viewer_of(request)
    asked = {name: request.query_params.get(name, "") for name in ("flow", "status", "cursor")}
    try:
        sheet = await _listed(viewer, asked)
    except InvalidNextTokenError:
        return RedirectResponse("/tasks", 303)
    flows = await flows_of(viewer)
    return render(
        request,
        "tasks.html",
        sheet=sheet,
        asked=asked,
        flows=flows,
        statuses=STATUSES,
        shown=",".join(each.task.task_id for each in sheet.items),
    )


async def _listed(viewer: Viewer, asked: Mapping[str, str]) -> TaskSheet:
    query = BrowseTasks(
        file_systems=file_systems_of(viewer, READ_TASKS),
        data_flow_ids=(asked["flow"],) if asked["flow"] else None,
        statuses=(TaskStatus(asked["status"]),) if asked["status"] in STATUSES else None,
    )
    return await viewer.reach.seeing.tasks(query, cursor=asked["cursor"], limit=PAGE_ROWS)


async def follow(request: Request) -> Response:
    """The rows of a list as they go on."""
    shown = tuple(filter(None, request.query_params.get("shown", "").split(",")[:PAGE_ROWS]))

    async def watch(viewer: Viewer) -> Look:
        query = BrowseTasks(file_systems=file_systems_of(viewer, READ_TASKS), task_ids=shown)
        found = await viewer.reach.seeing.tasks(query, cursor="", limit=PAGE_ROWS)
        return Look(
            parts={
                f"task:{each.task.task_id}": part(request, "tasks/row.html", viewer=viewer, each=each)
                for each in found.items
            }
        )

    return live(request, watch)


async def show_one(request: Request) -> Response:
    """One task."""
    viewer = viewer_of(request)
    found = await task_of(viewer, request.path_params["task_id"])
    if found is None:
        return not_found(request, "task")
    return render(
        request,
        "task.html",
        each=found,
        progress=Progress.of(found.task),
        snippets=task_snippets(found.task, found.flow, caller_of(viewer)),
    )


async def follow_one(request: Request) -> Response:
    """One task as it goes on."""
    task_id = request.path_params["task_id"]

    async def watch(viewer: Viewer) -> Look:
        found = await task_of(viewer, task_id)
        if found is None:
            return Look(parts={})
        templates = STREAM_PARTS if found.task.action in STREAM_ACTIONS else BATCH_PARTS
        progress = Progress.of(found.task)
        return Look(
            parts={
                name: part(request, template, viewer=viewer, each=found, progress=progress)
                for name, template in templates.items()
            }
        )

    return live(request, watch)


async def task_of(viewer: Viewer, task_id: str) -> TaskListed | None:
    """The task, if the visitor may see it."""
    query = BrowseTasks(file_systems=file_systems_of(viewer, READ_TASKS), task_ids=(task_id,))
    sheet = await viewer.reach.seeing.tasks(query, cursor="", limit=1)
    return next(iter(sheet.items), None)


async def flows_of(viewer: Viewer) -> tuple[FlowView, ...]:
    """The dataflows among which a new task's is chosen."""
    return (await viewer.reach.seeing.overview(file_systems_of(viewer, READ_TASKS), flying_max=0)).ledger.flows


# ------------------------------------------------------------------------------------------------------------------ acts


async def form(request: Request) -> Response:
    """The dialog that opens a stream."""
    if not viewer_of(request).may(CREATE):
        return not_found(request)
    given = {name: request.query_params.get(name, "") for name in ("flow", "action", "directory", "target")}
    return await _form(request, given | {"token": reach_of(request).entropy(TOKEN_BYTES).hex()})


async def _form(request: Request, fields: Mapping[str, str], *, wrong: str = "", status: int = 200) -> Response:
    viewer = viewer_of(request)
    flows = await flows_of(viewer)
    return render(
        request,
        "tasks/new.html",
        status=status,
        fields=fields,
        wrong=wrong,
        flows=flows,
        actions=ACTIONS,
        policies=POLICIES,
    )


async def create(request: Request) -> Response:
    """Open it."""
    viewer, fields = viewer_of(request), form_of(request)
    flows = await flows_of(viewer)
    flow = next((each.flow for each in flows if each.flow.data_flow_id == fields.get("flow", "")), None)
    if flow is None:
        return await _form(request, fields, wrong="Choose a dataflow.", status=422)
    result = await viewer.perform(
        CREATE,
        {
            "FileSystemId": flow.file_system_id,
            "DataFlowId": flow.data_flow_id,
            "TaskAction": fields.get("action", ""),
            "DataType": "MetaAndData",
            "ConflictPolicy": fields.get("policy", ""),
            "Directory": _directory(fields.get("directory", "")),
            "DstDirectory": _directory(fields.get("target", "")) if fields.get("target", "").strip() else "",
            "ClientToken": f"console-{fields.get('token', '')[:32]}",
        },
    )
    if not result.ok:
        return await _form(request, fields, wrong=f"{result.message} ({result.code})", status=result.status)
    return back_to(f"/tasks/{result.body['TaskId']}", note="tasks.created")


def _directory(text: str) -> str:
    inner = text.strip().strip("/")
    return f"/{inner}/" if inner else "/"


async def confirm(request: Request) -> Response:
    """Whether it is really to end, and what that means."""
    viewer = viewer_of(request)
    found = await task_of(viewer, request.path_params["task_id"])
    if found is None or not viewer.may(CANCEL, found.task.file_system_id):
        return not_found(request, "task")
    return render(request, "tasks/cancel.html", each=found)


async def cancel(request: Request) -> Response:
    """Close a stream, or end a batch."""
    viewer = viewer_of(request)
    found = await task_of(viewer, request.path_params["task_id"])
    if found is None:
        return not_found(request, "task")
    task = found.task
    asked = {"FileSystemId": task.file_system_id, "DataFlowId": task.data_flow_id, "TaskId": task.task_id}
    result = await viewer.perform(CANCEL, asked)
    return (
        back_to(f"/tasks/{task.task_id}", note="tasks.canceled" if task.action in STREAM_ACTIONS else "tasks.ending")
        if result.ok
        else refused(request, result)
    )


ROUTES = (
    Route("/tasks", show, methods=["GET"]),
    Route("/tasks/new", form, methods=["GET"]),
    Route("/tasks/create", create, methods=["POST"]),
    Route("/tasks/{task_id}", show_one, methods=["GET"]),
    Route("/tasks/{task_id}/cancel", confirm, methods=["GET"]),
    Route("/tasks/{task_id}/cancel", cancel, methods=["POST"]),
    Route("/live/tasks", follow, methods=["GET"]),
    Route("/live/tasks/{task_id}", follow_one, methods=["GET"]),
)
