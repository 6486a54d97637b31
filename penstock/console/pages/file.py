"""One file: how far it is and how fast, whose turn it is, what befell it, its parts, its raw answer, and the equal call."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from penstock.catalog.live import Detail
from penstock.catalog.views import Browse, PathEnd, PathFilter, PathMatch
from penstock.console.advice import Surroundings, advice
from penstock.console.calling import caller_of
from penstock.console.rendering import not_found, part, render
from penstock.console.scope import READ_FILES, file_systems_of
from penstock.console.snippets import sub_task_snippets
from penstock.console.streams import Look, live
from penstock.console.timeline import attempts, timeline
from penstock.console.viewer import Viewer, reach_of, viewer_of
from penstock.console.wording import wait_in_full
from penstock.errors import SubTaskNotFoundError

PARTS = ("acts", "state", "turn", "map", "timeline", "facts")
SAME_TARGET_MAX = 6
TOKEN_BYTES = 12


async def show(request: Request) -> Response:
    """The page as it is now."""
    viewer = viewer_of(request)
    try:
        seen = await _seen(viewer, request.path_params["sub_task_id"])
    except SubTaskNotFoundError:
        return not_found(request, "file")
    detail: Detail = seen["detail"]
    return render(
        request,
        "file.html",
        parts=PARTS,
        raw=await _raw(viewer, detail),
        snippets=sub_task_snippets(detail.kept.listed.sub_task, detail.kept.task, detail.kept.flow, caller_of(viewer)),
        others=await _same_target(viewer, detail),
        token=viewer.reach.entropy(TOKEN_BYTES).hex(),
        **seen,
    )


async def follow(request: Request) -> Response:
    """The page as it goes on."""
    sub_task_id = request.path_params["sub_task_id"]
    token = (
        reach_of(request).entropy(TOKEN_BYTES).hex()
    )  # one for as long as it is followed: a button that changes is another one

    async def watch(viewer: Viewer) -> Look:
        seen = await _seen(viewer, sub_task_id)
        parts = {name: part(request, f"file/{name}.html", viewer=viewer, token=token, **seen) for name in PARTS}
        return Look(parts=parts)

    return live(request, watch)


async def _seen(viewer: Viewer, sub_task_id: str) -> dict[str, Any]:
    """Everything that the page's live parts show. SubTaskNotFoundError."""
    reach = viewer.reach
    detail = await reach.seeing.detail(file_systems_of(viewer, READ_FILES), sub_task_id)
    kept = detail.kept
    file_system = reach.registry().file_systems.get(kept.listed.sub_task.file_system_id)
    around = Surroundings(
        home=reach.home,
        bucket=kept.flow.bucket,
        direction=kept.listed.direction,
        root=file_system.root if file_system is not None else "",
    )
    return {
        "detail": detail,
        "sub_task": kept.listed.sub_task,
        "flying": detail.flying,
        "advice": advice(kept.listed.sub_task, around, now_ns=reach.now_ns()),
        "wait": wait_in_full(kept),
        "timeline": timeline(kept),
        "attempts": attempts(kept),
    }


async def _raw(viewer: Viewer, detail: Detail) -> str:
    """What the API answers about it, with this visitor's rights, letter by letter."""
    sub_task = detail.kept.listed.sub_task
    asked = {
        "FileSystemId": sub_task.file_system_id,
        "Filters.1.Key": "DataFlowSubTaskIds",
        "Filters.1.Value": sub_task.sub_task_id,
    }
    result = await viewer.perform(READ_FILES, asked)
    return json.dumps(result.body, indent=2, ensure_ascii=False)


async def _same_target(viewer: Viewer, detail: Detail) -> list[Any]:
    """Other files with this target, newest first: a later one may have done already what this one could not."""
    sub_task = detail.kept.listed.sub_task
    path = PathFilter(text=sub_task.target, end=PathEnd.TARGET, match=PathMatch.EXACT)
    query = Browse(file_systems=(sub_task.file_system_id,), data_flow_ids=(sub_task.data_flow_id,), path=path)
    sheet = await viewer.reach.seeing.browse(query, cursor="", limit=SAME_TARGET_MAX)
    return [each for each in sheet.items if each.sub_task.sub_task_id != sub_task.sub_task_id]


ROUTES = (
    Route("/files/{sub_task_id}", show, methods=["GET"]),
    Route("/live/files/{sub_task_id}", follow, methods=["GET"]),
)
