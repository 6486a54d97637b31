"""The dataflow's verbs, each inside one transaction. Statuses change by conditional statements only.

`delay_ns` is how long the change takes on purpose: 0 is at once, else the dataflow is in transition until `arrive`.
"""

from __future__ import annotations

from penstock.catalog import identifiers, refreshing, rows
from penstock.catalog.database import Row
from penstock.catalog.doorbell import News
from penstock.catalog.session import Session
from penstock.catalog.verbs import Changes, Health, NewDataFlow
from penstock.errors import (
    ConflictError,
    DataFlowNotFoundError,
    DependencyViolationError,
    FilesetInUseError,
    InvalidStateError,
    VersioningRequiredError,
)
from penstock.model import DataFlow, DataFlowStatus

SOURCE_UNREACHABLE = "SourceStorageUnreachable"
MB = 1_000_000


def visible(session: Session, file_system_id: str, data_flow_id: str) -> Row:
    """The dataflow's row. DataFlowNotFoundError, also when it is deleted."""
    row = session.row(
        "data_flows.visible",
        number=identifiers.data_flow_number(data_flow_id),
        data_flow_id=data_flow_id,
        file_system_id=file_system_id,
    )
    if row is None:
        raise DataFlowNotFoundError(f"file system {file_system_id} has no dataflow {data_flow_id}")
    return row


def create(session: Session, new: NewDataFlow, *, delay_ns: int) -> str:
    """Make a dataflow; its id. The parents' rows are counted first, so that writers wait for each other there."""
    number = session.next_number()
    flow = rows.new_data_flow(new, number)
    session.run("data_flows.greet_file_system", file_system_id=new.file_system_id)
    if not session.run(
        "data_flows.count_in_file_system", file_system_id=new.file_system_id, data_flows_max=new.data_flows_max
    ):
        raise DependencyViolationError(
            f"file system {new.file_system_id} has {new.data_flows_max} dataflows already; delete one first"
        )
    for other in session.rows("data_flows.of_file_system", file_system_id=new.file_system_id):
        if new.fset_id and other["fset_id"] == new.fset_id:
            raise FilesetInUseError(f"the fileset {new.fset_id} is bound to the dataflow {other['data_flow_id']}")
        if other["file_system_path"] == new.file_system_path and other["bucket"] != flow.bucket:
            raise ConflictError(
                f"{new.file_system_path} is bound to {other['source_storage']} by dataflow {other['data_flow_id']}"
            )
    session.run("data_flows.greet_bucket", bucket=flow.bucket)
    if not session.run("data_flows.count_in_bucket", bucket=flow.bucket, versioned=int(new.versioned)):
        raise VersioningRequiredError(
            f"bucket {flow.bucket} has a dataflow already; another one needs the bucket's versioning to be on"
        )
    session.run(
        "data_flows.add",
        number=number,
        data_flow_id=flow.data_flow_id,
        file_system_id=new.file_system_id,
        file_system_path=new.file_system_path,
        source_storage=new.source_storage,
        source_storage_path=new.source_storage_path,
        source_security_type=new.source_security_type,
        description=new.description,
        bucket=flow.bucket,
        fset_id=new.fset_id,
        now_ns=session.now_ns,
        due_ns=session.after(delay_ns),
        throughput=new.throughput,
        bandwidth=new.bandwidth,
    )
    if new.throughput or new.bandwidth:
        session.ring(News.BATCH)
    refreshing.begin(session, number, new.auto_refresh)
    session.ring()
    return flow.data_flow_id


def modify(session: Session, file_system_id: str, data_flow_id: str, changes: Changes, *, delay_ns: int) -> None:
    """Describe or limit it otherwise. While it is Updating no work starts."""
    row = visible(session, file_system_id, data_flow_id)
    due = {"due_ns": session.after(delay_ns)} if delay_ns > 0 else {}
    statement = "data_flows.modify_slowly" if due else "data_flows.modify"
    if not session.run(
        statement,
        number=row["number"],
        description=row["description"] if changes.description is None else changes.description,
        throughput=row["throughput"] if changes.throughput is None else changes.throughput,
        bandwidth=row["bandwidth"] if changes.bandwidth is None else changes.bandwidth,
        now_ns=session.now_ns,
        **due,
    ):
        raise _not_now(row, DataFlowStatus.UPDATING)
    session.ring(News.BATCH)


def rates(session: Session) -> dict[str, int]:
    """How many bytes a second dataflows may move, where that is bounded."""
    return {
        row["data_flow_id"]: min(limit for limit in (row["throughput"], row["bandwidth"]) if limit) * MB
        for row in session.rows("data_flows.limited")
    }


def start(session: Session, file_system_id: str, data_flow_id: str, *, delay_ns: int) -> None:
    """Let work start again."""
    row = visible(session, file_system_id, data_flow_id)
    due = {"due_ns": session.after(delay_ns)} if delay_ns > 0 else {}
    statement = "data_flows.start_slowly" if due else "data_flows.start"
    if not session.run(statement, number=row["number"], now_ns=session.now_ns, **due):
        raise _not_now(row, DataFlowStatus.STARTING)
    session.ring()


def stop(session: Session, file_system_id: str, data_flow_id: str, *, delay_ns: int) -> None:
    """Let no new work start, from now on; what runs goes on."""
    row = visible(session, file_system_id, data_flow_id)
    due_ns = session.after(delay_ns)
    if not session.run("data_flows.stop", number=row["number"], now_ns=session.now_ns, due_ns=due_ns):
        raise _not_now(row, DataFlowStatus.STOPPING)


def delete(session: Session, file_system_id: str, data_flow_id: str, *, delay_ns: int) -> None:
    """Take it and its history out of sight, if no task of it is live. While it is Deleting it keeps its place."""
    row = visible(session, file_system_id, data_flow_id)
    due_ns = session.after(delay_ns)
    if not session.run("data_flows.delete", number=row["number"], now_ns=session.now_ns, due_ns=due_ns):
        if row["live_tasks"]:
            raise DependencyViolationError(
                f"dataflow {data_flow_id} has {row['live_tasks']} live tasks; cancel them first"
            )
        raise _not_now(row, DataFlowStatus.DELETING)
    if not due_ns:
        _leave(session, row)


def arrive(session: Session, row: Row) -> None:
    """End the transition of a dataflow (its number, file system and bucket): it becomes what it was asked to be."""
    named = {"number": row["number"], "now_ns": session.now_ns}
    if session.run("data_flows.become_deleted", **named):
        _leave(session, row)
        return
    for statement in (
        "data_flows.become_misconfigured",  # before the next one, which asks less
        "data_flows.become_running",
        "data_flows.become_stopped",
    ):
        if session.run(statement, **named):
            break
    session.ring()


def _leave(session: Session, row: Row) -> None:
    """It is gone: give its places back."""
    session.run("data_flows.leave_file_system", file_system_id=row["file_system_id"])
    session.run("data_flows.leave_bucket", bucket=row["bucket"])
    session.run("refreshes.forget", data_flow_number=row["number"])


def set_health(session: Session, data_flow_id: str, health: Health) -> None:
    """Note what the keeper found. Changes nothing where that is known already, or the dataflow is stopped or gone."""
    number = identifiers.data_flow_number(data_flow_id)
    if health is Health.UNREACHABLE:
        session.run("data_flows.lose_source", number=number, now_ns=session.now_ns, error_message=SOURCE_UNREACHABLE)
    elif session.run("data_flows.find_source", number=number, now_ns=session.now_ns):
        session.ring()


def watched(session: Session) -> list[DataFlow]:
    """The dataflows whose buckets are to be looked at."""
    return [rows.data_flow(row) for row in session.rows("data_flows.watched")]


def _not_now(row: Row, under_way: DataFlowStatus) -> ConflictError | InvalidStateError:
    """Why it cannot be changed so: the same change, `under_way`, has not ended, or its status is another one."""
    if row["status"] == under_way:
        return ConflictError(f"dataflow {row['data_flow_id']} is {under_way} already: wait until that has ended")
    return InvalidStateError(f"dataflow {row['data_flow_id']} is {row['status']}: its status does not allow this")
