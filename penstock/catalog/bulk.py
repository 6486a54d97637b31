"""Many sub-tasks of one stream, made by one call: one transaction, one row of ids to remember, as few statements as can be.

What is remembered of a call is not its answer but what the answer is computed from: numbers that follow each other and
one chance make all ids. Calls `subtasks` for the rules that one sub-task has, too.
"""

from __future__ import annotations

from collections.abc import Sequence

from penstock.catalog import calls, dataflows, identifiers, subtasks
from penstock.catalog.database import Value
from penstock.catalog.session import Session
from penstock.catalog.verbs import Accepted, Call, NewSubTasks
from penstock.catalog.writer import Refused


def create(session: Session, call: Call, new: NewSubTasks, waiting_max: int) -> str | Refused:
    """Accept the files, or the first of them while there are places; what `recall` understands."""
    return calls.guarded(session, call, lambda: _accept(session, new, waiting_max), rehearsed=lambda result: result)


def recall(result: str) -> Accepted:
    """What a call's result says, when it is new and when it is remembered."""
    first, count, asked, chance, remark = result.split(" ", 4)
    return Accepted(
        sub_task_ids=identifiers.sub_task_ids(int(first), int(count), bytes.fromhex(chance)),
        asked=int(asked),
        remark=remark,
    )


def _accept(session: Session, new: NewSubTasks, waiting_max: int) -> str:
    count = _places(session, new, waiting_max)
    stopped_ns = subtasks.take(
        session, new.file_system_id, new.data_flow_id, new.task_id, count=count, waiting_max=waiting_max
    )
    first = session.next_numbers(count)
    chance = session.entropy(identifiers.CHANCE_BYTES)
    if count:
        _add(session, new, identifiers.sub_task_ids(first, count, chance), first=first, stopped_ns=stopped_ns)
        session.ring()
    return f"{first} {count} {len(new.files)} {chance.hex()} {new.remark}"


def _places(session: Session, new: NewSubTasks, waiting_max: int) -> int:
    """How many of the files have a place; all of them where none has one, for then `take` says why."""
    flow = dataflows.visible(session, new.file_system_id, new.data_flow_id)
    places = waiting_max - int(flow["waiting"])
    return min(places, len(new.files)) if places > 0 else len(new.files)


def _add(session: Session, new: NewSubTasks, sub_task_ids: Sequence[str], *, first: int, stopped_ns: int) -> None:
    """Write down the first `len(sub_task_ids)` files, each in line at its target."""
    files = new.files[: len(sub_task_ids)]
    standings = subtasks.standings_of(session, [file.target_name for file in files])
    data_flow_number = identifiers.data_flow_number(new.data_flow_id)
    task_number = identifiers.task_number(new.task_id)
    added: list[Sequence[Value]] = []
    for number, (sub_task_id, file, standing) in enumerate(
        zip(sub_task_ids, files, standings, strict=True), start=first
    ):
        added.append(
            subtasks.row_of(
                file,
                (number, sub_task_id, data_flow_number, task_number),
                standing,
                (session.now_ns, stopped_ns),
            )
        )
    session.add_tuples("sub_tasks.add", added)
