"""The places of batch tasks: at most four of a dataflow are under way, the others wait. Each verb inside one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from penstock.catalog import comparing, identifiers
from penstock.catalog.batchwork import Selection
from penstock.catalog.database import Row
from penstock.catalog.doorbell import News
from penstock.catalog.session import Session

PLACES = 4
"""So many batches of one dataflow are under way at once; the others wait."""


def add(session: Session, task_number: int, data_flow_number: int, selection: Selection) -> None:
    """A batch task was made: it waits for a place."""
    session.run("batches.add", task_number=task_number, data_flow_number=data_flow_number)
    session.run(
        "batches.select",
        task_number=task_number,
        entry_list=selection.entry_list,
        includes=selection.includes,
        file_list_path=selection.file_list_path,
    )
    if selection.checksums is not None:
        comparing.add(session, task_number, selection.checksums)
    session.ring(News.BATCH)


def leave(session: Session, task_number: int) -> None:
    """A batch task was canceled before it had begun."""
    session.run("batches.leave_place", task_number=task_number)


def begin(session: Session) -> int:
    """Give free places to those that have waited longest; how many got one."""
    begun = 0
    for row in _next(session):
        if session.run("tasks.begin", number=row["task_number"], now_ns=session.now_ns):
            session.run("batches.take_place", task_number=row["task_number"])
            begun += 1
        else:  # it has ended meanwhile
            leave(session, row["task_number"])
    return begun


def is_any_next(session: Session) -> bool:
    """Whether a batch waits and could have a place."""
    return bool(_ready(session))


def _next(session: Session) -> Iterable[Row]:
    """A waiting batch of each dataflow that has a place free, again and again until there is none."""
    while ready := _ready(session):
        yield from ready


def _ready(session: Session) -> Sequence[Row]:
    return [row for row in session.rows("batches.next") if row["task_number"] and row["placed"] < PLACES]


def end(session: Session, task_id: str, report_path: str) -> bool:
    """All is final and reported: Completed, Failed or Canceled. False where something is live still, or it has ended."""
    number = identifiers.task_number(task_id)
    row = session.row("batches.at", task_number=number)
    if row is None or not any(session.run(name, number=number, now_ns=session.now_ns) for name in _ends(row)):
        return False
    session.run("batches.keep_report_path", task_number=number, report_path=report_path)
    session.run("batches.leave_place", task_number=number)
    session.run("data_flows.leave_task", number=row["data_flow_number"])
    session.ring(News.BATCH)
    return True


def _ends(row: Row) -> Sequence[str]:
    """The statements of which one ends it: a cancel comes first."""
    return "tasks.withdrawn", "tasks.fail" if row["trouble_code"] else "tasks.complete"


def forget(session: Session, numbers: Sequence[int]) -> None:
    """Their tasks are removed."""
    session.run_in("batches.forget", numbers)
    session.run_in("batches.forget_selections", numbers)
    session.run_in("comparisons.forget", numbers)
