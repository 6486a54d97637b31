"""What time does to the ledger: waiting sub-tasks expire, old history is removed. Small batches, in one transaction each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from penstock.catalog import calls, identifiers, placing
from penstock.catalog.counting import HOUR_NS, Tally
from penstock.catalog.database import Row
from penstock.catalog.session import Session
from penstock.catalog.states import Noun, step
from penstock.catalog.subtasks import step_up
from penstock.model import SubTaskStatus

HOURS_KEPT = 25
"""Hours are counted for a day's figures at least, however soon sub-tasks are forgotten."""


def expire(session: Session, older_than_ns: int, limit: int) -> int:
    """End sub-tasks that have waited since before `older_than_ns`, pauses of their dataflow not counted; how many.

    A dataflow's pauses only grow, so its waiting sub-tasks stand in the order in which they expire.
    """
    return _expire(session, lambda flow, left: _overdue(session, flow, older_than_ns, left), limit)


def expire_named(session: Session, is_meant: Callable[[str, str, str], bool], limit: int) -> int:
    """End at most `limit` sub-tasks that wait and of which that is true: of task, source and target; how many. For a stand-in."""

    def choose(flow: Row, most: int) -> list[Row]:
        waiting = session.rows("sub_tasks.named_waiting", data_flow_number=flow["number"], limit=most)
        return [
            row for row in waiting if is_meant(identifiers.task_id(row["task_number"]), row["source"], row["target"])
        ]

    return _expire(session, choose, limit)


def _expire(session: Session, choose: Callable[[Row, int], Sequence[Row]], limit: int) -> int:
    """Of each dataflow those that `choose(flow, at most)` answers."""
    tally = Tally()
    lines: list[str] = []
    left = limit
    for flow in session.rows("data_flows.waiting"):
        for row in choose(flow, left):
            if session.run("sub_tasks.expire", number=row["number"], now_ns=session.now_ns):
                left -= 1
                tally.moved_on(
                    flow["number"], row["task_number"], SubTaskStatus.CREATED, step(Noun.SUB_TASK, "expire").after
                )
                if row["turn"] == 1:
                    lines.append(row["line"])
                    session.ring()  # it may have to be cleared
        if left <= 0:
            break
    tally.write(session)
    if lines:
        step_up(session, lines)
    return limit - left


def _overdue(session: Session, flow: Row, older_than_ns: int, limit: int) -> list[Row]:
    """The waiting sub-tasks of a dataflow that have waited too long, oldest first."""
    pause_ns = session.now_ns - flow["stopped_since_ns"] if flow["stopped_since_ns"] else 0
    created_before_ns = older_than_ns - flow["stopped_ns"] - pause_ns
    overdue: list[Row] = []
    for portion in (1, limit):  # mostly the first one is young enough, and no more need be read
        waiting = session.rows("sub_tasks.oldest_waiting", data_flow_number=flow["number"], limit=portion)
        overdue = [row for row in waiting if row["created_ns"] - row["stopped_before_ns"] < created_before_ns]
        if not overdue:
            break
    return overdue


def prune(session: Session, sub_tasks_before_ns: int, tokens_before_ns: int, nonces_before_ns: int, limit: int) -> int:
    """Remove at most about `limit` old rows; how many. Nothing live, and nothing that is still to be tidied, is touched."""
    removed = _forget(session, session.rows("sub_tasks.ended_before", before_ns=sub_tasks_before_ns, limit=limit))
    for flow in session.rows("data_flows.deleted"):
        if removed >= limit:
            break
        removed += _prune_deleted(session, flow["number"], limit - removed)
    session.run("counts.forget_hours", before_ns=min(sub_tasks_before_ns, session.now_ns - HOURS_KEPT * HOUR_NS))
    if removed < limit:
        removed += session.run("batches.forget_segments", before=sub_tasks_before_ns, limit=limit - removed)
    if removed < limit:
        removed += session.run("calls.forget_tokens", before=tokens_before_ns, limit=limit - removed)
    if removed:  # the newest of all may be among them, and its id is not to be given again
        session.run("data_flows.keep_number", number=session.last_number)
    calls.forget_nonces(session, nonces_before_ns)
    return removed


def _prune_deleted(session: Session, data_flow_number: int, limit: int) -> int:
    """Remove what a deleted dataflow has left: sub-tasks, then tasks, in the end itself."""
    ended = session.rows("sub_tasks.ended_in", data_flow_number=data_flow_number, limit=limit)
    removed = _forget(session, ended)
    removed += _forget(session, _left_by_batches(session, data_flow_number, limit - removed))
    if removed < limit:
        bare = session.rows("tasks.bare", data_flow_number=data_flow_number, limit=limit - removed)
        numbers = [row["number"] for row in bare]
        placing.forget(session, numbers)
        removed += session.run_in("tasks.forget", numbers)
    if removed < limit:
        removed += session.run("refreshes.forget_known_of", data_flow_number=data_flow_number, limit=limit - removed)
    if removed < limit:
        gone = session.run("data_flows.forget", number=data_flow_number)
        if gone:
            session.run("counts.forget_totals", data_flow_number=data_flow_number)
        removed += gone
    return removed


def _left_by_batches(session: Session, data_flow_number: int, limit: int) -> Sequence[Row]:
    """Sub-tasks that a deleted dataflow's batches have left; the lines of their reports are removed at once."""
    if limit <= 0:
        return ()
    session.run("batches.forget_segments_of", data_flow_number=data_flow_number, limit=limit)
    return session.rows("batches.ended_in", data_flow_number=data_flow_number, limit=limit)


def _forget(session: Session, ended: Sequence[Row]) -> int:
    numbers = [row["number"] for row in ended]
    session.run_in("happenings.forget", numbers)
    return session.run_in("sub_tasks.forget", numbers)
