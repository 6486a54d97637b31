"""Making a batch: the form, empty or a copy, what is looked at before, the making, and the reports of one that has ended."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from penstock.console import notes
from penstock.console.batches import CREATE, Batch, fields_of, look
from penstock.console.checks import Check, as_json
from penstock.console.guard import form_of, wants_json
from penstock.console.pages.tasks import POLICIES, TOKEN_BYTES, flows_of, task_of
from penstock.console.rendering import back_to, not_found, refused, render
from penstock.console.viewer import Result, reach_of, viewer_of
from penstock.model import STREAM_ACTIONS, DataFlow, Report

ACTIONS = (
    ("Import", "Import: from the bucket into the file system"),
    ("Export", "Export: from the file system into the bucket"),
)
WAYS = (
    ("directory", "All of a directory"),
    ("entries", "Entries that I name"),
    ("lists", "Lists in the bucket (CSV)"),
)


async def show(request: Request) -> Response:
    """The form, empty or filled with what there is to copy."""
    viewer = viewer_of(request)
    if not viewer.may(CREATE):
        return not_found(request)
    given = dict(request.query_params)
    copied = await task_of(viewer, given.get("copy", ""))
    fields = fields_of(copied.task) if copied is not None and copied.task.action not in STREAM_ACTIONS else given
    return await _form(request, {**fields, "token": reach_of(request).entropy(TOKEN_BYTES).hex()})


async def _form(
    request: Request, fields: Mapping[str, str], *, checks: tuple[Check, ...] = (), result: Result | None = None
) -> Response:
    viewer = viewer_of(request)
    return render(
        request,
        "tasks/batch.html",
        status=200 if result is None else result.status,
        fields=fields,
        flows=await flows_of(viewer),
        actions=ACTIONS,
        ways=WAYS,
        policies=POLICIES,
        checks=checks,
        refusal=result,
        refusal_advice=notes.advice(result.code, viewer.reach.home) if result is not None else "",
    )


async def check(request: Request) -> Response:
    """What is to be known before it is made."""
    viewer, fields = viewer_of(request), form_of(request)
    flow = await _flow(request, fields)
    if flow is None or not viewer.may(CREATE, flow.file_system_id):
        return not_found(request, "dataflow")
    checks = await look(viewer, Batch.of(fields), flow)
    if wants_json(request):
        return JSONResponse({"checks": as_json(checks)})
    return await _form(request, fields, checks=checks)


async def create(request: Request) -> Response:
    """The making."""
    viewer, fields = viewer_of(request), form_of(request)
    flow = await _flow(request, fields)
    if flow is None:
        return not_found(request, "dataflow")
    token = {"ClientToken": f"console-{fields.get('token', '')[:32]}"}
    result = await viewer.perform(CREATE, Batch.of(fields).parameters(flow) | token)
    if result.ok:
        there = f"/tasks/{result.body['TaskId']}"
        if wants_json(request):
            return JSONResponse({"location": f"{there}?note=tasks.begun"})
        return back_to(there, "tasks.begun")
    return refused(request, result) if wants_json(request) else await _form(request, fields, result=result)


async def _flow(request: Request, fields: Mapping[str, str]) -> DataFlow | None:
    """The dataflow that was chosen, if the visitor may see it."""
    wanted = fields.get("flow", "")
    return next((each.flow for each in await flows_of(viewer_of(request)) if each.flow.data_flow_id == wanted), None)


async def report(request: Request) -> Response:
    """A report, as the API's own link would hand it out."""
    viewer, names = viewer_of(request), request.path_params
    found = await task_of(viewer, names["task_id"])
    wanted = next((each for each in Report if each.value == names["report"]), None)
    if found is None or wanted not in found.task.reports:
        return not_found(request, "report")
    sent = await viewer.reach.report(found.task.task_id, wanted)
    if sent is None:
        return not_found(request, "report")
    headers = {
        "Content-Disposition": f'attachment; filename="{found.task.task_id}-{wanted.value}.csv"',
        "Content-Length": str(sent.size_bytes),
    }
    return StreamingResponse(sent.pieces, media_type="text/csv; charset=utf-8", headers=headers)


ROUTES = (
    Route("/tasks/batch", show, methods=["GET"]),
    Route("/tasks/batch/check", check, methods=["POST"]),
    Route("/tasks/batch/create", create, methods=["POST"]),
    Route("/tasks/{task_id}/reports/{report}.csv", report, methods=["GET"]),
)
