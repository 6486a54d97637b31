"""Who may work on what, and until when: queues, claims, leases, rescue.

A sub-task that can be claimed stands in one queue: `small` or `large` for its first time in a lane, with `-again` when it
was there before (served first, since it is older), or `clear` for what a cancel or a settled outcome has left to be removed.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import itemgetter

from penstock.catalog import identifiers
from penstock.catalog.counting import Tally
from penstock.catalog.database import Row
from penstock.catalog.happening import rescued
from penstock.catalog.session import Session
from penstock.catalog.verbs import Claimed, ClaimLane, Claims, Demand, Explanation, Grant, Held, Room
from penstock.errors import FailureCode
from penstock.model import (
    Condition,
    ConflictPolicy,
    Direction,
    FileDetail,
    SubTaskStatus,
    TaskAction,
)

CLEAR = "clear"
QUEUES: Mapping[ClaimLane, tuple[str, ...]] = {
    ClaimLane.SMALL: (CLEAR, "small-again", "small"),
    ClaimLane.LARGE: ("large-again", "large"),
}
"""In the order of service. Those of a dataflow that does not work are left alone, but for what is to be cleared."""

_WAITS_FOR_SOURCE = (
    "the dataflow is Misconfigured: its bucket, or the bucket's tag cpfs-dataflow=true, is gone; put it back"
)
LARGE_WAITS = "it is large, and as many large files as move at once are before it: it waits for its turn"
"""What a sub-task says that is RUNNING, and found itself large or gave its place to another one, until it is claimed again."""
WAIT_MAX_NS = 2 * 3_600_000_000_000
"""No pause before a next attempt is longer: what is due later was written when the clock was wrong."""

_BEFORE_ALL = -2  # below every number, and below NO_NUMBER
_LANES = {lane.value: lane for lane in ClaimLane}
_STATUSES = {status.value: status for status in SubTaskStatus}
_NO_CONDITION = Condition()
_number = itemgetter(0)

Standing = Mapping[str, Sequence[int]]
"""The dataflows with anything in each queue."""


class Ring:
    """Claims, and remembers where the last look at the ready tasks ended, so that with many of them all get their turn.

    Used by the writer's thread alone.
    """

    def __init__(self) -> None:
        self._after: dict[tuple[str, int], int] = {}
        self._first: dict[ClaimLane, int] = {}

    def claim(self, session: Session, demands: Sequence[Demand], owner: str, lease_until_ns: int) -> Claims:
        """Lease what the demands ask for, in one go: what is ready, who gets how much of it, and when to look again."""
        standing: dict[str, list[int]] = defaultdict(list)
        for queue, data_flow_number in session.rows("claims.queues"):
            standing[queue].append(data_flow_number)
        if self._after:  # dataflows come and go
            self._after = {place: task for place, task in self._after.items() if place[1] in standing.get(place[0], ())}
        tally = Tally()
        grants = [self._grant(session, demand, standing, owner, tally) for demand in demands]
        if any(rows for grant in grants for rows in grant.claimed):
            session.run("claims.promise", owner=owner, until_ns=lease_until_ns)
        tally.write(session)
        return Claims(grants=grants, next_due_ns=session.rows("claims.next_due", now_ns=session.now_ns)[0]["due_ns"])

    def _grant(self, session: Session, demand: Demand, standing: Standing, owner: str, tally: Tally) -> Grant:
        ready = self._ready(session, demand, standing)
        shares = demand.share(ready)
        claimed = [
            _claim(session, task_id, demand.lane, standing, owner=owner, limit=limit, tally=tally)
            for task_id, limit in shares
        ]
        return Grant(lane=demand.lane, ready=ready, shares=shares, claimed=claimed)

    def _ready(self, session: Session, demand: Demand, standing: Standing) -> list[str]:
        """Tasks with a sub-task due in that lane, at most `ready_max`, each once."""
        limit = demand.ready_max
        moving = [queue for queue in QUEUES[demand.lane] if queue != CLEAR]
        flows = sorted({flow for queue in moving for flow in standing.get(queue, ())})
        queues = [(queue, flow) for flow in flows for queue in moving if flow in standing.get(queue, ())]
        if queues:  # with more of them than `limit`, all get their turn
            first = self._first.get(demand.lane, 0) % len(queues)
            self._first[demand.lane] = first + limit
            queues = queues[first:] + queues[:first]
        if CLEAR in QUEUES[demand.lane]:
            queues = [(CLEAR, flow) for flow in standing.get(CLEAR, ())] + queues
        found: dict[int, None] = {}
        # Each queue gets its share; what some leave over goes to those that had more.
        for _ in range(2):
            hungry: list[tuple[str, int]] = []
            for queue, flow in queues:
                left = limit - len(found)
                if left <= 0:
                    break
                share = min(left, max(1, left // len(queues)))
                tasks = self._tasks(session, queue, flow, share)
                found |= dict.fromkeys(tasks)
                if len(tasks) == share:
                    hungry.append((queue, flow))
            queues = hungry
        return [identifiers.task_id(task) for task in found]

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


def _claim(
    session: Session, task_id: str, lane: ClaimLane, standing: Standing, *, owner: str, limit: int, tally: Tally
) -> list[Claimed]:
    """Lease what is due of one task, what is to be cleared first and the older before the newer."""
    task = session.row("claims.task", task_number=identifiers.task_number(task_id))
    if task is None:
        return []
    data_flow_number = task["data_flow_number"]
    claimed: list[Row] = []
    for queue in QUEUES[lane]:
        is_open = queue == CLEAR or task["working"]
        if is_open and len(claimed) < limit and data_flow_number in standing.get(queue, ()):
            answered = session.rows(
                "claims.claim",
                queue=queue,
                data_flow_number=data_flow_number,
                task_number=task["number"],
                now_ns=session.now_ns,
                limit=limit - len(claimed),
                owner=owner,
                waited=_WAITS_FOR_SOURCE,
                large=LARGE_WAITS,
            )
            claimed += sorted(answered, key=_number)
    made = _claimed(claimed, task)
    started = sum(one.sub_task.status is SubTaskStatus.RUNNING and one.sub_task.attempt == 1 for one in made)
    if started:
        tally.moved_on(data_flow_number, task["number"], SubTaskStatus.CREATED, SubTaskStatus.RUNNING, started)
    return made


def _claimed(answered: Sequence[Row], task: Row) -> list[Claimed]:
    """The rows of one task as values; taken apart and put together by position, for there may be many."""
    file_system_id, data_flow_id, task_id = task["file_system_id"], task["data_flow_id"], task["task_id"]
    path, storage = task["file_system_path"], task["source_storage"]
    action, policy = TaskAction(task["action"]), ConflictPolicy(task["conflict_policy"])
    made: list[Claimed] = []
    for (
        _, sub_task_id, source, target, status, attempt, condition_modify_ns, condition_size, bytes_total, bytes_done,
        actual_bytes, moving_ns, detail_modify_ns, detail_size, detail_checksum, error_code, error_message, created_ns,
        started_ns, ended_ns, lane, rival, checkpoint, tidy, failures, begun, canceled_ns,
    ) in answered:  # fmt: skip
        if condition_modify_ns is None and condition_size is None:
            condition = _NO_CONDITION
        else:
            condition = Condition(modify_time_ns=condition_modify_ns, size_bytes=condition_size)
        detail = None
        if detail_modify_ns is not None:
            detail = FileDetail(modify_time_ns=detail_modify_ns, size_bytes=detail_size, checksum=detail_checksum)
        held = Held(
            file_system_id, data_flow_id, task_id, sub_task_id, source, target, _STATUSES[status], attempt, condition,
            bytes_total, bytes_done, actual_bytes, moving_ns, detail, error_code, error_message, created_ns,
            started_ns or None, ended_ns or None,
        )  # fmt: skip
        made.append(
            Claimed(
                held, _LANES[lane], action, policy, path, storage, rival, checkpoint, bool(tidy), failures, bool(begun),
                canceled_ns,
            )
        )  # fmt: skip
    return made


def renew(session: Session, owner: str, lease_until_ns: int) -> None:
    """Everything that `owner` holds is leased until then. It is noted how late it is."""
    session.run("claims.promise", owner=owner, until_ns=lease_until_ns)
    session.run("openings.see", now_ns=session.now_ns)


def rescue(session: Session, now_ns: int, owner: str | None) -> int:
    """Void the leases that have ended before `now_ns`, or all of `owner`'s; how many sub-tasks that frees."""
    overdue = [owner] if owner is not None else [row["owner"] for row in session.rows("claims.overdue", now_ns=now_ns)]
    return _release(session, overdue)


def rescue_all(session: Session) -> int:
    """Void every lease; how many sub-tasks that frees. Nothing waits longer than it was asked to, should the clock have been put
    back meanwhile, and what is to be cleared not at all."""
    _follow_clock(session)
    if session.run("claims.hasten", latest_ns=session.now_ns + WAIT_MAX_NS, due_ns=session.now_ns):
        session.ring()
    return _release(session, [row["owner"] for row in session.rows("claims.owners")])


def _follow_clock(session: Session) -> None:
    """Where the clock was put back before this start, let all that waits for a moment be due so much earlier."""
    back_ns = session.rows("openings.last")[0]["seen_ns"] - session.now_ns
    if back_ns <= 0:
        return
    for statement in ("claims.put_back", "data_flows.put_back", "tasks.put_back"):
        if session.run(statement, back_ns=back_ns, now_ns=session.now_ns):
            session.ring()
    session.run("openings.see", now_ns=session.now_ns)


def _release(session: Session, owners: Sequence[str]) -> int:
    freed = 0
    for owner in owners:
        session.run(
            "claims.explain", owner=owner, error_code=FailureCode.STORE_UNAVAILABLE, error_message=_WAITS_FOR_SOURCE
        )
        rescued(session, owner)
        freed += session.run("claims.release", owner=owner)
        session.run("claims.end", owner=owner)
    if freed:
        session.ring()
    return freed


def wake(session: Session, bucket: str, limit: int) -> int:
    """Make due, at most `limit` at a time, what waits because this bucket had not answered or allowed it, also what ended and
    has left something there; how many."""
    woken = session.run(
        "claims.wake",
        bucket=bucket,
        now_ns=session.now_ns,
        limit=limit,
    )
    woken += _wake_left(session, Room(direction=Direction.EXPORT, name=bucket), limit - woken)
    if woken:
        session.ring()
    return woken


def wake_for_room(session: Session, room: Room, limit: int) -> int:
    """Make due, at most `limit` at a time, what waits because there was no room; how many. The task with what is due first comes
    first, and all get their share. Where that is less, also what ended and has left something in a file system that was away."""
    tasks = sorted(
        (row["due_ns"], row["data_flow_number"], row["task_number"])
        for row in _without_room(session, room)
        if row["due_ns"] is not None and _room_of(row) == room
    )
    woken = 0
    for passed, (_, data_flow_number, task_number) in enumerate(tasks):
        if woken == limit:
            break
        woken += session.run(
            "claims.wake_for_room",
            data_flow_number=data_flow_number,
            task_number=task_number,
            now_ns=session.now_ns,
            limit=math.ceil((limit - woken) / (len(tasks) - passed)),
        )
    if room.direction is Direction.IMPORT:
        woken += _wake_left(session, room, limit - woken)
    if woken:
        session.ring()
    return woken


def _wake_left(session: Session, place: Room, limit: int) -> int:
    """Make due, at most so many, what ended and has left something there; how many."""
    if limit <= 0:
        return 0
    is_import = place.direction is Direction.IMPORT
    stream, batch = (
        (TaskAction.STREAM_IMPORT, TaskAction.IMPORT) if is_import else (TaskAction.STREAM_EXPORT, TaskAction.EXPORT)
    )
    return session.run(
        "claims.wake_left",
        file_system_id=place.name if is_import else "",
        bucket="" if is_import else place.name,
        stream=stream,
        batch=batch,
        now_ns=session.now_ns,
        limit=limit,
    )


def without_room(session: Session) -> set[Room]:
    """Where something waits for room."""
    return {_room_of(row) for row in _without_room(session, None)}


def _without_room(session: Session, room: Room | None) -> Sequence[Row]:
    is_import = room is not None and room.direction is Direction.IMPORT
    return session.rows(
        "claims.without_room",
        file_system_id=room.name if room and is_import else "",
        bucket=room.name if room and not is_import else "",
        now_ns=session.now_ns,
    )


def _room_of(row: Row) -> Room:
    if row["action"] in {TaskAction.IMPORT, TaskAction.STREAM_IMPORT}:
        return Room(direction=Direction.IMPORT, name=row["file_system_id"])
    return Room(direction=Direction.EXPORT, name=row["bucket"])


def canceling(session: Session, owner: str) -> list[tuple[str, int]]:
    """What `owner` holds and should withdraw: (sub_task_id, attempt)."""
    return [(row["sub_task_id"], row["attempt"]) for row in session.rows("claims.canceling", owner=owner)]


def explain(session: Session, explanations: Sequence[Explanation]) -> None:
    """Say why these are not withdrawn yet; that they wait for their turn is true only until then."""
    for one in explanations:
        session.run(
            "claims.explain_cancel",
            number=identifiers.sub_task_number(one.sub_task_id),
            attempt=one.attempt,
            error_code=one.error_code,
            error_message=one.error_message,
            waiting=FailureCode.WAITING_FOR_TURN,
        )
