"""The files of a batch task, each step inside one transaction: what was listed, what became of it, and its withdrawal.

Files of a batch are sub-tasks as those of streams are, claimed and settled in the same way. Once they are final they become
lines of its reports, and their rows go: in one transaction, so that each stands in exactly one report, whenever we are killed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from penstock.catalog import identifiers, known, reports, subtasks
from penstock.catalog.batchwork import Batch, BatchFile, Ended, Feed, Remark, Segment, Selection
from penstock.catalog.counting import Tally
from penstock.catalog.database import Row, Value
from penstock.catalog.reports import Line
from penstock.catalog.session import Session
from penstock.model import Checksums, Report, TaskAction, TaskStatus

_KEY_BYTES = 32


def placed(session: Session) -> list[Batch]:
    """The batches that have a place."""
    return [_batch(row) for row in session.rows("batches.placed")]


def _batch(row: Row) -> Batch:
    live = row["created"] + row["running"] + row["canceling"]
    return Batch(
        task_id=row["task_id"],
        file_system_id=row["file_system_id"],
        action=TaskAction(row["action"]),
        status=TaskStatus(row["status"]),
        error_message=row["error_message"],
        directory=row["directory"],
        target_directory=row["target_directory"],
        create_dir_if_not_exist=bool(row["create_dir_if_not_exist"]),
        file_system_path=row["file_system_path"],
        source_storage=row["source_storage"],
        source_storage_path=row["source_storage_path"],
        is_working=bool(row["working"]),
        is_refresh=bool(row["refresh"]),
        seek=row["seek"],
        is_listed=bool(row["listed"]),
        trouble_code=row["trouble_code"],
        waiting=row["created"],
        live=live,
        unreported=0 if row["action"] == TaskAction.COMPARE else row["accepted"] - live - row["reported"],
    )


def selection(session: Session, task_id: str) -> Selection:
    """What a batch was asked to move."""
    row = session.row("batches.selection", task_number=identifiers.task_number(task_id))
    return selection_of(row) if row is not None else Selection()


def selection_of(row: Row) -> Selection:
    """The same out of its row."""
    return Selection(
        entry_list=row["entry_list"],
        includes=row["includes"],
        file_list_path=row["file_list_path"],
        checksums=Checksums(row["checksums"]) if row["checksums"] else None,
    )


# ------------------------------------------------------------------------------------------------------------- listing


def feed(session: Session, task_id: str, new: Feed) -> bool:
    """Take what was listed, and note how far that was; False where somebody was quicker, or the batch ends."""
    number = identifiers.task_number(task_id)
    listed = int(new.is_last)
    moved_on = session.row("batches.seek", task_number=number, before=new.before, seek=new.seek, listed=listed)
    if moved_on is None:
        return False
    take(session, number, moved_on["data_flow_number"], new.files, new.remarks)
    return True


def take(
    session: Session, number: int, flow_number: int, files: Sequence[BatchFile], remarks: Sequence[Remark]
) -> None:
    """Have a batch move these files, and say this of the others."""
    accepted = len(files) + len(remarks)
    session.run("tasks.list_more", number=number, accepted=accepted)
    session.run("data_flows.list_more", number=flow_number, accepted=accepted)
    tally = Tally()
    tally.add(
        flow_number,
        number,
        created=len(files),
        complete=sum(remark.report is Report.SKIPPED for remark in remarks),
        failed=sum(remark.report is Report.FAILED for remark in remarks),
        bytes_total=sum(file.size_bytes for file in files) + sum(remark.size_bytes for remark in remarks),
        bytes_done=sum(remark.size_bytes for remark in remarks if remark.report is Report.SKIPPED),
    )
    tally.write(session)
    if files:
        _add_files(session, number, flow_number, files)
        session.ring()
    add_lines(session, number, lines_of(session, remarks))


def _add_files(session: Session, task_number: int, flow_number: int, files: Sequence[BatchFile]) -> None:
    standings = subtasks.standings_of(session, [file.target_name for file in files])
    first = session.next_numbers(len(files))
    ids = identifiers.sub_task_ids(first, len(files), session.entropy(identifiers.CHANCE_BYTES))
    parents = (flow_number, task_number)
    session.add_tuples(
        "batches.add_files",
        [
            (number, sub_task_id, *parents, *standing, file.source, file.target, session.now_ns, file.size_bytes)
            for number, (sub_task_id, file, standing) in enumerate(zip(ids, files, standings, strict=True), first)
        ],
    )


def give_up_listing(session: Session, task_id: str, code: str, message: str) -> None:
    """Its source cannot be listed any further: what was listed is moved, then it is Failed."""
    number = identifiers.task_number(task_id)
    if session.run("batches.give_up_listing", task_number=number, trouble_code=code):
        session.run("tasks.explain", number=number, error_message=f"{code}: {message}")


def explain(session: Session, task_id: str, words: str) -> None:
    """Say what it waits for; "" where it goes on."""
    session.run("tasks.explain", number=identifiers.task_number(task_id), error_message=words)


# ------------------------------------------------------------------------------------------------------------- reports


def report(session: Session, task_id: str, limit: int) -> int:
    """Write at most `limit` final files into the reports, and remove their rows; how many."""
    number = identifiers.task_number(task_id)
    ended = sorted(Ended(*row) for row in session.rows("batches.ended", task_number=number, limit=limit))
    if not ended:
        return 0
    lines: dict[Report, list[Line]] = defaultdict(list)
    for one in ended:
        kind = reports.report_of(one)
        lines[kind].append(reports.line_of(one, kind))
    add_lines(session, number, lines)
    failed = [one.source for one in ended if reports.report_of(one) is Report.FAILED]
    if failed:
        known.forget(session, number, failed)
    gone = [one.number for one in ended if not one.tidy and not one.owner]
    session.run_in("happenings.forget", gone)
    session.run_in("sub_tasks.forget", gone)
    session.run_in("batches.reported", [one.number for one in ended if one.tidy or one.owner])
    session.run("data_flows.keep_number", number=session.last_number)
    return len(ended)


def lines_of(session: Session, remarks: Sequence[Remark]) -> dict[Report, list[Line]]:
    """What was listed and is not moved, as lines of its reports."""
    lines: dict[Report, list[Line]] = defaultdict(list)
    for remark in remarks:
        lines[remark.report].append(reports.line_of_remark(remark, session.now_ns))
    return lines


def add_lines(session: Session, task_number: int, lines: Mapping[Report, Sequence[Line]]) -> None:
    """Write these lines into the batch's reports."""
    if not lines:
        return
    segments: list[Sequence[Value]] = []
    for kind, of_kind in sorted(lines.items()):
        text = reports.written(of_kind)
        segments.append((session.next_number(), task_number, kind.value, len(text), reports.packed(text)))
    session.add_tuples("batches.add_segment", segments)
    counts = {kind: len(lines.get(kind, ())) for kind in Report}
    session.run(
        "batches.report",
        task_number=task_number,
        success=counts[Report.SUCCESS],
        skipped=counts[Report.SKIPPED],
        failed=counts[Report.FAILED],
    )


def report_size(session: Session, task_id: str, kind: Report) -> int | None:
    """How many bytes a report has, without its head; None where it has no line (any more)."""
    number = identifiers.task_number(task_id)
    row = session.rows("batches.report_size", task_number=number, report=kind.value)[0]
    return int(row["size_bytes"]) if row["segments"] else None


def report_key(session: Session) -> str:
    """What links to reports are signed with; made where there is none yet."""
    for row in session.rows("batches.report_key"):
        return str(row["secret"])
    secret = session.entropy(_KEY_BYTES).hex()
    session.run("batches.keep_report_key", secret=secret)
    return secret


def segments(session: Session, task_id: str, kind: Report, after: int, limit: int) -> list[Segment]:
    """The next lines of a report, behind the segment with the number `after`."""
    number = identifiers.task_number(task_id)
    found = session.rows("batches.segments", task_number=number, report=kind.value, after=after, limit=limit)
    return [Segment(number=row["number"], lines=reports.unpacked(row["packed"])) for row in found]


# ----------------------------------------------------------------------------------------------------------------- end


def withdraw(session: Session, task_id: str, limit: int) -> int:
    """End at most `limit` files of a batch that was canceled: those that wait at once; how many were left to end."""
    tally = Tally()
    found = session.rows("batches.live", task_number=identifiers.task_number(task_id), limit=limit)
    lines: list[str] = []
    for row in found:
        lines += subtasks.withdraw(session, row, tally) or ()
    tally.write(session)
    subtasks.step_up(session, lines)
    return len(found)
