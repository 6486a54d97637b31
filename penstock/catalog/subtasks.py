"""The sub-task's verbs for callers of the API: create and cancel, each inside one transaction.

Creating is done for many callers at once: a handful of statements serve the whole group.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from penstock.catalog import calls, dataflows, identifiers, rows, tasks
from penstock.catalog.counting import Tally
from penstock.catalog.database import Row, Value
from penstock.catalog.doorbell import News
from penstock.catalog.happening import Incidents
from penstock.catalog.session import Session
from penstock.catalog.states import Noun, step
from penstock.catalog.verbs import Call, CallMode, NewFile, NewSubTask
from penstock.catalog.views import HappeningKind
from penstock.catalog.writer import Refused
from penstock.errors import (
    CatalogError,
    InvalidStateError,
    SubTaskNotFoundError,
    TokenMismatchError,
    TooManyWaitingError,
)
from penstock.model import STREAM_ACTIONS, SubTaskStatus, TaskStatus

_FIRST, _BEHIND = 1, 2

Standing = tuple[str, int, str]
"""Queue, turn and line of a sub-task at its target."""


class Creation(msgspec.Struct, frozen=True, kw_only=True):
    """One caller's wish."""

    call: Call
    new: NewSubTask
    waiting_max: int


def visible(session: Session, file_system_id: str, data_flow_id: str, task_id: str, sub_task_id: str) -> Row:
    """The sub-task's row. DataFlowNotFoundError, TaskNotFoundError, SubTaskNotFoundError."""
    flow = dataflows.visible(session, file_system_id, data_flow_id)
    task = tasks.visible(session, flow, task_id)
    row = session.row(
        "sub_tasks.visible",
        number=identifiers.sub_task_number(sub_task_id),
        sub_task_id=sub_task_id,
        task_number=task["number"],
        data_flow_number=flow["number"],
    )
    if row is None:
        raise SubTaskNotFoundError(f"task {task_id} has no sub-task {sub_task_id}")
    return row


def create(session: Session, creations: Sequence[Creation]) -> list[str | Refused]:
    """Make sub-tasks; their ids. For several: all or an error, and then each is to be tried alone."""
    if len(creations) == 1:
        (one,) = creations
        return [calls.guarded(session, one.call, lambda: _accept(session, [one])[0])]
    if any(creation.call.mode is CallMode.DRY_RUN for creation in creations):
        raise CatalogError("a dry run is done alone")
    nonces = [creation.call.nonce for creation in creations if creation.call.nonce]
    if nonces:
        calls.use_nonces(session, nonces)
    made = _accept(session, creations)
    tokens = [(c.call, made_id) for c, made_id in zip(creations, made, strict=True) if c.call.client_token]
    if tokens and not calls.claim_tokens(session, tokens):
        raise TokenMismatchError("one of these tokens is known")
    return list(made)


def _accept(session: Session, creations: Sequence[Creation]) -> list[str]:
    """Count the new ones at their parents, put them in line at their targets, write them down."""
    parents = {
        task: _parents(session, task, count, creations[0].waiting_max)
        for task, count in Counter(_task_of(creation) for creation in creations).items()
    }
    standings = standings_of(session, [creation.new.target_name for creation in creations])
    first = session.next_numbers(len(creations))
    # Chance is asked for once: asking lets go of the interpreter.
    chance = session.entropy(identifiers.CHANCE_BYTES * len(creations))
    made = identifiers.own_sub_task_ids(first, len(creations), chance)
    added: list[Sequence[Value]] = []
    for number, (creation, sub_task_id, standing) in enumerate(zip(creations, made, standings, strict=True), first):
        parent = parents[_task_of(creation)]
        who = (number, sub_task_id, parent.data_flow_number, parent.task_number)
        added.append(row_of(creation.new, who, standing, (session.now_ns, parent.stopped_ns)))
    session.add_tuples("sub_tasks.add", added)
    session.ring()
    return made


def _task_of(creation: Creation) -> tuple[str, str, str]:
    return creation.new.file_system_id, creation.new.data_flow_id, creation.new.task_id


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parents:
    data_flow_number: int
    task_number: int
    stopped_ns: int


def _parents(session: Session, task: tuple[str, str, str], count: int, waiting_max: int) -> _Parents:
    _, data_flow_id, task_id = task
    return _Parents(
        data_flow_number=identifiers.data_flow_number(data_flow_id),
        task_number=identifiers.task_number(task_id),
        stopped_ns=take(session, *task, count=count, waiting_max=waiting_max),
    )


def standings_of(session: Session, target_names: Sequence[str]) -> list[Standing]:
    """Where new files stand at their targets: who is the first there can be claimed, the others wait behind it."""
    lines = [rows.line(target_name) for target_name in target_names]
    taken = {line for (line,) in session.rows_in("sub_tasks.firsts", lines)}
    found: list[Standing] = []
    for line in lines:
        found.append(("", _BEHIND, line) if line in taken else ("small", _FIRST, line))
        taken.add(line)
    return found


def row_of(
    file: NewSubTask | NewFile,
    who: tuple[int, str, int, int],
    standing: Standing,
    times_ns: tuple[int, int],
) -> Sequence[Value]:
    """A row in the order in which `sub_tasks.add` names its values.

    `who`: number, id, dataflow, task; `times_ns`: now, the dataflow's time stopped.
    """
    condition = file.condition
    return (
        *who,
        *standing,
        file.source,
        rows.path_digest(file.source),
        file.target,
        rows.path_digest(file.target),
        file.rival,
        condition.modify_time_ns,
        condition.size_bytes,
        *times_ns,
    )


def take(
    session: Session, file_system_id: str, data_flow_id: str, task_id: str, *, count: int, waiting_max: int
) -> int:
    """Count new sub-tasks at their dataflow and task, both of which must be open; the time the dataflow was stopped."""
    data_flow_number = identifiers.data_flow_number(data_flow_id)
    taken = session.row(
        "data_flows.take_sub_tasks",
        number=data_flow_number,
        data_flow_id=data_flow_id,
        file_system_id=file_system_id,
        accepted=count,
        waiting_max=waiting_max,
    )
    if taken is None or not session.run(
        "tasks.take_sub_tasks",
        number=identifiers.task_number(task_id),
        task_id=task_id,
        data_flow_number=data_flow_number,
        accepted=count,
    ):
        raise _why_not(session, file_system_id, data_flow_id, task_id, waiting_max)
    return int(taken["stopped_ns"])


def _why_not(session: Session, file_system_id: str, data_flow_id: str, task_id: str, waiting_max: int) -> CatalogError:
    """The error that says why these parents take no more sub-tasks."""
    flow = dataflows.visible(session, file_system_id, data_flow_id)
    task = tasks.visible(session, flow, task_id)
    if flow["stopped_since_ns"]:
        return InvalidStateError(f"dataflow {data_flow_id} is {flow['status']}: sub-tasks need it Running")
    if task["action"] not in STREAM_ACTIONS:
        return InvalidStateError(f"task {task_id} is {task['action']}: only streams take sub-tasks")
    if task["status"] != TaskStatus.EXECUTING:
        return InvalidStateError(f"task {task_id} is {task['status']}: sub-tasks need it Executing")
    return TooManyWaitingError(f"dataflow {data_flow_id} has {waiting_max} sub-tasks waiting; come back later")


def cancel(session: Session, file_system_id: str, data_flow_id: str, task_id: str, sub_task_id: str) -> None:
    """End a waiting sub-task at once; have a running one withdrawn, or one that a power cut may have forgotten to be."""
    row = visible(session, file_system_id, data_flow_id, task_id, sub_task_id)
    tally, incidents = Tally(), Incidents()
    left = withdraw(session, row, tally)
    if left is None:
        raise InvalidStateError(f"sub-task {sub_task_id} is {row['status']}: it cannot be cancelled")
    step_up(session, left)
    if row["status"] == SubTaskStatus.RUNNING:  # of what had not started its end tells it
        incidents.note(row["number"], row["data_flow_number"], HappeningKind.CANCEL_ASKED, attempt=row["attempt"])
    tally.write(session)
    incidents.write(session)


def withdraw(session: Session, row: Row, tally: Tally) -> Sequence[str] | None:
    """The same of any sub-task: the target at which it stood first and stands no more; None where it cannot be cancelled."""
    number, parents = row["number"], (row["data_flow_number"], row["task_number"])
    if session.run("sub_tasks.drop", number=number, now_ns=session.now_ns):
        tally.moved_on(*parents, row["status"], step(Noun.SUB_TASK, "drop").after)
        return [row["line"]] if row["turn"] == _FIRST else []
    if session.run("sub_tasks.doubt", number=number, now_ns=session.now_ns):
        tally.moved_on(*parents, row["status"], step(Noun.SUB_TASK, "doubt").after)
        session.ring()
        return []
    if session.run("sub_tasks.cancel", number=number, now_ns=session.now_ns):
        tally.moved_on(*parents, SubTaskStatus.RUNNING, step(Noun.SUB_TASK, "cancel").after)
        session.ring(News.CANCELED if row["owner"] else News.WORK)
        return []
    return None


def step_up_behind(session: Session, numbers: Sequence[int]) -> None:
    """These sub-tasks are final: let those be claimed that stand next at their targets. Mostly nobody stands anywhere."""
    if session.rows("sub_tasks.any_behind"):
        step_up(session, [line for (line,) in session.rows_in("sub_tasks.lines", numbers)])


def step_up(session: Session, lines: Iterable[str]) -> None:
    """At each of these targets the first sub-task is final: let the next in line be claimed."""
    for row in session.rows_in("sub_tasks.behind", sorted(set(lines))):
        if session.run("sub_tasks.step_up", number=row["number"]):
            session.ring()
