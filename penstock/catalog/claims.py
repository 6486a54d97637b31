"""Who may work on what, and until when: queues, claims, leases, rescue.

A sub-task that can be claimed stands in one queue: `small` or `large` for its first time in a lane, with `-again` when it
was there before (served first, since it is older), or `clear` for what a cancel or a settled outcome has left to be removed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from penstock.catalog import identifiers, rows
from penstock.catalog.counting import Tally
from penstock.catalog.database import Row
from penstock.catalog.session import Session
from penstock.catalog.verbs import Claimed, ClaimLane, ReadyTask
from penstock.model import ConflictPolicy, SubTaskStatus, TaskAction

CLEAR = "clear"
MOVING_QUEUES: Mapping[ClaimLane, tuple[str, ...]] = {
    ClaimLane.SMALL: ("small-again", "small"),
    ClaimLane.LARGE: ("large-again", "large"),
}
_BEFORE_ALL = -2  # below every number, and below NO_NUMBER


class Ring:
    """Where the last look at the ready tasks ended, so that with more tasks than asked for all get their turn."""

    def __init__(self) -> None:
        self._after: dict[tuple[str, int], int] = {}
        self._first: dict[ClaimLane, int] = {}

    def ready(self, session: Session, lane: ClaimLane, limit: int) -> list[ReadyTask]:
        """Tasks with a sub-task due in that lane, at most `limit`, each once."""
        working = [row["number"] for row in session.rows("data_flows.working")]
        queues = [(queue, flow) for flow in working for queue in MOVING_QUEUES[lane]]
        if queues:  # with more of them than `limit`, all get their turn
            first = self._first.get(lane, 0) % len(queues)
            self._first[lane] = first + limit
            queues = queues[first:] + queues[:first]
        if lane is ClaimLane.SMALL:
            queues = [(CLEAR, flow) for flow in _data_flows_in(session, CLEAR)] + queues
        found: dict[tuple[int, int], None] = {}
        # Each queue gets its share; what some leave over goes to those that had more.
        for _ in range(2):
            hungry: list[tuple[str, int]] = []
            for queue, flow in queues:
                left = limit - len(found)
                if left <= 0:
                    break
                share = min(left, max(1, left // len(queues)))
                tasks = self._tasks(session, queue, flow, share)
                found |= dict.fromkeys((flow, task) for task in tasks)
                if len(tasks) == share:
                    hungry.append((queue, flow))
            queues = hungry
        return [
            ReadyTask(task_id=identifiers.task_id(task), data_flow_id=identifiers.data_flow_id(flow), lane=lane)
            for flow, task in found
        ]

    def _tasks(self, session: Session, queue: str, data_flow_number: int, limit: int) -> list[int]:
        """At most `limit` tasks, from behind those of the last time on, then from the start again."""
        after = self._after.get((queue, data_flow_number), _BEFORE_ALL)
        found = _next_tasks(session, queue, data_flow_number, after, limit)
        if len(found) < limit and after != _BEFORE_ALL:
            start = _next_tasks(session, queue, data_flow_number, _BEFORE_ALL, limit - len(found))
            found += [task for task in start if task <= after]
        self._after[queue, data_flow_number] = found[-1] if len(found) == limit else _BEFORE_ALL
        return found


def _next_tasks(session: Session, queue: str, data_flow_number: int, after: int, limit: int) -> list[int]:
    answered = session.rows(
        "claims.next_tasks",
        queue=queue,
        data_flow_number=data_flow_number,
        after=after,
        now_ns=session.now_ns,
        limit=limit,
    )
    return [row["task_number"] for row in answered]


def _data_flows_in(session: Session, queue: str) -> list[int]:
    """The dataflows with anything in one queue, each found by one seek."""
    found: list[int] = []
    after = _BEFORE_ALL
    while True:
        row = session.row("claims.next_data_flow", queue=queue, after=after)
        if row is None or row["number"] is None:
            return found
        after = row["number"]
        found.append(after)


def next_due_ns(session: Session) -> int | None:
    """When the earliest claimable sub-task is due (in the past, if it is due already); None when there is none."""
    dues: list[int] = []
    for data_flow_number in _data_flows_in(session, CLEAR):
        dues += _first_due(session, CLEAR, data_flow_number)
    for row in session.rows("data_flows.working"):
        for queues in MOVING_QUEUES.values():
            for queue in queues:
                dues += _first_due(session, queue, row["number"])
    return min(dues, default=None)


def _first_due(session: Session, queue: str, data_flow_number: int) -> list[int]:
    answered = session.rows("claims.first_due", queue=queue, data_flow_number=data_flow_number)
    return [row["due_ns"] for row in answered if row["due_ns"] is not None]


def claim(
    session: Session, task_id: str, lane: ClaimLane, *, limit: int, owner: str, lease_until_ns: int
) -> list[Claimed]:
    """Lease what is due, what is to be cleared first and the older before the newer."""
    task = session.row("claims.task", task_number=identifiers.task_number(task_id))
    if task is None:
        return []
    queues = [CLEAR] if lane is ClaimLane.SMALL else []
    if task["working"]:
        queues += MOVING_QUEUES[lane]
    claimed: list[Row] = []
    for queue in queues:
        if len(claimed) < limit:
            claimed += sorted(_claim_from(session, task, queue, limit - len(claimed), owner), key=_number)
    if claimed:
        session.run("claims.promise", owner=owner, until_ns=lease_until_ns)
        started = sum(row["status"] == SubTaskStatus.RUNNING and row["attempt"] == 1 for row in claimed)
        tally = Tally()
        tally.moved_on(task["data_flow_number"], task["number"], SubTaskStatus.CREATED, SubTaskStatus.RUNNING, started)
        tally.write(session)
    return [_claimed(row, task) for row in claimed]


def _number(row: Row) -> int:
    return int(row["number"])


def _claim_from(session: Session, task: Row, queue: str, limit: int, owner: str) -> Sequence[Row]:
    return session.rows(
        "claims.claim",
        queue=queue,
        data_flow_number=task["data_flow_number"],
        task_number=task["number"],
        now_ns=session.now_ns,
        limit=limit,
        owner=owner,
    )


def _claimed(row: Row, task: Row) -> Claimed:
    return Claimed(
        sub_task=rows.sub_task(row, task["file_system_id"]),
        lane=ClaimLane(row["lane"]),
        action=TaskAction(task["action"]),
        conflict_policy=ConflictPolicy(task["conflict_policy"]),
        file_system_path=task["file_system_path"],
        source_storage=task["source_storage"],
        rival=row["rival"],
        checkpoint=row["checkpoint"],
        tidy=bool(row["tidy"]),
        failures=row["failures"],
    )


def renew(session: Session, owner: str, lease_until_ns: int) -> None:
    """Everything that `owner` holds is leased until then."""
    session.run("claims.promise", owner=owner, until_ns=lease_until_ns)


def rescue(session: Session, now_ns: int, owner: str | None) -> int:
    """Void the leases that have ended before `now_ns`, or all of `owner`'s; how many sub-tasks that frees."""
    overdue = [owner] if owner is not None else [row["owner"] for row in session.rows("claims.overdue", now_ns=now_ns)]
    return _release(session, overdue)


def rescue_all(session: Session) -> int:
    """Void every lease; how many sub-tasks that frees."""
    return _release(session, [row["owner"] for row in session.rows("claims.owners")])


def _release(session: Session, owners: Sequence[str]) -> int:
    freed = 0
    for owner in owners:
        freed += session.run("claims.release", owner=owner)
        session.run("claims.end", owner=owner)
    if freed:
        session.ring()
    return freed


def canceling(session: Session, owner: str) -> list[tuple[str, int]]:
    """What `owner` holds and should withdraw: (sub_task_id, attempt)."""
    return [(row["sub_task_id"], row["attempt"]) for row in session.rows("claims.canceling", owner=owner)]
