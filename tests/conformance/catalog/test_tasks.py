"""Does a task keep its rules, and who wins when a cancel meets a create?"""

from __future__ import annotations

import asyncio

import pytest

from penstock.catalog.verbs import NewSubTask, Settling
from penstock.errors import (
    DataFlowNotFoundError,
    DependencyViolationError,
    InvalidStateError,
    SubTaskNotFoundError,
    TaskNotFoundError,
)
from penstock.model import TaskAction, TaskStatus
from tests.fixtures.ledger import FS, Book

pytestmark = pytest.mark.anyio


async def status(book: Book, flow: str, task: str) -> TaskStatus:
    return (await book.catalog.task(FS, flow, task)).status


async def test_a_stream_executes_when_its_id_is_answered_and_a_batch_waits(book: Book) -> None:
    flow = await book.flow("/data/", "bucket")
    stream = await book.catalog.task(FS, flow, await book.stream(flow))
    assert (stream.status, stream.source_storage, stream.file_system_path) == (
        TaskStatus.EXECUTING,
        "oss://bucket",
        "/data/",
    )
    assert stream.started_ns == stream.created_ns
    assert stream.ended_ns is None
    batch = await book.catalog.task(FS, flow, await book.stream(flow, TaskAction.EXPORT))
    assert (batch.status, batch.started_ns) == (TaskStatus.PENDING, None)


async def test_it_needs_a_running_dataflow(book: Book) -> None:
    flow = await book.flow()
    await book.catalog.stop_data_flow(book.call(), FS, flow)
    with pytest.raises(InvalidStateError, match="Stopped"):
        await book.stream(flow)
    with pytest.raises(DataFlowNotFoundError):
        await book.stream("df-0000000000000000")


async def test_cancel_waits_for_live_sub_tasks_and_works_once(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    await book.file(flow, task)
    for _ in range(2):  # CREATED, then RUNNING
        with pytest.raises(DependencyViolationError, match="1 live"):
            await book.catalog.cancel_task(book.call(), FS, flow, task)
        claimed = await book.claim(task)
    del claimed
    await book.catalog.rescue_all()
    again = await book.claim_one(task)
    await book.settle(again, Settling.FAILED, error_code="SourceNotFound")
    await book.catalog.cancel_task(book.call(), FS, flow, task)
    found = await book.catalog.task(FS, flow, task)
    assert (found.status, found.ended_ns) == (TaskStatus.CANCELED, book.clock.ns)
    with pytest.raises(InvalidStateError, match="Canceled"):
        await book.catalog.cancel_task(book.call(), FS, flow, task)


async def test_canceling_sub_tasks_count_as_live(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    sub_task = await book.file(flow, task)
    await book.claim_one(task)
    await book.cancel(flow, task, sub_task)
    with pytest.raises(DependencyViolationError):
        await book.catalog.cancel_task(book.call(), FS, flow, task)


async def test_a_pending_batch_can_be_cancelled(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow, TaskAction.IMPORT)
    await book.catalog.cancel_task(book.call(), FS, flow, task)
    assert await status(book, flow, task) is TaskStatus.CANCELED


async def test_sub_tasks_need_an_open_stream_of_a_running_dataflow(book: Book) -> None:
    flow = await book.flow()
    batch = await book.stream(flow, TaskAction.IMPORT)
    with pytest.raises(InvalidStateError, match="only streams"):
        await book.file(flow, batch)
    task = await book.stream(flow)
    await book.catalog.stop_data_flow(book.call(), FS, flow)
    with pytest.raises(InvalidStateError, match="Stopped"):
        await book.file(flow, task)
    await book.catalog.start_data_flow(book.call(), FS, flow)
    await book.catalog.cancel_task(book.call(), FS, flow, task)
    with pytest.raises(InvalidStateError, match="Canceled"):
        await book.file(flow, task)


async def test_ids_of_other_parents_are_not_found(book: Book) -> None:
    flow, other = await book.flow("/a/", "a"), await book.flow("/b/", "b")
    task, foreign = await book.stream(flow), await book.stream(other)
    sub_task = await book.file(flow, task)
    catalog = book.catalog
    with pytest.raises(TaskNotFoundError):
        await catalog.task(FS, flow, foreign)
    with pytest.raises(TaskNotFoundError):
        await book.file(flow, foreign)
    with pytest.raises(TaskNotFoundError):
        await catalog.sub_task(FS, flow, foreign, sub_task)
    with pytest.raises(DataFlowNotFoundError):
        await catalog.sub_task("bmcpfs-other", flow, task, sub_task)
    with pytest.raises(SubTaskNotFoundError):
        await catalog.sub_task(FS, other, foreign, sub_task)
    with pytest.raises(SubTaskNotFoundError):
        await catalog.sub_task(FS, flow, task, sub_task[:-1] + "?")
    changed = sub_task[:-1] + ("a" if sub_task[-1] != "a" else "b")
    with pytest.raises(SubTaskNotFoundError):
        await catalog.sub_task(FS, flow, task, changed)
    assert (await catalog.sub_task(FS, flow, task, sub_task)).sub_task_id == sub_task


async def test_a_cancel_among_creates_leaves_no_sub_task_in_a_cancelled_task(book: Book) -> None:
    flow = await book.flow()
    for attempt in range(10):
        task = await book.stream(flow)
        news: list[NewSubTask] = [book.new_file(flow, task, f"{attempt}-{i}") for i in range(8)]
        place = book.chance.randrange(len(news) + 1)
        work = [book.catalog.create_sub_task(book.call(), new) for new in news]
        cancel = book.catalog.cancel_task(book.call(), FS, flow, task)
        answers = await asyncio.gather(*work[:place], cancel, *work[place:], return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, BaseException)]
        counters = await book.counters(flow, task)
        if await status(book, flow, task) is TaskStatus.CANCELED:
            assert counters.accepted == 0
            assert len(refused) == len(news)
        else:
            assert counters.created == len(news)
            assert [type(error) for error in refused] == [DependencyViolationError]
