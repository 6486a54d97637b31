"""What time does: who expires when, and is old history removed, little by little, and nothing else?"""

from __future__ import annotations

import pytest

from penstock.catalog.verbs import Health, Settling, SubTaskQuery
from penstock.errors import InvalidStateError
from penstock.model import SubTaskStatus
from tests.fixtures.ledger import FS, SECOND_NS, Book

pytestmark = pytest.mark.anyio


async def expire(book: Book, seconds: float, *, limit: int = 100) -> int:
    """Expire what has waited longer than that."""
    return await book.catalog.expire(older_than_ns=book.clock.ns - int(seconds * SECOND_NS), limit=limit)


async def prune(book: Book, *, limit: int = 100) -> int:
    """Forget what ended before now."""
    return await book.catalog.prune(
        sub_tasks_before_ns=book.clock.ns, tokens_before_ns=0, nonces_before_ns=0, limit=limit
    )


@pytest.mark.rule("SUB-14")
async def test_what_waits_too_long_expires_and_what_has_started_does_not(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    started, old = await book.file(flow, task, "started"), await book.file(flow, task, "old")
    claimed = await book.claim_one(task)
    await book.settle(claimed, Settling.RETRY)
    book.clock.pass_s(60)
    young = await book.file(flow, task, "young")
    book.clock.pass_s(50)
    assert await expire(book, 110) == 0
    assert await expire(book, 100) == 1
    found = await book.sub_task(old)
    assert (found.status, found.ended_ns, found.started_ns) == (SubTaskStatus.EXPIRED, book.clock.ns, None)
    assert await book.status(started) is SubTaskStatus.RUNNING
    assert await book.status(young) is SubTaskStatus.CREATED
    assert (await book.counters(flow, task)).expired == 1
    with pytest.raises(InvalidStateError, match="EXPIRED"):
        await book.cancel(flow, task, old)
    assert [row.sub_task.sub_task_id for row in await book.claim(task)] == [started, young]


@pytest.mark.rule("SUB-14")
async def test_the_clock_stands_still_while_the_dataflow_does_not_run(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    await book.file(flow, task, "a")
    book.clock.pass_s(10)
    await book.catalog.stop_data_flow(book.call(), FS, flow)
    book.clock.pass_s(1000)
    assert await expire(book, 20) == 0
    await book.catalog.start_data_flow(book.call(), FS, flow)
    book.clock.pass_s(5)
    await book.catalog.set_health(flow, health=Health.UNREACHABLE)
    book.clock.pass_s(1000)
    await book.catalog.stop_data_flow(book.call(), FS, flow)  # from Misconfigured: one long pause
    book.clock.pass_s(1000)
    await book.catalog.start_data_flow(book.call(), FS, flow)
    await book.file(flow, task, "b")  # knows nothing of the pauses before it
    book.clock.pass_s(5)
    assert await expire(book, 20) == 0
    book.clock.pass_s(1)
    assert await expire(book, 20) == 1
    book.clock.pass_s(14)
    assert await expire(book, 20) == 0
    book.clock.pass_s(1)
    assert await expire(book, 20) == 1


async def test_expiry_goes_in_batches_and_lets_the_next_at_a_target_step_up(book: Book) -> None:
    flow, other = await book.flow("/1/", "1"), await book.flow("/2/", "2")
    task, foreign = await book.stream(flow), await book.stream(other)
    for number in range(5):
        await book.file(flow, task, f"{number}", target_name=f"{number % 2}")
    book.clock.pass_s(100)
    heirs = [await book.file(other, foreign, f"heir{number}", target_name=f"{number}") for number in range(2)]
    assert await book.claim(foreign) == []
    assert [await expire(book, 50, limit=2) for _ in range(4)] == [2, 2, 1, 0]
    assert [row.sub_task.sub_task_id for row in await book.claim(foreign)] == heirs


@pytest.mark.rule("SUB-17")
async def test_old_history_goes_in_small_batches_and_nothing_live_does(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    for number in range(10):
        await book.file(flow, task, f"{number}")
    claimed = await book.claim(task, limit=9)
    for row in claimed[:7]:
        await book.settle(row, Settling.FAILED)
    await book.settle(claimed[7], tidy=True)
    before = await book.counters(flow, task)
    book.clock.pass_s(1)
    assert [await prune(book, limit=3) for _ in range(4)] == [3, 3, 1, 0]
    left = (await book.catalog.sub_tasks(SubTaskQuery(file_system_id=FS), next_token="", limit=100)).items
    assert [row.status for row in left] == [SubTaskStatus.CREATED, SubTaskStatus.RUNNING, SubTaskStatus.COMPLETE]
    assert await book.counters(flow, task) == before  # what has been counted stays counted
    await book.settle(await book.claim_one(task), Settling.TIDIED)
    assert await prune(book) == 1


async def test_what_ended_lately_is_kept(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    await book.file(flow, task)
    book.clock.pass_s(100)
    await book.settle(await book.claim_one(task), Settling.FAILED)
    assert await prune(book) == 0
    book.clock.pass_s(1)
    assert await prune(book) == 1


async def test_a_deleted_dataflow_is_removed_wholly_but_not_before_it_is_tidy(book: Book) -> None:
    flow, other = await book.flow("/1/", "1"), await book.flow("/2/", "2")
    task, foreign = await book.stream(flow), await book.stream(other)
    await book.file(other, foreign, "stays")
    for number in range(5):
        await book.file(flow, task, f"{number}")
    claimed = await book.claim(task)
    for row in claimed:
        await book.settle(row, tidy=row is claimed[0])
    await book.catalog.cancel_task(book.call(), FS, flow, task)
    await book.catalog.delete_data_flow(book.call(), FS, flow)
    assert [await prune(book, limit=3) for _ in range(3)] == [3, 1, 0]
    await book.settle(await book.claim_one(task), Settling.TIDIED)
    assert await prune(book, limit=1) == 1  # the sub-task, then the task, then the dataflow
    assert await prune(book, limit=1) == 1
    assert await prune(book, limit=1) == 1
    assert await prune(book, limit=1) == 0
    await book.flow("/1/", "another")
