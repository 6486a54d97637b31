"""What is done to files that there are: cancel one or those selected, retry failed ones, one or all of a list.

A retry makes a new sub-task with the same two ends and the same condition; the failed one stays as it is. Each form goes so far
and no further; where a list goes on, the answer says from where.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from penstock.catalog.views import Browse, Listed, PathEnd, PathFilter, PathMatch
from penstock.console import filters
from penstock.console.creating import RefusedFile, Stream, Wanted, submit
from penstock.console.filters import Asked, FileFilters, browse_of
from penstock.console.guard import form_of
from penstock.console.rendering import back_to, refused, render, told_wrong
from penstock.console.scope import READ_FILES, file_systems_of
from penstock.console.snippets import ends_of
from penstock.console.viewer import Result, Viewer, reach_of, viewer_of
from penstock.model import LIVE_SUB_TASK_STATUSES, SubTaskStatus

SELECTED_MAX = 200
RETRY_MAX = 1000
PORTION = 200
RETRIED = frozenset({SubTaskStatus.FAILED, SubTaskStatus.EXPIRED})
"""What "retry failed" takes of a list; one that was canceled is copied as new by its own button."""

TOKEN_BYTES = 12
CANCEL = "CancelDataFlowSubTask"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """What came of a retry. `goes_on` is the query from which the list goes on ("" = it was the whole)."""

    sub_task_ids: tuple[str, ...] = ()
    refused: tuple[RefusedFile, ...] = ()
    failed: Result | None = None
    goes_on: str = ""


# ---------------------------------------------------------------------------------------------------------------- cancel


async def cancel(request: Request) -> Response:
    """Withdraw those that are named and have not ended."""
    viewer, fields = viewer_of(request), form_of(request)
    found = await _named(viewer, fields)
    if not found:
        return told_wrong(request, "Select at least one file that has not ended.")
    problems: list[Result] = []
    done = 0
    for each in found:
        sub_task = each.sub_task
        if sub_task.status not in LIVE_SUB_TASK_STATUSES and viewer.may(CANCEL, sub_task.file_system_id):
            continue  # whoever has no right to it is refused, whatever has become of the file
        result = await viewer.perform(
            CANCEL,
            {
                "FileSystemId": sub_task.file_system_id,
                "DataFlowId": sub_task.data_flow_id,
                "DataFlowTaskId": sub_task.task_id,
                "DataFlowSubTaskId": sub_task.sub_task_id,
            },
        )
        done += result.ok
        if not result.ok:
            problems.append(result)
    if problems and not done:
        return refused(request, problems[0])
    return back_to(_back(fields), note="files.canceled_partly" if problems or not done else "files.canceled")


def _back(fields: Mapping[str, str]) -> str:
    """Where the form was: a page of ours, never an address of others."""
    back = fields.get("back", "")
    return back if back.startswith("/files") and "\\" not in back and not back.startswith("//") else "/files"


# ----------------------------------------------------------------------------------------------------------------- retry


async def confirm(request: Request) -> Response:
    """What would be retried of a list: the question before the act."""
    viewer, reach = viewer_of(request), reach_of(request)
    asked = filters.read(request.query_params.multi_items(), now_ns=reach.now_ns())
    if asked.wrong:
        return told_wrong(request, "; ".join(asked.wrong.values()))
    found, older = await _failed_of(viewer, asked)
    return render(
        request,
        "files/retry.html",
        asked=asked,
        count=len(found),
        goes_on=bool(older),
        first=found[:10],
        token=reach.entropy(TOKEN_BYTES).hex(),
        page_query=asked.page_query(asked.cursor),
    )


async def retry(request: Request) -> Response:
    """Do it: of those that are named, or of the list."""
    viewer, fields = viewer_of(request), form_of(request)
    older = ""
    asked: Asked | None = None
    if "query" in fields:
        asked = filters.read(parse_qsl(fields["query"]), now_ns=viewer.reach.now_ns())
        if asked.wrong:
            return told_wrong(request, "; ".join(asked.wrong.values()))
        found, older = await _failed_of(viewer, asked)
    else:
        found = [each for each in await _named(viewer, fields) if each.sub_task.status in RETRIED]
    if not found and not older:
        return told_wrong(request, "Nothing of this has failed.")
    goes_on = asked.page_query(older) if asked is not None and older else ""
    done = await _again(viewer, found, token=f"retry-{fields.get('token', '')[:32]}", goes_on=goes_on)
    if done.failed is not None and not done.sub_task_ids:
        return refused(request, done.failed)
    if done.refused or done.failed or goes_on:
        return render(request, "files/retried.html", status=207 if done.refused or done.failed else 200, done=done)
    if len(done.sub_task_ids) == 1:
        return back_to(f"/files/{done.sub_task_ids[0]}", note="files.retried")
    return back_to("/files?time=1h", note="files.retried")


async def _failed_of(viewer: Viewer, asked: Asked) -> tuple[list[Listed], str]:
    """The failed ones of a list, as many as one form retries, and the cursor of what is behind them."""
    query = browse_of(_failed_only(asked.filters), file_systems_of(viewer, READ_FILES))
    found: list[Listed] = []
    cursor = asked.cursor
    while True:
        sheet = await viewer.reach.seeing.browse(query, cursor=cursor, limit=PORTION)
        found += await _still_failed(viewer, sheet.items, {_file(each) for each in found})
        cursor = sheet.older
        if not cursor or len(found) >= RETRY_MAX:
            return found, cursor


async def _still_failed(viewer: Viewer, items: Sequence[Listed], known: set[tuple[str, str, str]]) -> list[Listed]:
    """One row for each file, and none for what has been moved anew since."""
    newest: dict[tuple[str, str, str], Listed] = {}
    for each in items:
        if _file(each) not in known:
            newest.setdefault(_file(each), each)
    later = await asyncio.gather(*(_latest(viewer, each) for each in newest.values()))
    return [each for each, last in zip(newest.values(), later, strict=True) if last.sub_task.status in RETRIED]


async def _latest(viewer: Viewer, listed: Listed) -> Listed:
    """The newest sub-task of this file, if it is the last that had this target; else itself."""
    sub_task = listed.sub_task
    path = PathFilter(text=sub_task.target, end=PathEnd.TARGET, match=PathMatch.EXACT)
    query = Browse(file_systems=(sub_task.file_system_id,), data_flow_ids=(sub_task.data_flow_id,), path=path)
    sheet = await viewer.reach.seeing.browse(query, cursor="", limit=1)
    return next((each for each in sheet.items if _file(each) == _file(listed)), listed)


def _file(listed: Listed) -> tuple[str, str, str]:
    sub_task = listed.sub_task
    return (sub_task.task_id, sub_task.source, sub_task.target)


def _failed_only(asked: FileFilters) -> FileFilters:
    wanted = tuple(each for each in asked.statuses if each in RETRIED) if asked.statuses else tuple(sorted(RETRIED))
    return filters.narrowed_to(asked, wanted)


async def _again(viewer: Viewer, found: Sequence[Listed], *, token: str, goes_on: str) -> Retried:
    """New sub-tasks with the same ends, task by task."""
    by_task: dict[str, list[Listed]] = {}
    for each in found:
        by_task.setdefault(each.sub_task.task_id, []).append(each)
    ids: list[str] = []
    refused_files: list[RefusedFile] = []
    failed: Result | None = None
    seen = file_systems_of(viewer, READ_FILES)
    for number, of_task in enumerate(by_task.values()):
        kept = (await viewer.reach.seeing.detail(seen, of_task[0].sub_task.sub_task_id)).kept
        stream = Stream(
            file_system_id=kept.flow.file_system_id, data_flow_id=kept.flow.data_flow_id, task_id=kept.task.task_id
        )
        wanted = [_wanted(each, kept) for each in of_task]
        done = await submit(viewer, stream, wanted, token=f"{token}-{number}")
        ids += done.sub_task_ids
        refused_files += done.refused
        failed = failed or done.failed
    return Retried(sub_task_ids=tuple(ids), refused=tuple(refused_files), failed=failed, goes_on=goes_on)


def _wanted(listed: Listed, kept: Any) -> Wanted:
    ends, condition = ends_of(listed.sub_task, kept.task, kept.flow), listed.sub_task.condition
    return Wanted(
        source=ends.source,
        target=ends.target,
        modify_time="" if condition.modify_time_ns is None else str(condition.modify_time_ns),
        size="" if condition.size_bytes is None else str(condition.size_bytes),
    )


async def _named(viewer: Viewer, fields: Mapping[str, str]) -> list[Listed]:
    """Those that the form names, and the visitor may see."""
    ids = [each.strip() for each in fields.get("ids", "").split(",") if each.strip()][:SELECTED_MAX]
    found = await viewer.reach.seeing.among(file_systems_of(viewer, READ_FILES), ids)
    return [found[each] for each in ids if each in found]


ROUTES = (
    Route("/files/cancel", cancel, methods=["POST"]),
    Route("/files/retry", confirm, methods=["GET"]),
    Route("/files/retry", retry, methods=["POST"]),
)
