"""The list of files: filters in the URL, newest or worst first, a page at a time through any number of rows, and live.

Rows that are shown are kept as they are now and stay where they are; what comes new is counted, and shown when it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from penstock.catalog.views import Browse, BrowseTasks, Listed, Sheet, TaskListed
from penstock.console import events, filters
from penstock.console.advice import Advice, Surroundings, advice
from penstock.console.filters import Asked, browse_of
from penstock.console.pages.tasks import flows_of
from penstock.console.rendering import part, render
from penstock.console.scope import READ_FILES, READ_TASKS, file_systems_of
from penstock.console.streams import Look, live
from penstock.console.viewer import Viewer, reach_of, viewer_of
from penstock.console.wording import wait_words
from penstock.errors import CatalogError, InvalidNextTokenError
from penstock.model import FINAL_SUB_TASK_STATUSES, SubTaskStatus

PAGE_ROWS = 50
NEW_MAX = 200
SHOWN_MAX = 200
TASKS_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One file as the list shows it."""

    listed: Listed
    advice: Advice | None
    wait: str


async def show(request: Request) -> Response:
    """A page of the list."""
    viewer, reach = viewer_of(request), reach_of(request)
    asked = filters.read(request.query_params.multi_items(), now_ns=reach.now_ns())
    seen = file_systems_of(viewer, READ_FILES)
    sheet, cursor, trouble = Sheet(items=(), newer="", older=""), "", ""
    if not asked.wrong:
        try:
            cursor = (await reach.seeing.changes(seen, "")).cursor
            query = browse_of(asked.filters, seen)
            sheet = await reach.seeing.browse(query, cursor=asked.cursor, limit=PAGE_ROWS)
        except InvalidNextTokenError:
            return RedirectResponse(f"/files?{asked.query()}", 303)
        except CatalogError as error:
            trouble = str(error)
    return render(
        request,
        "files.html",
        status=503 if trouble else 200,
        asked=asked,
        sheet=sheet,
        rows=[_row(viewer, each) for each in sheet.items],
        trouble=trouble,
        statuses=tuple(SubTaskStatus),
        windows=tuple(filters.WINDOWS_S),
        live_path=_live_path(asked, sheet.items),
        live_from=cursor,
        file_systems=seen,
        flows=await flows_of(viewer),
        tasks=await _tasks(viewer, asked),
    )


async def _tasks(viewer: Viewer, asked: Asked) -> Sequence[TaskListed]:
    """The newest tasks, among which one is chosen: of the dataflow, if the list is of one."""
    flow = asked.filters.data_flow
    query = BrowseTasks(file_systems=file_systems_of(viewer, READ_TASKS), data_flow_ids=(flow,) if flow else None)
    return (await viewer.reach.seeing.tasks(query, cursor="", limit=TASKS_MAX)).items


def _live_path(asked: Asked, items: Sequence[Listed]) -> str:
    """Where the page goes on: with its filters, the rows that it shows, and whether newer ones would stand on it."""
    shown = [each.sub_task.sub_task_id for each in items]
    first = not asked.cursor and not asked.wrong
    more = [("shown", ",".join(shown)), ("new", "count" if first else "")]
    return f"/live/files?{asked.query()}&{urlencode([(name, text) for name, text in more if text])}"


async def follow(request: Request) -> Response:
    """The rows that a page shows as they go on, and how many new ones there are."""
    asked = filters.read(request.query_params.multi_items(), now_ns=reach_of(request).now_ns())
    shown = tuple(filter(None, request.query_params.get("shown", "").split(",")[:SHOWN_MAX]))
    following = _Following(request, asked, shown, cursor=events.cursor_of(request.headers, request.query_params))
    return live(request, following.watch)


class _Following:
    """One open list: its rows as they were when looked at last, and what is new."""

    def __init__(self, request: Request, asked: Asked, shown: Sequence[str], *, cursor: str) -> None:
        self._request = request
        self._asked = asked
        self._shown = shown
        self._counts_new = request.query_params.get("new") == "count" and not asked.wrong
        self._cursor = cursor
        self._rows: dict[str, Listed] = {}
        self._parts: dict[str, str] = {}
        self._new: set[str] = set()
        self._many = False

    async def watch(self, viewer: Viewer) -> Look:
        """What the list looks like now."""
        seen = file_systems_of(viewer, READ_FILES)
        seeing = viewer.reach.seeing
        changes = await seeing.changes(seen, self._cursor)
        changed = {*changes.ended, *changes.befallen}
        again = [each for each in self._shown if self._is_live(each) or each in changed or changes.is_lost]
        if again:
            self._write(viewer, await seeing.among(seen, again))
        if self._counts_new:
            await self._count(viewer, browse_of(self._asked.filters, seen), [*changes.created, *changed])
            self._many = self._many or changes.is_more or changes.is_lost
        self._cursor = changes.cursor
        told = [("newer", {"count": len(self._new), "more": self._many})]
        return Look(parts=self._parts, told=told, cursor=changes.cursor)

    def _write(self, viewer: Viewer, found: Mapping[str, Listed]) -> None:
        for id_, listed in found.items():
            if self._rows.get(id_) != listed:
                self._rows[id_] = listed
                row = _row(viewer, listed)
                self._parts[f"row:{id_}"] = part(self._request, "files/row.html", viewer=viewer, row=row)

    def _is_live(self, sub_task_id: str) -> bool:
        row = self._rows.get(sub_task_id)
        return row is None or row.sub_task.status not in FINAL_SUB_TASK_STATUSES

    async def _count(self, viewer: Viewer, query: Browse, changed: Sequence[str]) -> None:
        """Those that would stand on the page if it were loaded anew, and do not."""
        fresh = [each for each in changed if each not in self._shown and each not in self._new]
        if not fresh or self._many:
            return
        found = await viewer.reach.seeing.among(query.file_systems, fresh[:NEW_MAX])
        self._new |= {id_ for id_, listed in found.items() if filters.matches(query, listed)}
        self._many = len(fresh) > NEW_MAX or len(self._new) > NEW_MAX


def _row(viewer: Viewer, listed: Listed) -> Row:
    around = Surroundings(home=viewer.reach.home, bucket="", direction=listed.direction)
    told = advice(listed.sub_task, around, now_ns=viewer.reach.now_ns())
    return Row(listed=listed, advice=told, wait=wait_words(listed) if told is None else "")


ROUTES = (
    Route("/files", show, methods=["GET"]),
    Route("/live/files", follow, methods=["GET"]),
)
