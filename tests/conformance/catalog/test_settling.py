"""What becomes of attempts: figures, fences, cancels that race with ends, progress, checkpoints, tidying."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.catalog.verbs import Claimed, ClaimLane, ProgressUpdate, Settlement, Settling
from penstock.errors import FencedError
from penstock.model import FileDetail, SubTaskStatus, TaskCounters
from tests.fixtures.ledger import SECOND_NS, Book, settlement

pytestmark = pytest.mark.anyio
DETAIL = FileDetail(modify_time_ns=1_700_000_000 * SECOND_NS, size_bytes=100, checksum="crc64:7")
FIGURES: dict[str, Any] = {"bytes_total": 100, "bytes_done": 100, "actual_bytes": 100, "moving_ns": 2 * SECOND_NS}


def progress(claimed: Claimed, done: int, *, total: int = 100, attempt: int = 0) -> ProgressUpdate:
    return ProgressUpdate(
        sub_task_id=claimed.sub_task.sub_task_id,
        attempt=attempt or claimed.sub_task.attempt,
        bytes_total=total,
        bytes_done=done,
        actual_bytes=done,
        moving_ns=done,
        detail=DETAIL,
    )


async def running(book: Book, name: str = "a") -> tuple[str, str, Claimed]:
    """(dataflow, task, what was claimed)."""
    flow = await book.flow()
    task = await book.stream(flow)
    await book.file(flow, task, name)
    return flow, task, await book.claim_one(task)


async def test_complete_keeps_figures_detail_and_what_held(book: Book) -> None:
    flow, task, claimed = await running(book)
    book.clock.pass_s(5)
    assert await book.settle(claimed, **FIGURES, detail=DETAIL, guarantee="atomic", note="crc64 compared")
    done = await book.sub_task(claimed.sub_task.sub_task_id)
    assert (done.status, done.progress, done.average_speed, done.ended_ns) == (
        SubTaskStatus.COMPLETE,
        10000,
        50,
        book.clock.ns,
    )
    assert (done.detail, done.guarantee, done.note, done.error_code) == (DETAIL, "atomic", "crc64 compared", "")
    assert await book.counters(flow, task) == TaskCounters(
        accepted=1, complete=1, moved=1, bytes_total=100, bytes_done=100, actual_bytes=100, moving_ns=2 * SECOND_NS
    )


async def test_a_skipped_one_is_done_and_nothing_moved(book: Book) -> None:
    flow, task, claimed = await running(book)
    assert await book.settle(claimed, skipped=True, bytes_total=100, detail=DETAIL)
    done = await book.sub_task(claimed.sub_task.sub_task_id)
    assert (done.progress, done.bytes_done, done.actual_bytes) == (10000, 100, 0)
    counters = await book.counters(flow, task)
    assert (counters.complete, counters.moved, counters.bytes_done, counters.actual_bytes) == (1, 0, 100, 0)


async def test_settling_twice_counts_once(book: Book) -> None:
    flow, task, claimed = await running(book)
    twice = [settlement(claimed, Settling.COMPLETE, **FIGURES)] * 2
    assert await book.catalog.settle(twice) == [claimed.sub_task.sub_task_id]
    assert await book.catalog.settle(twice) == []
    assert not await book.settle(claimed, Settling.FAILED)
    assert (await book.counters(flow, task)).complete == 1


async def test_another_attempt_changes_nothing(book: Book) -> None:
    flow, task, claimed = await running(book)
    sub_task = claimed.sub_task.sub_task_id
    await book.settle(claimed, Settling.RETURNED)
    again = await book.claim_one(task)
    before = await book.sub_task(sub_task)
    assert not await book.settle(claimed, Settling.FAILED)
    await book.catalog.record_progress([progress(claimed, 50)])
    with pytest.raises(FencedError):
        await book.catalog.checkpoint(sub_task, 1, "late")
    with pytest.raises(FencedError):
        await book.catalog.checkpoint(sub_task, 3, "early")
    await book.catalog.settle([Settlement(sub_task_id=sub_task, attempt=3, settling=Settling.COMPLETE)])
    await book.catalog.settle([Settlement(sub_task_id="nonsense", attempt=2, settling=Settling.COMPLETE)])
    assert await book.sub_task(sub_task) == before
    assert await book.settle(again, **FIGURES)
    assert (await book.counters(flow, task)).complete == 1


@pytest.mark.parametrize(
    ("settling", "after"),
    [
        (Settling.COMPLETE, SubTaskStatus.COMPLETE),
        (Settling.FAILED, SubTaskStatus.CANCELING),
        (Settling.CANCELED, SubTaskStatus.CANCELED),
        (Settling.RETRY, SubTaskStatus.CANCELING),
        (Settling.RETURNED, SubTaskStatus.CANCELING),
        (Settling.LARGE, SubTaskStatus.CANCELING),
    ],
)
async def test_how_an_attempt_ends_when_a_cancel_came_meanwhile(
    book: Book, settling: Settling, after: SubTaskStatus
) -> None:
    flow, task, claimed = await running(book)
    sub_task = claimed.sub_task.sub_task_id
    await book.cancel(flow, task, sub_task)
    assert await book.settle(claimed, settling, **FIGURES, error_code="StoreUnavailable", error_message="no answer")
    found = await book.sub_task(sub_task)
    assert found.status is after
    withdrawals = await book.claim(task)
    assert [row.sub_task.status for row in withdrawals] == ([after] if after is SubTaskStatus.CANCELING else [])
    if settling is Settling.RETRY:
        assert found.error_code == "StoreUnavailable"  # it says why it is not withdrawn yet
    elif after is SubTaskStatus.CANCELED:
        assert (found.error_code, found.error_message) == ("", "")


async def test_canceled_without_a_cancel_goes_again(book: Book) -> None:
    _, task, claimed = await running(book)
    assert await book.settle(claimed, Settling.CANCELED)
    assert (await book.claim_one(task)).failures == 0


async def test_failed_keeps_its_reason_and_the_last_figures(book: Book) -> None:
    flow, task, claimed = await running(book)
    await book.catalog.record_progress([progress(claimed, 60)])
    assert await book.settle(claimed, Settling.FAILED, error_code="SourceNotFound", error_message="gone: look again")
    found = await book.sub_task(claimed.sub_task.sub_task_id)
    assert (found.status, found.error_code, found.error_message) == (
        SubTaskStatus.FAILED,
        "SourceNotFound",
        "gone: look again",
    )
    assert (found.bytes_total, found.bytes_done, found.progress, found.detail) == (100, 60, 6000, DETAIL)
    counters = await book.counters(flow, task)
    assert (counters.failed, counters.bytes_total, counters.bytes_done) == (1, 100, 0)


async def test_progress_never_goes_back_within_an_attempt_and_may_begin_anew_in_the_next(book: Book) -> None:
    flow, task, claimed = await running(book)
    sub_task = claimed.sub_task.sub_task_id
    await book.catalog.record_progress([progress(claimed, 30), progress(claimed, 60)])
    await book.catalog.record_progress([progress(claimed, 40)])
    assert (await book.sub_task(sub_task)).bytes_done == 60
    assert (await book.counters(flow, task)).bytes_total == 100
    await book.settle(claimed, Settling.RETRY, due_ns=0)
    assert (await book.sub_task(sub_task)).bytes_done == 60
    again = await book.claim_one(task)
    assert again.sub_task.bytes_done == 60
    await book.catalog.record_progress([progress(again, 10, total=150)])
    found = await book.sub_task(sub_task)
    assert (found.bytes_done, found.bytes_total) == (10, 150)
    assert (await book.counters(flow, task)).bytes_total == 150


async def test_progress_of_what_is_not_running_is_dropped(book: Book) -> None:
    _, _, claimed = await running(book)
    await book.settle(claimed, **FIGURES)
    before = await book.sub_task(claimed.sub_task.sub_task_id)
    await book.catalog.record_progress([progress(claimed, 50), progress(claimed, 70, attempt=2)])
    await book.catalog.record_progress([])
    assert await book.sub_task(claimed.sub_task.sub_task_id) == before


async def test_a_checkpoint_is_there_for_the_next_attempt_also_after_a_restart(book: Book) -> None:
    _, task, claimed = await running(book)
    sub_task = claimed.sub_task.sub_task_id
    await book.catalog.checkpoint(sub_task, 1, "intent")
    await book.catalog.checkpoint(sub_task, 1, "upload")
    await book.reopen()
    await book.catalog.rescue_all()
    again = await book.claim_one(task)
    assert again.checkpoint == "upload"
    await book.settle(again, Settling.RETRY, checkpoint="newer")
    third = await book.claim_one(task)
    assert third.checkpoint == "newer"
    await book.settle(third, Settling.RETURNED)
    last = await book.claim_one(task)
    assert (last.checkpoint, last.failures) == ("newer", 1)
    await book.settle(last, **FIGURES)
    with pytest.raises(FencedError):
        await book.catalog.checkpoint(sub_task, last.sub_task.attempt, "too late")


@pytest.mark.parametrize("settling", [Settling.RETRY, Settling.WAITING, Settling.RETURNED, Settling.LARGE])
async def test_that_something_was_begun_is_never_forgotten(book: Book, settling: Settling) -> None:
    _, task, claimed = await running(book)
    assert not claimed.begun
    lane = ClaimLane.LARGE if settling is Settling.LARGE else ClaimLane.SMALL
    for begun, known in ((False, False), (True, True), (False, True)):
        await book.settle(claimed, settling, begun=begun)
        claimed = await book.claim_one(task, lane)
        assert claimed.begun is known


async def test_a_withdrawal_that_is_given_up_is_failed_and_says_why(book: Book) -> None:
    flow, task, claimed = await running(book)
    sub_task = claimed.sub_task.sub_task_id
    assert claimed.canceled_ns == 0
    book.clock.pass_s(5)
    await book.cancel(flow, task, sub_task)
    canceled_ns = book.clock.ns
    book.clock.pass_s(5)
    await book.settle(claimed, Settling.RETURNED)
    again = await book.claim_one(task)
    assert again.canceled_ns == canceled_ns
    words = {"error_code": "DeadlineExceeded", "error_message": "a.partial may be left"}
    assert await book.settle(again, Settling.ABANDONED, tidy=True, **words)
    ended = await book.sub_task(sub_task)
    assert (ended.status, ended.error_code, ended.error_message) == (SubTaskStatus.FAILED, *words.values())
    assert (await book.counters(flow, task)).failed == 1
    assert (await book.claim_one(task)).tidy


@pytest.mark.parametrize("cancels", [False, True])
async def test_of_what_nobody_has_told_the_end_it_may_have_begun(book: Book, cancels: bool) -> None:
    flow, task, claimed = await running(book)
    if cancels:
        await book.cancel(flow, task, claimed.sub_task.sub_task_id)
    await book.catalog.rescue_all()
    assert (await book.claim_one(task)).begun


async def test_a_checkpoint_is_kept_while_canceling(book: Book) -> None:
    flow, task, claimed = await running(book)
    await book.cancel(flow, task, claimed.sub_task.sub_task_id)
    await book.catalog.checkpoint(claimed.sub_task.sub_task_id, 1, "upload")
    await book.settle(claimed, Settling.RETRY)
    assert (await book.claim_one(task)).checkpoint == "upload"


async def test_a_failed_one_that_is_tidied_keeps_a_new_record_as_long_as_somebody_does_that(book: Book) -> None:
    """Before its upload is aborted it says so."""
    _, task, claimed = await running(book)
    sub_task = claimed.sub_task.sub_task_id
    await book.settle(claimed, Settling.FAILED, tidy=True, checkpoint="promised")
    with pytest.raises(FencedError):
        await book.catalog.checkpoint(sub_task, claimed.sub_task.attempt, "too late")
    tidying = await book.claim_one(task)
    await book.catalog.checkpoint(sub_task, tidying.sub_task.attempt, "to be aborted")
    await book.reopen()
    await book.catalog.rescue_all()
    assert (await book.claim_one(task)).checkpoint == "to be aborted"


async def test_a_failed_one_names_what_is_left_until_it_is_gone_and_is_not_forgotten_before(book: Book) -> None:
    """The record of its upload is kept as long."""
    _, task, claimed = await running(book)
    sub_task = claimed.sub_task.sub_task_id
    words = {"error_code": "DeadlineExceeded", "error_message": "late; left: an upload"}
    assert await book.settle(claimed, Settling.FAILED, tidy=True, checkpoint="upload", **words)
    failed = await book.sub_task(sub_task)
    assert (failed.status, failed.error_message) == (SubTaskStatus.FAILED, "late; left: an upload")
    looked = "late; left: an upload (no answer)"
    for told, shown, record in ((looked, looked, "upload"), ("", looked, "aborted")):
        tidying = await book.claim_one(task)
        assert (tidying.tidy, tidying.checkpoint, tidying.sub_task.status) == (True, record, SubTaskStatus.FAILED)
        due_ns = book.clock.ns + SECOND_NS
        again = {
            "due_ns": due_ns,
            "error_code": "StoreUnavailable",
            "error_message": told,
            "checkpoint": told and "aborted",
        }
        assert await book.settle(tidying, Settling.RETRY, **again)
        row = await book.sub_task(sub_task)
        assert (row.status, row.error_code, row.error_message) == (SubTaskStatus.FAILED, "DeadlineExceeded", shown)
        book.clock.pass_s(1)
    tidying = await book.claim_one(task)
    assert tidying.checkpoint == "aborted"
    assert await book.settle(tidying, Settling.TIDIED, error_message="late")
    row = await book.sub_task(sub_task)
    assert (row.status, row.error_message, row.ended_ns) == (SubTaskStatus.FAILED, "late", failed.ended_ns)
    assert await book.claim(task) == []


async def test_tidying_is_tried_until_it_is_done_and_changes_no_status(book: Book) -> None:
    flow, task, claimed = await running(book)
    sub_task = claimed.sub_task.sub_task_id
    await book.settle(claimed, **FIGURES, tidy=True)
    assert await book.catalog.doorbell.wait(60)
    done = await book.sub_task(sub_task)
    tidying = await book.claim_one(task)
    assert tidying.tidy
    due_ns = book.clock.ns + SECOND_NS
    assert await book.settle(tidying, Settling.RETRY, due_ns=due_ns, error_code="InputOutputError")
    assert await book.claim(task) == []
    book.clock.pass_s(1)
    tidying = await book.claim_one(task)
    assert await book.settle(tidying, Settling.TIDIED)
    assert await book.claim(task) == []
    after = await book.sub_task(sub_task)
    assert (after.status, after.ended_ns, after.error_code, after.bytes_done) == (
        done.status,
        done.ended_ns,
        "",
        100,
    )
    assert (await book.counters(flow, task)).complete == 1


async def test_a_batch_of_ends_is_counted_for_each_task(book: Book) -> None:
    flow = await book.flow()
    tasks = [await book.stream(flow) for _ in range(3)]
    for number in range(90):
        await book.file(flow, tasks[number % 3], f"{number}")
    claimed = [row for task in tasks for row in await book.claim(task)]
    endings = (Settling.COMPLETE, Settling.FAILED, Settling.RETRY)
    batch = [settlement(row, endings[place % 3], **FIGURES) for place, row in enumerate(claimed)]
    assert len(await book.catalog.settle(batch)) == 90
    for task in tasks:
        counters = await book.counters(flow, task)
        assert (counters.complete, counters.failed, counters.running) == (10, 10, 10)
        assert (counters.bytes_done, counters.bytes_total) == (1000, 3000)
