"""What becomes of claimed sub-tasks: progress, checkpoints, and the end of an attempt.

An attempt may write as long as the lease is its own: `attempt` equal and an owner there. A settled attempt has no
owner, so settling twice, or after a rescue, changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from penstock.catalog import identifiers
from penstock.catalog.claims import LARGE_WAITS
from penstock.catalog.counting import Tally
from penstock.catalog.database import Row, Value
from penstock.catalog.happening import OF_SETTLING, Incidents
from penstock.catalog.session import Session
from penstock.catalog.states import ending
from penstock.catalog.subtasks import step_up_behind
from penstock.catalog.verbs import ClaimLane, ProgressUpdate, Settlement, Settling
from penstock.catalog.views import HappeningKind
from penstock.errors import CatalogUnavailableError, FailureCode, FencedError
from penstock.model import FINAL_SUB_TASK_STATUSES, FileDetail, SubTaskStatus

_LATER = frozenset({Settling.RETRY, Settling.WAITING})
Figures = tuple[int, int, int, int]
"""bytes_total, bytes_done, actual_bytes, moving_ns"""

_Detail = tuple[int | None, int | None, str]
"""Time, size and checksum of the source."""

_End = tuple[Settlement, Row, str]
"""A sub-task that becomes final: what is said of it, its row as `settling.held` answers it, the status after."""

_Known = Mapping[str, Row]
"""Rows as `settling.known` answers them, by id."""

_Step = tuple[int, int, str, str]
"""Dataflow, task, status before and after: those who share it are counted together, at one stroke."""

_TIDY_AGAIN = frozenset({*_LATER, Settling.RETURNED, Settling.LARGE})


def settle(session: Session, settlements: Sequence[Settlement]) -> list[str]:
    """End these attempts; the ids of those that were still theirs to end.

    FAILED while CANCELING ends nothing: the sub-task is claimed once more, to be withdrawn, for only that proves that nothing is
    left behind. CANCELED while RUNNING (nobody asked for it) leaves nothing behind, so the sub-task simply goes again.
    """
    held = _leased(session, "settling.held", [settlement.sub_task_id for settlement in settlements])
    partial = [settlement.sub_task_id for settlement in settlements if not _tells_all(settlement)]
    known = _leased(session, "settling.known", partial) if partial else {}
    tally, incidents = Tally(), Incidents()
    settled: list[str] = []
    ends: list[_End] = []
    for settlement in settlements:
        row = held.get(settlement.sub_task_id)
        if row is None:
            continue
        _, _, attempt, status, *_ = row
        if attempt != settlement.attempt:
            continue
        del held[settlement.sub_task_id]  # what is said of one attempt twice counts once
        after = ending(settlement.settling, status)
        if status in FINAL_SUB_TASK_STATUSES:
            _settle_tidying(session, settlement, row)
        elif after is None:
            _go_again(session, settlement, known[settlement.sub_task_id], tally)
        else:
            ends.append((settlement, row, after))
        kind = _befallen(settlement, status, after)
        if kind is not None:
            _note(incidents, settlement, row, kind)
        settled.append(settlement.sub_task_id)
    if ends:
        _end(session, ends, known, tally)
    tally.write(session)
    incidents.write(session)
    return settled


def _befallen(settlement: Settlement, before: str, after: str | None) -> HappeningKind | None:
    """What this end of an attempt is for people to know; None where all goes well, as nearly always."""
    if settlement.settling is Settling.COMPLETE:
        return None
    if before in FINAL_SUB_TASK_STATUSES:
        return HappeningKind.TIDY_LATER if settlement.settling in _LATER else None
    return HappeningKind.FAILED if after == SubTaskStatus.FAILED else OF_SETTLING.get(settlement.settling)


def _note(incidents: Incidents, settlement: Settlement, row: Row, kind: HappeningKind) -> None:
    incidents.note(
        row["number"],
        row["data_flow_number"],
        kind,
        attempt=settlement.attempt,
        code=settlement.error_code,
        message=settlement.error_message,
        due_ns=settlement.due_ns,
    )


def _tells_all(settlement: Settlement) -> bool:
    """Whether nothing of what was known before stays standing, as with nearly all."""
    return settlement.settling is Settling.COMPLETE and settlement.detail is not None


def _changed(expected: int, count: int) -> None:
    """What was read as held is held: the writer is alone, or has locked the rows. Anything else must not be taken for settled."""
    if count != expected:
        raise CatalogUnavailableError(f"{expected} sub-tasks were to be settled and {count} were still held")


def _leased(session: Session, statement: str, sub_task_ids: Sequence[str]) -> dict[str, Row]:
    """The leased ones among these, by id."""
    numbers = sorted(set(map(identifiers.sub_task_number, sub_task_ids)))
    return {row[0]: row for row in session.rows_in(statement, numbers)}


def _settle_tidying(session: Session, settlement: Settlement, row: Row) -> None:
    """A final row was claimed to be tidied. What cannot be tidied for good is let be. What a FAILED one says of it may change."""
    words = settlement.error_message if row["status"] == SubTaskStatus.FAILED else ""
    claim: dict[str, Value] = {
        "number": row["number"],
        "attempt": row["attempt"],
        "before": row["status"],
        "error_message": words,
    }
    if settlement.settling in _TIDY_AGAIN:
        session.ring()
        later: dict[str, Value] = {"due_ns": settlement.due_ns, "checkpoint": settlement.checkpoint}
        _changed(1, session.run("settling.tidy_later", **claim, **later))
    else:
        _changed(1, session.run("settling.tidied", **claim))


def _end(session: Session, ends: Sequence[_End], known: _Known, tally: Tally) -> None:
    """Make them final, all by one statement, count them, and let those step up that stood behind them."""
    sums: dict[_Step, list[int]] = {}
    changed = session.add_tuples("settling.end", [_final(end, known, sums) for end in ends], now_ns=session.now_ns)
    _changed(len(ends), changed)
    for (flow, task, before, after), (count, moved, bytes_more, bytes_done, actual_bytes, moving_ns) in sums.items():
        tally.moved_on(flow, task, before, after, count)
        tally.add(flow, task, moved=moved, bytes_total=bytes_more)
        tally.add(flow, task, bytes_done=bytes_done, actual_bytes=actual_bytes, moving_ns=moving_ns)
    if any(settlement.tidy for settlement, _, _ in ends):
        session.ring()
    step_up_behind(session, [row[1] for _, row, _ in ends])


def _final(end: _End, known: _Known, sums: dict[_Step, list[int]]) -> Sequence[Value]:
    """A row in the order in which `settling.end` names its values; counted among those that take the same step.

    Columns go by place and not by name, for there are thousands a second.
    """
    settlement, row, after = end
    sub_task_id, number, attempt, before, flow, task, bytes_before = row
    complete, canceled = after == SubTaskStatus.COMPLETE, after == SubTaskStatus.CANCELED
    figures = _of_settlement(settlement) if complete else _last_known(settlement, known[sub_task_id])
    bytes_total, bytes_done, actual_bytes, moving_ns = figures
    detail = settlement.detail
    if settlement.skipped:
        bytes_done, actual_bytes = bytes_total, 0
    step = (flow, task, before, after)
    counted = sums.get(step)
    if counted is None:
        counted = sums[step] = [0, 0, 0, 0, 0, 0]
    counted[0] += 1
    counted[2] += bytes_total - bytes_before
    if complete:
        counted[1] += not settlement.skipped
        counted[3] += bytes_done
        counted[4] += actual_bytes
        counted[5] += moving_ns
    return (
        number,
        attempt,
        before,
        after,
        int(settlement.tidy),
        bytes_total,
        bytes_done,
        actual_bytes,
        moving_ns,
        *(_kept_detail(known[sub_task_id]) if detail is None else _of_detail(detail)),
        "" if canceled else settlement.error_code,
        "" if canceled else settlement.error_message,
        settlement.guarantee,
        settlement.note,
        settlement.checkpoint,
        int(settlement.skipped),
    )


def _go_again(session: Session, settlement: Settlement, row: Row, tally: Tally) -> None:
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
    error_code, error_message = _why_it_waits(settlement, row, lane)
    bytes_total, bytes_done, actual_bytes, moving_ns = figures
    detail = settlement.detail
    modify_ns, size, checksum = _kept_detail(row) if detail is None else _of_detail(detail)
    changed = session.run(
        "settling.go_again",
        number=row["number"],
        attempt=row["attempt"],
        before=row["status"],
        queue=queue,
        lane=lane,
        due_ns=due_ns,
        failures=int(settlement.settling is Settling.RETRY),
        error_code=error_code,
        error_message=error_message,
        guarantee=settlement.guarantee or row["guarantee"],
        note=settlement.note or row["note"],
        checkpoint=settlement.checkpoint or row["checkpoint"],
        begun=int(settlement.begun or row["begun"]),
        bytes_total=bytes_total,
        bytes_done=bytes_done,
        actual_bytes=actual_bytes,
        moving_ns=moving_ns,
        detail_modify_ns=modify_ns,
        detail_size=size,
        detail_checksum=checksum,
    )
    _changed(1, changed)
    tally.add(row["data_flow_number"], row["task_number"], bytes_total=bytes_total - row["bytes_total"])
    session.ring()


def _why_it_waits(settlement: Settlement, row: Row, lane: ClaimLane) -> tuple[str, str]:
    """Code and sentence. What was said of an earlier try stays; a large file may wait for hours for its place."""
    if settlement.settling in _LATER:
        return settlement.error_code, settlement.error_message
    if lane is ClaimLane.LARGE and not row["error_message"] and row["status"] != SubTaskStatus.CANCELING:
        return FailureCode.WAITING_FOR_TURN, LARGE_WAITS
    return row["error_code"], row["error_message"]


def _of_settlement(settlement: Settlement | ProgressUpdate) -> Figures:
    return settlement.bytes_total, settlement.bytes_done, settlement.actual_bytes, settlement.moving_ns


def _last_known(settlement: Settlement, row: Row) -> Figures:
    """An attempt that got as far as the source's size speaks for itself; otherwise the last figures stay."""
    if settlement.bytes_total > 0:
        return _of_settlement(settlement)
    return row["bytes_total"], row["bytes_done"], row["actual_bytes"], row["moving_ns"]


def _of_detail(detail: FileDetail) -> _Detail:
    return detail.modify_time_ns, detail.size_bytes, detail.checksum


def _kept_detail(row: Row) -> _Detail:
    return row["detail_modify_ns"], row["detail_size"], row["detail_checksum"]


def record_progress(session: Session, updates: Sequence[ProgressUpdate]) -> None:
    """Note how far running attempts are; of several updates of one attempt the last counts. Never goes back."""
    held = _leased(session, "settling.known", [update.sub_task_id for update in updates])
    tally = Tally()
    for update in {(update.sub_task_id, update.attempt): update for update in updates}.values():
        row = held.get(update.sub_task_id)
        if row is None or row["attempt"] != update.attempt:
            continue
        never_back = row["progress_attempt"] == update.attempt
        changed = session.run(
            "settling.progress",
            number=row["number"],
            attempt=row["attempt"],
            bytes_total=update.bytes_total,
            bytes_done=max(update.bytes_done, row["bytes_done"]) if never_back else update.bytes_done,
            actual_bytes=max(update.actual_bytes, row["actual_bytes"]) if never_back else update.actual_bytes,
            moving_ns=max(update.moving_ns, row["moving_ns"]) if never_back else update.moving_ns,
            detail_modify_ns=update.detail.modify_time_ns,
            detail_size=update.detail.size_bytes,
            detail_checksum=update.detail.checksum,
        )
        if changed:
            flow, task = row["data_flow_number"], row["task_number"]
            tally.add(flow, task, bytes_total=update.bytes_total - row["bytes_total"])
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
