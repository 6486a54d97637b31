"""The task's verbs, each inside one transaction."""

from __future__ import annotations

from penstock.catalog import dataflows, identifiers, placing
from penstock.catalog.database import Row
from penstock.catalog.doorbell import News
from penstock.catalog.session import Session
from penstock.catalog.verbs import NewTask
from penstock.errors import ConflictError, DependencyViolationError, InvalidStateError, TaskNotFoundError
from penstock.model import STREAM_ACTIONS, SubTaskStatus, TaskStatus

ORIGINATOR = "User"


def visible(session: Session, flow: Row, task_id: str) -> Row:
    """The task's row. TaskNotFoundError."""
    row = session.row(
        "tasks.visible",
        number=identifiers.task_number(task_id),
        task_id=task_id,
        data_flow_number=flow["number"],
    )
    if row is None:
        raise TaskNotFoundError(f"dataflow {flow['data_flow_id']} has no task {task_id}")
    return row


def create(session: Session, new: NewTask, *, delay_ns: int) -> str:
    """Open a stream, which is Pending while a delay lasts (or queue a batch task); its id."""
    flow = dataflows.visible(session, new.file_system_id, new.data_flow_id)
    if not session.run("data_flows.take_task", number=flow["number"]):
        raise InvalidStateError(f"dataflow {new.data_flow_id} is {flow['status']}: tasks need it Running")
    number = session.next_number()
    task_id = identifiers.task_id(number)
    is_stream = new.action in STREAM_ACTIONS
    session.run(
        "tasks.open" if is_stream else "tasks.queue",
        number=number,
        task_id=task_id,
        data_flow_number=flow["number"],
        action=new.action,
        data_type=new.data_type,
        conflict_policy=new.conflict_policy,
        directory=new.directory,
        target_directory=new.target_directory,
        create_dir_if_not_exist=int(new.create_dir_if_not_exist),
        originator=ORIGINATOR,
        now_ns=session.now_ns,
        **({"due_ns": session.after(delay_ns)} if is_stream else {}),
    )
    if not is_stream:
        placing.add(session, number, flow["number"], new.selection)
    return task_id


def cancel(session: Session, file_system_id: str, data_flow_id: str, task_id: str) -> None:
    """End a stream that has no live sub-task, or a batch, which takes a while once it has begun."""
    flow = dataflows.visible(session, file_system_id, data_flow_id)
    row = visible(session, flow, task_id)
    if session.run("tasks.withdraw", number=row["number"]):
        session.ring(News.BATCH)
        return
    if not session.run("tasks.cancel", number=row["number"], now_ns=session.now_ns):
        live = row["created"] + row["running"] + row["canceling"]
        if live and row["action"] in STREAM_ACTIONS:
            raise DependencyViolationError(f"task {task_id} has {live} live sub-tasks; cancel or await them first")
        if row["status"] == TaskStatus.CANCELING:
            raise ConflictError(f"task {task_id} is {row['status']} already: wait until that has ended")
        raise InvalidStateError(f"task {task_id} is {row['status']}: it cannot be cancelled")
    placing.leave(session, row["number"])
    session.run("data_flows.leave_task", number=flow["number"])


def oldest_waiting_ns(session: Session) -> int:
    """When the oldest one was created that could be moved; a seek for each dataflow that is Running. A number is its time."""
    return int(session.rows("sub_tasks.oldest_waiting_of_all")[0]["number"] or 0)


def live_sub_tasks(session: Session) -> dict[str, int]:
    """Sub-tasks that are not final, by status: sums of the tasks' counters."""
    row = session.rows("tasks.live_sub_tasks")[0]
    live = (SubTaskStatus.CREATED, SubTaskStatus.RUNNING, SubTaskStatus.CANCELING)
    return {status.value: int(row[status.value.lower()] or 0) for status in live}
