"""The page of a stand-in: what is armed, how the clock stands, what was kept, and a button for each. There in a stand-in alone.

Acts by the API's own actions of a stand-in, whose parameters its forms name. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from penstock.console.guard import form_of
from penstock.console.rendering import back_to, not_found, refused, render
from penstock.console.viewer import viewer_of
from penstock.errors import FailureCode

PAGE = "/stand-in"
OF_FILES = (
    ("fail", "Fail: the file becomes FAILED"),
    ("hold", "Hold: the file stays RUNNING until the fault is removed"),
    ("slow", "Slow: the file moves so many bytes a second"),
    ("expire", "Expire: the file becomes EXPIRED"),
)
OF_CALLS = (
    ("answer", "Refuse: the call gets this error"),
    ("throttle", "Throttle: so many calls a second, no more"),
    ("delay", "Delay: the call is answered later"),
    ("lose", "Lose: the call is done, its answer never arrives"),
)
ACTS: Mapping[str, tuple[str, str]] = {
    "arm": ("ArmStandInFault", "stand_in.armed"),
    "remove": ("RemoveStandInFault", "stand_in.removed"),
    "clock": ("SetStandInClock", "stand_in.clock"),
    "reset": ("ResetStandIn", "stand_in.reset"),
    "snapshot": ("SnapshotStandIn", "stand_in.kept"),
    "restore": ("RestoreStandIn", "stand_in.restored"),
}
_OTHERS = frozenset({"csrf"})
"""What forms bring beside parameters."""


async def show(request: Request) -> Response:
    """The page."""
    viewer = viewer_of(request)
    if not viewer.reach.is_stand_in:
        return not_found(request)
    told = await viewer.read("DescribeStandIn", {})
    return render(
        request,
        "stand_in.html",
        faults=told["Faults"]["Fault"],
        clock=told["Clock"],
        seed=told["Seed"],
        snapshots=told["Snapshots"]["Snapshot"],
        of_files=OF_FILES,
        of_calls=OF_CALLS,
        failures=tuple((code.value, code.value) for code in sorted(FailureCode)),
    )


async def act(request: Request) -> Response:
    """One of the buttons."""
    viewer = viewer_of(request)
    known = ACTS.get(request.path_params["act"])
    if known is None or not viewer.reach.is_stand_in:
        return not_found(request)
    action, note = known
    given = {name: value.strip() for name, value in form_of(request).items() if name not in _OTHERS}
    result = await viewer.perform(action, {name: value for name, value in given.items() if value})
    return back_to(PAGE, note=note) if result.ok else refused(request, result)


ROUTES = (
    Route(PAGE, show, methods=["GET"]),
    Route(PAGE + "/{act}", act, methods=["POST"]),
)
