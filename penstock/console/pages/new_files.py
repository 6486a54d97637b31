"""The dialog that makes files move: on a stream, one line a file; or the copy of one that there is."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from penstock.catalog.live import Detail
from penstock.catalog.views import BrowseTasks
from penstock.console.creating import FILES_MAX, Stream, Submitted, Wanted, read_lines, submit
from penstock.console.guard import form_of
from penstock.console.rendering import back_to, not_found, refused, render
from penstock.console.scope import READ_FILES, READ_TASKS, file_systems_of
from penstock.console.snippets import ends_of
from penstock.console.viewer import Viewer, reach_of, viewer_of
from penstock.errors import SubTaskNotFoundError
from penstock.model import STREAM_ACTIONS, TaskStatus

TOKEN_BYTES = 12
STREAMS_MAX = 200


async def form(request: Request) -> Response:
    """The dialog, empty or filled with what there is to copy."""
    viewer = viewer_of(request)
    if not viewer.may("CreateDataFlowSubTask"):
        return not_found(request)
    given = dict(request.query_params)
    copied = await _copied(viewer, given.get("copy", ""))
    token = reach_of(request).entropy(TOKEN_BYTES).hex()
    return await _form(request, {"task": given.get("task", ""), "token": token} | copied, wrong={})


async def _copied(viewer: Viewer, sub_task_id: str) -> dict[str, str]:
    """The fields of a file that there is."""
    if not sub_task_id:
        return {}
    try:
        detail: Detail = await viewer.reach.seeing.detail(file_systems_of(viewer, READ_FILES), sub_task_id)
    except SubTaskNotFoundError:
        return {}
    kept = detail.kept
    sub_task, condition = kept.listed.sub_task, kept.listed.sub_task.condition
    ends = ends_of(sub_task, kept.task, kept.flow)
    return {
        "task": sub_task.task_id,
        "files": ends.source if ends.source == ends.target else f"{ends.source}\t{ends.target}",
        "size": "" if condition.size_bytes is None else str(condition.size_bytes),
        "modified": "" if condition.modify_time_ns is None else str(condition.modify_time_ns),
    }


async def _form(
    request: Request, fields: Mapping[str, str], *, wrong: Mapping[str, str], status: int = 200
) -> Response:
    viewer = viewer_of(request)
    query = BrowseTasks(file_systems=file_systems_of(viewer, READ_TASKS), statuses=(TaskStatus.EXECUTING,))
    sheet = await viewer.reach.seeing.tasks(query, cursor="", limit=STREAMS_MAX)
    streams = [each for each in sheet.items if each.task.action in STREAM_ACTIONS]
    return render(
        request, "files/new.html", status=status, fields=fields, wrong=wrong, streams=streams, files_max=FILES_MAX
    )


async def create(request: Request) -> Response:
    """Have them moved."""
    viewer, fields = viewer_of(request), form_of(request)
    stream = await _stream(viewer, fields.get("task", ""))
    files = read_lines(fields.get("files", ""))
    wrong = _wrong(stream, files, fields)
    if wrong or stream is None:
        return await _form(request, fields, wrong=wrong, status=422)
    if len(files) == 1:
        one = files[0]
        modified, size = fields.get("modified", "").strip(), fields.get("size", "").strip()
        files = (Wanted(source=one.source, target=one.target, modify_time=modified, size=size),)
    done = await submit(viewer, stream, files, token=f"console-{fields.get('token', '')[:32]}")
    if done.failed is not None and not done.sub_task_ids:
        return refused(request, done.failed)
    if done.refused or done.failed:
        return _partly(request, done, stream)
    there = f"/files/{done.sub_task_ids[0]}" if len(done.sub_task_ids) == 1 else f"/files?task={stream.task_id}"
    return back_to(there, note="files.created")


def _wrong(stream: Stream | None, files: tuple[Wanted, ...], fields: Mapping[str, str]) -> dict[str, str]:
    wrong: dict[str, str] = {}
    if stream is None:
        wrong["task"] = "Choose a stream that is open."
    if not files:
        wrong["files"] = "Name at least one file."
    elif len(files) > FILES_MAX:
        wrong["files"] = f"{len(files):,} files; a form takes {FILES_MAX:,}. The command line takes any number."
    elif len(files) > 1 and (fields.get("size", "").strip() or fields.get("modified", "").strip()):
        wrong["size"] = "A condition is for one file: there are several above."
    return wrong


def _partly(request: Request, done: Submitted, stream: Stream) -> Response:
    return render(request, "files/submitted.html", status=207, done=done, task_id=stream.task_id)


async def _stream(viewer: Viewer, task_id: str) -> Stream | None:
    if not task_id:
        return None
    query = BrowseTasks(file_systems=file_systems_of(viewer, READ_TASKS), task_ids=(task_id,))
    sheet = await viewer.reach.seeing.tasks(query, cursor="", limit=1)
    for each in sheet.items:
        return Stream(
            file_system_id=each.flow.file_system_id, data_flow_id=each.flow.data_flow_id, task_id=each.task.task_id
        )
    return None


ROUTES = (
    Route("/files/new", form, methods=["GET"]),
    Route("/files/create", create, methods=["POST"]),
)
