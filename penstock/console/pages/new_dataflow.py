"""Making a dataflow: the form, what it browses, what is looked at before, and the making.

Calls `directories` and `prefixes` for browsing, `wishes` for the looks, and the API for the making, as the visitor. File systems
and stores are asked for at most LOOK_S seconds each. Reads no file and no object, and browses for nobody who may make none.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from penstock.console import notes
from penstock.console.checks import LOOK_S, Check, as_json
from penstock.console.directories import subdirectories
from penstock.console.guard import form_of, wants_json
from penstock.console.pages.dataflows import LIST, path_of
from penstock.console.prefixes import subprefixes
from penstock.console.rendering import back_to, not_found, refused, render
from penstock.console.viewer import Result, Viewer, viewer_of
from penstock.console.wishes import Wish, as_directory, look, takes_filesets
from penstock.model import Bucket

CREATE = "CreateDataFlow"


async def show(request: Request) -> Response:
    """The form, empty or as an address has filled it in; 404 for whoever may make none."""
    return _form(request, request.query_params)


async def check(request: Request) -> Response:
    """What is to be known before it is made: as JSON for the form's script, else as the form again. Nothing is changed."""
    viewer, wish = viewer_of(request), Wish.of(form_of(request))
    if not viewer.may(CREATE, wish.file_system_id):
        return not_found(request, "file system")
    checks = await look(viewer, wish)
    if wants_json(request):
        return JSONResponse({"checks": as_json(checks)})
    return _form(request, form_of(request), checks=checks)


async def create(request: Request) -> Response:
    """The making: 303 to the new dataflow. A refusal of the API keeps its status, and stands in the form with all that was typed.

    A script is answered with JSON: where to go, or the refusal.
    """
    viewer, wish = viewer_of(request), Wish.of(form_of(request))
    bucket = viewer.reach.registry().buckets.get(wish.bucket)
    result = await viewer.perform(CREATE, wish.parameters(bucket.scheme if bucket is not None else "oss"))
    if result.ok:
        there = path_of(wish.file_system_id, str(result.body["DataFlowId"]))
        if wants_json(request):
            return JSONResponse({"location": f"{there}?note=flow.created"})
        return back_to(there, "flow.created")
    if wants_json(request):
        return refused(request, result)
    return _form(request, form_of(request), result=result)


async def browse_directories(request: Request) -> Response:
    """The directories in one, as JSON: names, whether there are more, and why there are none, with what mends that."""
    viewer, query = viewer_of(request), request.query_params
    file_system = viewer.reach.registry().file_systems.get(query.get("file_system_id", ""))
    if file_system is None or not viewer.may(CREATE, file_system.file_system_id):
        return not_found(request, "file system")
    path = as_directory(query.get("path", ""))
    try:
        found = await viewer.reach.file_systems.ask(
            file_system.file_system_id, lambda: subdirectories(file_system, path, limit_s=LOOK_S), limit_s=LOOK_S
        )
    except TimeoutError:
        return JSONResponse({"path": path, "names": [], "is_cut": False, "trouble": "The file system does not answer."})
    told = {"path": path, "names": found.names, "is_cut": found.is_cut, "trouble": found.trouble, "mend": found.mend}
    return JSONResponse(told)


async def browse_prefixes(request: Request) -> Response:
    """The prefixes below one, as JSON: names, how many objects lie beside them, whether there is more, and why there are none."""
    viewer, query = viewer_of(request), request.query_params
    bucket = viewer.reach.registry().buckets.get(query.get("bucket", ""))
    if bucket is None or not _makers(viewer):
        return not_found(request, "bucket")
    path = as_directory(query.get("prefix", ""))
    try:
        found = await viewer.reach.stores.ask(
            bucket.name, lambda: subprefixes(bucket, path, viewer.reach.open_bucket), limit_s=LOOK_S
        )
    except TimeoutError:
        return JSONResponse({"path": path, "names": [], "is_cut": False, "trouble": "The store does not answer."})
    told = {
        "path": path,
        "names": found.names,
        "objects": found.objects,
        "is_cut": found.is_cut,
        "trouble": found.trouble,
    }
    return JSONResponse(told)


def _form(
    request: Request, values: Mapping[str, str], *, checks: tuple[Check, ...] = (), result: Result | None = None
) -> Response:
    viewer = viewer_of(request)
    registry = viewer.reach.registry()
    makers = _makers(viewer)
    if not makers:
        return not_found(request)
    buckets: list[Bucket] = [bucket for _, bucket in sorted(registry.buckets.items())]
    return render(
        request,
        "dataflows/new.html",
        status=200 if result is None else result.status,
        file_systems=[registry.file_systems[each] for each in makers],
        buckets=buckets,
        has_filesets=any(takes_filesets(each) for each in makers),
        values=values,
        checks=checks,
        refusal=result,
        refusal_advice=notes.advice(result.code, viewer.reach.home) if result is not None else "",
    )


def _makers(viewer: Viewer) -> list[str]:
    """The file systems on which the visitor may make dataflows; whoever may on one may choose among all buckets there."""
    return [each for each in sorted(viewer.reach.registry().file_systems) if viewer.may(CREATE, each)]


ROUTES = (
    Route(f"{LIST}/new", show, methods=["GET"]),
    Route(f"{LIST}/check", check, methods=["POST"]),
    Route(f"{LIST}/create", create, methods=["POST"]),
    Route(f"{LIST}/browse/directories", browse_directories, methods=["GET"]),
    Route(f"{LIST}/browse/prefixes", browse_prefixes, methods=["GET"]),
)
