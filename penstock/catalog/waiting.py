"""Why a sub-task does not move, and where it stands in line: out of its row, its task's and its dataflow's. Reads only."""

from __future__ import annotations

from collections.abc import Mapping

from penstock.catalog import rows
from penstock.catalog.claims import CLEAR, QUEUES
from penstock.catalog.database import Row, Value
from penstock.catalog.session import Session
from penstock.catalog.verbs import ClaimLane
from penstock.catalog.views import Line, Listed, Standing, Wait
from penstock.model import FINAL_SUB_TASK_STATUSES, DataFlow, DataFlowStatus, SubTaskStatus, Task, TaskStatus

LINE_MAX = 20_000
"""So many are counted at most of those that stand before one."""
LINE_IN_LIST_MAX = 1_000
"""And so many for each row of a list."""

_BEHIND = 2
_BEGUN = tuple(queue for queues in QUEUES.values() for queue in queues if queue not in (CLEAR, ClaimLane.SMALL.value))
"""Where those stand that are RUNNING."""


def listed(row: Row, task: Task, flow: DataFlow, now_ns: int) -> Listed:
    """A row as lists show it."""
    wait = _wait(row, task, flow, now_ns)
    due_ns = row["due_ns"]
    return Listed(
        sub_task=rows.sub_task(row, flow.file_system_id),
        direction=task.direction,
        wait=wait,
        failures=row["failures"],
        next_try_ns=due_ns if row["queue"] and due_ns > now_ns else None,
        cancel_asked_ns=row["canceled_ns"] or None,
    )


def _wait(row: Row, task: Task, flow: DataFlow, now_ns: int) -> Wait:
    if row["status"] in FINAL_SUB_TASK_STATUSES:
        return Wait.FINAL
    if row["owner"]:
        return Wait.NONE
    if row["turn"] == _BEHIND:
        return Wait.BEHIND
    if row["status"] == SubTaskStatus.CANCELING:
        return Wait.CLEAR
    if flow.status is not DataFlowStatus.RUNNING:
        return Wait.FLOW
    if task.status is not TaskStatus.EXECUTING:
        return Wait.TASK
    if row["due_ns"] > now_ns:
        return Wait.AGAIN
    return Wait.LARGE_LINE if row["lane"] == ClaimLane.LARGE else Wait.IN_LINE


def line(session: Session, row: Row, wait: Wait, task: Task, most: int = LINE_MAX) -> Line:
    """Where it stands, counted up to `most`. The same number of index entries is looked at, however many wait."""
    if wait is Wait.BEHIND:
        return _line_at_target(session, row, most)
    if wait not in (Wait.IN_LINE, Wait.LARGE_LINE, Wait.CLEAR):
        return Line(wait=wait)
    before = 0
    for queue in _queues_up_to(row["queue"]):
        before += _standing_before(session, row, queue, most - before)
        if before >= most:
            break
    return Line(wait=wait, before=before, is_more=before >= most, of=max(task.counters.created, before + 1))


def standing(session: Session, flow: int) -> Standing:
    """Of those that are RUNNING in this dataflow, how many stand in line, and how many wait for their next try."""
    in_line = again = 0
    for queue in _BEGUN:
        place: Mapping[str, Value] = {"queue": queue, "data_flow_number": flow, "limit": LINE_MAX}
        (found,) = session.rows("reading.standing", now_ns=session.now_ns, **place)
        later = found["later"] or 0
        again += later
        in_line += found["number"] - later
        if found["number"] >= LINE_MAX:
            return Standing(in_line=in_line, again=again, is_more=True)
    return Standing(in_line=in_line, again=again)


def _queues_up_to(queue: str) -> tuple[str, ...]:
    """Those that are served before it, and itself; what is to be cleared is quick, and stands in nobody's way."""
    served = next((queues for queues in QUEUES.values() if queue in queues), (queue,))
    return tuple(one for one in served[: served.index(queue) + 1] if one == queue or one != CLEAR)


def _standing_before(session: Session, row: Row, queue: str, limit: int) -> int:
    place: Mapping[str, Value] = {
        "queue": queue,
        "data_flow_number": row["data_flow_number"],
        "task_number": row["task_number"],
        "limit": limit,
    }
    if queue != row["queue"]:  # all of it that is due goes first
        return _count(session, "reading.due_before", **place, due_ns=session.now_ns + 1)
    earlier = _count(session, "reading.due_before", **place, due_ns=row["due_ns"])
    beside = {**place, "limit": limit - earlier}
    return earlier + _count(session, "reading.made_before", **beside, due_ns=row["due_ns"], number=row["number"])


def _line_at_target(session: Session, row: Row, most: int) -> Line:
    """Behind which live sub-task, and how many more stand between."""
    first = session.row("reading.first_at", line=row["line"])
    between = _count(session, "reading.behind_before", line=row["line"], number=row["number"], limit=most)
    return Line(
        wait=Wait.BEHIND,
        before=between + 1,
        is_more=between >= most,
        first=str(first["sub_task_id"]) if first is not None else "",
    )


def _count(session: Session, name: str, **parameters: Value) -> int:
    return int(session.rows(name, **parameters)[0]["number"])
