"""The looks of auto-refreshes at their buckets, each verb inside one transaction.

What a look finds to have changed is imported by a batch of its own, which the first such file makes. What was seen, and the files
that come of it, are written together: a look that is made again after a death finds what is left, and nothing twice.
"""

from __future__ import annotations

import json

from penstock.catalog import batching, identifiers, known
from penstock.catalog.database import Row
from penstock.catalog.doorbell import News
from penstock.catalog.known import Portion
from penstock.catalog.refreshwork import MINUTE_NS, Refresh, Seen
from penstock.catalog.session import Session
from penstock.model import ConflictPolicy, RefreshPolicy, TaskAction, TaskStatus

SYSTEM = "System"
"""As Originator: nobody made the task."""
_DATA_TYPE = "MetaAndData"
_LIVE = frozenset({TaskStatus.PENDING, TaskStatus.EXECUTING, TaskStatus.CANCELING})


def every(session: Session) -> list[Refresh]:
    """All auto-refreshes, whether something is to be done for them or not: there are few."""
    return [_refresh(row) for row in session.rows("refreshes.all")]


def _refresh(row: Row) -> Refresh:
    return Refresh(
        data_flow_id=row["data_flow_id"],
        file_system_id=row["file_system_id"],
        file_system_path=row["file_system_path"],
        source_storage=row["source_storage"],
        source_storage_path=row["source_storage_path"],
        policy=RefreshPolicy(row["policy"]),
        interval_ns=row["interval_minutes"] * MINUTE_NS,
        paths=json.loads(row["paths"]),
        due_ns=row["due_ns"],
        look_ns=row["look_ns"],
        waiting=row["waiting"],
        is_working=bool(row["working"]),
        has_manual=bool(row["manual"]),
    )


def begin_look(session: Session, data_flow_id: str) -> bool:
    """Begin a look; False where what the last one found is still under way: the next one is an interval later."""
    row = _row(session, data_flow_id)
    if row is None or row["look_ns"]:
        return False
    number = row["data_flow_number"]
    task = session.row("tasks.at", number=row["task_number"])
    if task is not None and task["status"] in _LIVE:
        due_ns = session.now_ns + row["interval_minutes"] * MINUTE_NS
        session.run("refreshes.miss_look", data_flow_number=number, due_ns=due_ns)
        return False
    return bool(session.run("refreshes.begin_look", data_flow_number=number, now_ns=session.now_ns))


def known_between(session: Session, data_flow_id: str, behind: str, until: str) -> list[Portion]:
    """What is known of objects between two keys."""
    return known.between(session, identifiers.data_flow_number(data_flow_id), behind, until)


def take(session: Session, data_flow_id: str, seen: Seen) -> bool:
    """Import what has changed, and know all that was seen; False where this look is not to go on."""
    row = _row(session, data_flow_id)
    if row is None or row["look_ns"] != seen.look_ns or seen.path not in json.loads(row["paths"]):
        return False
    number = row["data_flow_number"]
    if seen.files or seen.remarks:
        task_number = row["task_number"] or _open(session, row)
        task = session.row("tasks.at", number=task_number) if task_number else None
        if task is None or task["status"] != TaskStatus.EXECUTING:
            return False
        batching.take(session, task_number, number, seen.files, seen.remarks)
        session.ring(News.BATCH)
    known.replace(session, number, seen.behind, seen.until, seen.marks)
    return True


def _open(session: Session, row: Row) -> int:
    """A batch for what this look finds; 0 where the dataflow is not Running."""
    flow_number = row["data_flow_number"]
    if not session.run("data_flows.take_task", number=flow_number):
        return 0
    number = session.next_number()
    session.run(
        "tasks.queue",
        number=number,
        task_id=identifiers.task_id(number),
        data_flow_number=flow_number,
        action=TaskAction.IMPORT,
        data_type=_DATA_TYPE,
        conflict_policy=ConflictPolicy.KEEP_LATEST,
        directory="/",
        target_directory="/",
        create_dir_if_not_exist=1,
        originator=SYSTEM,
        now_ns=session.now_ns,
    )
    includes = "" if "/" in json.loads(row["paths"]) else row["paths"]
    session.run("batches.add_refresh", task_number=number, data_flow_number=flow_number)
    session.run(
        "batches.select",
        task_number=number,
        entry_list="",
        includes=includes,
        file_list_path="",
    )
    session.run("tasks.begin", number=number, now_ns=session.now_ns)
    session.run("refreshes.keep_task", data_flow_number=flow_number, look_ns=row["look_ns"], task_number=number)
    return number


def end_look(session: Session, data_flow_id: str, look_ns: int) -> bool:
    """All was looked at; whether that was in time. The next look is an interval after this one began, if that is not over."""
    row = _row(session, data_flow_id)
    if row is None or row["look_ns"] != look_ns:
        return True
    interval_ns = row["interval_minutes"] * MINUTE_NS
    passed = max(0, session.now_ns - look_ns) // interval_ns
    session.run(
        "refreshes.end_look",
        data_flow_number=row["data_flow_number"],
        look_ns=look_ns,
        due_ns=look_ns + (passed + 1) * interval_ns,
        late=int(passed > 0),
    )
    session.run("batches.end_listing", task_number=row["task_number"])
    session.ring(News.BATCH)
    return bool(passed == 0)


def _row(session: Session, data_flow_id: str) -> Row | None:
    return session.row("refreshes.at", data_flow_number=identifiers.data_flow_number(data_flow_id))
