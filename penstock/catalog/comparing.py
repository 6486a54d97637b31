"""What a Compare task finds, each step inside one transaction: how far it is, its differences, its counts.

So a comparison that is killed goes on behind what it has told, and tells nothing twice. Looks at nothing itself.
"""

from __future__ import annotations

from dataclasses import asdict

from penstock.catalog import batching, identifiers, reports, rows
from penstock.catalog.batchwork import Compared
from penstock.catalog.counting import count_for_task
from penstock.catalog.session import Session
from penstock.model import Checksums, Report


def add(session: Session, task_number: int, checksums: Checksums) -> None:
    """A Compare task was made."""
    session.run("comparisons.add", task_number=task_number, checksums=checksums.value)


def take(session: Session, task_id: str, new: Compared) -> bool:
    """Take what was compared next, and note how far that was; False where somebody was quicker, or the task ends."""
    number = identifiers.task_number(task_id)
    moved_on = session.row(
        "batches.seek", task_number=number, before=new.before, seek=new.seek, listed=int(new.is_last)
    )
    if moved_on is None:
        return False
    _count(session, number, new)
    lines = batching.lines_of(session, new.remarks)
    lines[Report.DIFFERENCES] += map(reports.line_of_difference, new.differences)
    row = session.row("comparisons.count", task_number=number, **asdict(new.found))
    if new.is_last and row is not None:
        lines[Report.SUMMARY] += reports.summary_of(rows.comparison(row))
    batching.add_lines(session, number, {report: of_kind for report, of_kind in lines.items() if of_kind})
    return True


def _count(session: Session, task_number: int, new: Compared) -> None:
    """In the task's own counters: what could not be compared is failed, all else complete, and nothing was moved."""
    found = new.found
    complete = found.same + found.differs + found.only_in_file_system + found.only_in_bucket + found.skipped
    session.run("tasks.list_more", number=task_number, accepted=complete + found.failed)
    count_for_task(
        session,
        task_number,
        complete=complete,
        failed=found.failed,
        bytes_total=new.bytes_total,
        bytes_done=new.bytes_done,
    )
