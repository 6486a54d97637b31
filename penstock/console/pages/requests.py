"""The request log: the last calls of the API, live, with parameters, answer, and what the cloud would do otherwise."""

from __future__ import annotations

import json
from itertools import islice

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from penstock.console.calls import Call
from penstock.console.rendering import not_found, render
from penstock.console.viewer import Viewer, viewer_of

LOG = "/requests"
ROWS_MAX = 200
SEARCH_MAX_CHARS = 200
NUMBER_MAX_DIGITS = 18
ANSWER_MAX_CHARS = 64 << 10
_OUTCOMES = ("", "done", "refused", "hints")


async def show(request: Request) -> Response:
    """The page."""
    viewer = viewer_of(request)
    search, outcome = _asked(request)
    rows = _rows(viewer, search, outcome, after=0)
    newest = next(iter(viewer.reach.calls(viewer.session.key, 0)), None)
    return render(
        request, "requests/log.html", rows=rows, search=search, outcome=outcome, newest=newest.number if newest else 0
    )


async def newer(request: Request) -> Response:
    """The rows that have come since: what the page's script puts on top."""
    viewer = viewer_of(request)
    search, outcome = _asked(request)
    after = request.query_params.get("after", "0")
    seen = int(after) if after.isdecimal() and len(after) <= NUMBER_MAX_DIGITS else 0
    newest = next(iter(viewer.reach.calls(viewer.session.key, seen)), None)
    return render(
        request,
        "requests/rows.html",
        rows=_rows(viewer, search, outcome, after=seen),
        newest=newest.number if newest else seen,
    )


async def show_one(request: Request) -> Response:
    """One call, whole."""
    viewer = viewer_of(request)
    number = int(request.path_params["number"])
    call = next((each for each in viewer.reach.calls(viewer.session.key, number - 1) if each.number == number), None)
    if call is None:
        return not_found(request, "call among those that are remembered")
    answer = json.dumps(call.answer, indent=2, ensure_ascii=False, default=str)
    return render(
        request,
        "requests/one.html",
        call=call,
        answer=answer[:ANSWER_MAX_CHARS],
        is_long=len(answer) > ANSWER_MAX_CHARS,
    )


def _asked(request: Request) -> tuple[str, str]:
    search = request.query_params.get("search", "").strip()[:SEARCH_MAX_CHARS]
    outcome = request.query_params.get("outcome", "")
    return search, outcome if outcome in _OUTCOMES else ""


def _rows(viewer: Viewer, search: str, outcome: str, *, after: int) -> list[Call]:
    calls = (
        each for each in viewer.reach.calls(viewer.session.key, after) if each.holds(search) and _is(each, outcome)
    )
    return list(islice(calls, ROWS_MAX))


def _is(call: Call, outcome: str) -> bool:
    return {"done": not call.code, "refused": bool(call.code), "hints": bool(call.hints)}.get(outcome, True)


ROUTES = (
    Route(LOG, show, methods=["GET"]),
    Route(f"{LOG}/newer", newer, methods=["GET"]),
    Route(LOG + "/{number:int}", show_one, methods=["GET"]),
)
