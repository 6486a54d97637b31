"""What becomes of claimed sub-tasks: progress, checkpoints, and the end of an attempt.

An attempt may write as long as the lease is its own: `attempt` equal and an owner there. A settled attempt has no
owner, so settling twice, or after a rescue, changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from penstock.catalog import identifiers
from penstock.catalog.counting import Tally
from penstock.catalog.database import Row, Value
from penstock.catalog.session import Session
from penstock.catalog.states import ending
from penstock.catalog.subtasks import step_up
from penstock.catalog.verbs import ClaimLane, ProgressUpdate, Settlement, Settling
from penstock.errors import FencedError
from penstock.model import FINAL_SUB_TASK_STATUSES, FileDetail, SubTaskStatus

_FIGURES = ("bytes_total", "bytes_done", "actual_bytes", "moving_ns")
_LATER = frozenset({Settling.RETRY, Settling.WAITING})
_TIDY_AGAIN = frozenset({*_LATER, Settling.RETURNED, Settling.LARGE})


def settle(session: Session, settlements: Sequence[Settlement]) -> list[str]:
    """End these attempts; the ids of those that were still theirs to end.

    FAILED while CANCELING ends CANCELED: a failed attempt leaves nothing behind, which is all that was left to do. CANCELED
    while RUNNING (nobody asked for it) leaves nothing behind either, so the sub-task simply goes again.
    """
    held = _held(session, [settlement.sub_task_id for settlement in settlements])
    tally = Tally()
    settled: list[str] = []
    lines: list[str] = []
    for settlement in settlements:
        row = held.get(settlement.sub_task_id)
        if row is None or row["attempt"] != settlement.attempt:
            continue
        del held[settlement.sub_task_id]  # what is said of one attempt twice counts once
        ended = _settle(session, settlement, row, tally)
        if ended is not None:
            settled.append(settlement.sub_task_id)
            lines += ended
    tally.write(session)
    if lines:
        step_up(session, lines)
    return settled


def _held(session: Session, sub_task_ids: Sequence[str]) -> dict[str, Row]:
    """The leased ones among these, by id."""
    numbers = sorted({identifiers.sub_task_number(sub_task_id) for sub_task_id in sub_task_ids})
    return {row["sub_task_id"]: row for row in session.rows_in("settling.held", numbers)}


def _settle(session: Session, settlement: Settlement, row: Row, tally: Tally) -> list[str] | None:
    """End one attempt; the lines at whose head a sub-task became final. None when the row has changed meanwhile."""
    if row["status"] in FINAL_SUB_TASK_STATUSES:
        return [] if _settle_tidying(session, settlement, row) else None
    after = ending(settlement.settling, row["status"])
    if after is None:
        return [] if _go_again(session, settlement, row, tally) else None
    return [row["line"]] if _end(session, settlement, row, after, tally) else None


def _settle_tidying(session: Session, settlement: Settlement, row: Row) -> bool:
    """A final row was claimed to be tidied. What cannot be tidied for good is let be."""
    claim: dict[str, Value] = {"number": row["number"], "attempt": row["attempt"], "before": row["status"]}
    if settlement.settling in _TIDY_AGAIN:
        session.ring()
        return bool(session.run("settling.tidy_later", **claim, due_ns=settlement.due_ns))
    return bool(session.run("settling.tidied", **claim))


def _end(session: Session, settlement: Settlement, row: Row, after: str, tally: Tally) -> bool:
    complete, canceled = after == SubTaskStatus.COMPLETE, after == SubTaskStatus.CANCELED
    figures = _of_settlement(settlement) if complete else _last_known(settlement, row)
    if settlement.skipped:
        figures |= {"bytes_done": figures["bytes_total"], "actual_bytes": 0}
    if not session.run(
        "settling.end",
        number=row["number"],
        attempt=row["attempt"],
        before=row["status"],
        after=after,
        now_ns=session.now_ns,
        tidy=int(settlement.tidy),
        error_code="" if canceled else settlement.error_code,
        error_message="" if canceled else settlement.error_message,
        guarantee=settlement.guarantee,
        note=settlement.note,
        checkpoint=settlement.checkpoint,
        **figures,
        **_detail(settlement.detail, row),
    ):
        return False
    if settlement.tidy:
        session.ring()
    flow, task = row["data_flow_number"], row["task_number"]
    tally.moved_on(flow, task, row["status"], after)
    tally.add(flow, task, "bytes_total", figures["bytes_total"] - row["bytes_total"])
    if complete:
        tally.add(flow, task, "moved", int(not settlement.skipped))
        for name in ("bytes_done", "actual_bytes", "moving_ns"):
            tally.add(flow, task, name, figures[name])
    return True


def _go_again(session: Session, settlement: Settlement, row: Row, tally: Tally) -> bool:
    """The attempt is over and the sub-task is not: it can be claimed again, at once or from `due_ns` on."""
    later = settlement.settling in _LATER
    lane = ClaimLane.LARGE if settlement.settling is Settling.LARGE else ClaimLane(row["lane"])
    figures = _last_known(settlement, row)
    if row["status"] == SubTaskStatus.CANCELING:
        queue, due_ns = "clear", settlement.due_ns if later else 0
    elif settlement.settling is Settling.LARGE:
        queue, due_ns = lane.value, session.now_ns  # behind those that found themselves large before
    else:
        queue, due_ns = f"{lane}-again", settlement.due_ns if later else 0
    if not session.run(
        "settling.go_again",
        number=row["number"],
        attempt=row["attempt"],
        before=row["status"],
        queue=queue,
        lane=lane,
        due_ns=due_ns,
        failures=int(settlement.settling is Settling.RETRY),
        error_code=settlement.error_code if later else row["error_code"],
        error_message=settlement.error_message if later else row["error_message"],
        guarantee=settlement.guarantee or row["guarantee"],
        note=settlement.note or row["note"],
        checkpoint=settlement.checkpoint or row["checkpoint"],
        **figures,
        **_detail(settlement.detail, row),
    ):
        return False
    tally.add(row["data_flow_number"], row["task_number"], "bytes_total", figures["bytes_total"] - row["bytes_total"])
    session.ring()
    return True


def _of_settlement(settlement: Settlement | ProgressUpdate) -> dict[str, int]:
    return {name: getattr(settlement, name) for name in _FIGURES}


def _last_known(settlement: Settlement, row: Row) -> dict[str, int]:
    """An attempt that got as far as the source's size speaks for itself; otherwise the last figures stay."""
    return _of_settlement(settlement) if settlement.bytes_total > 0 else {name: row[name] for name in _FIGURES}


def _detail(detail: FileDetail | None, row: Row) -> Mapping[str, Value]:
    if detail is None:
        return {name: row[name] for name in ("detail_modify_ns", "detail_size", "detail_checksum")}
    return {
        "detail_modify_ns": detail.modify_time_ns,
        "detail_size": detail.size_bytes,
        "detail_checksum": detail.checksum,
    }


def record_progress(session: Session, updates: Sequence[ProgressUpdate]) -> None:
    """Note how far running attempts are; of several updates of one attempt the last counts. Never goes back."""
    held = _held(session, [update.sub_task_id for update in updates])
    tally = Tally()
    for update in {(update.sub_task_id, update.attempt): update for update in updates}.values():
        row = held.get(update.sub_task_id)
        if row is None or row["attempt"] != update.attempt:
            continue
        figures = _of_settlement(update)
        if row["progress_attempt"] == update.attempt:
            figures |= {name: max(figures[name], row[name]) for name in _FIGURES if name != "bytes_total"}
        changed = session.run(
            "settling.progress",
            number=row["number"],
            attempt=row["attempt"],
            **figures,
            **_detail(update.detail, row),
        )
        if changed:
            flow, task = row["data_flow_number"], row["task_number"]
            tally.add(flow, task, "bytes_total", figures["bytes_total"] - row["bytes_total"])
    tally.write(session)


def checkpoint(session: Session, sub_task_id: str, attempt: int, record: str) -> None:
    """Keep the record of an unfinished upload. FencedError when the attempt has lost its sub-task."""
    if not session.run(
        "settling.checkpoint",
        number=identifiers.sub_task_number(sub_task_id),
        sub_task_id=sub_task_id,
        attempt=attempt,
        checkpoint=record,
    ):
        raise FencedError(f"attempt {attempt} no longer holds sub-task {sub_task_id}")
