"""Do batches keep their places, is each file of theirs in exactly one report, and do they end only when nothing is live?"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import pytest

from penstock.catalog.batchwork import Batch, BatchFile, Feed, Remark
from penstock.catalog.placing import PLACES
from penstock.catalog.reports import HEAD, KEPT
from penstock.catalog.verbs import Settling, SubTaskQuery, TaskQuery
from penstock.errors import ConflictError
from penstock.model import FileDetail, Report, Task, TaskAction, TaskStatus
from tests.fixtures.ledger import FS, SECOND_NS, Book

pytestmark = pytest.mark.anyio

DETAIL = FileDetail(modify_time_ns=5, size_bytes=7, checksum="crc64:1")


async def begun(book: Book, flow: str) -> str:
    """A batch that has a place."""
    task = await book.stream(flow, TaskAction.IMPORT)
    assert await book.catalog.batches.begin() == 1
    return task


def files(*names: str) -> Sequence[BatchFile]:
    return [BatchFile(f"/train/{name}", f"/data/{name}", f"{FS}/data/{name}", 7) for name in names]


async def feed(book: Book, task: str, before: str, seek: str, *names: str, last: bool = False) -> bool:
    new = Feed(before=before, seek=seek, is_last=last, files=files(*names))
    return await book.catalog.batches.feed(task, new)


async def batch_of(book: Book, task: str) -> Batch:
    (found,) = [one for one in await book.catalog.batches.placed() if one.task_id == task]
    return found


async def task_of(book: Book, flow: str, task: str) -> Task:
    return await book.catalog.task(FS, flow, task)


async def lines(book: Book, task: str, report: Report) -> list[list[str]]:
    """A report, read two segments at a time."""
    text, after = HEAD, 0
    while found := await book.catalog.batches.segments(task, report, after=after, limit=2):
        text += b"".join(segment.lines for segment in found)
        after = found[-1].number
    size = await book.catalog.batches.report_size(task, report)
    assert len(text) == len(HEAD) + (size or 0)
    return list(csv.reader(io.StringIO(text.decode(), newline="")))[1:]


async def test_four_have_a_place_and_the_oldest_comes_next(book: Book) -> None:
    flow, other = await book.flow(), await book.flow("/b/")
    tasks = [await book.stream(flow, TaskAction.EXPORT) for _ in range(PLACES + 2)]
    elsewhere = await book.stream(other, TaskAction.IMPORT)
    assert await book.catalog.batches.begin() == PLACES + 1
    assert {one.task_id for one in await book.catalog.batches.placed()} == {*tasks[:PLACES], elsewhere}
    assert await book.catalog.batches.begin() == 0
    await book.catalog.cancel_task(book.call(), FS, flow, tasks[4])  # it waits, so it is over at once
    assert (await task_of(book, flow, tasks[4])).status is TaskStatus.CANCELED
    await feed(book, tasks[2], "", "end", last=True)
    assert await book.catalog.batches.end(tasks[2], report_path="")
    assert await book.catalog.batches.begin() == 1
    assert (await task_of(book, flow, tasks[5])).status is TaskStatus.EXECUTING


async def test_none_begins_while_its_dataflow_is_stopped(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow, TaskAction.IMPORT)
    await book.catalog.stop_data_flow(book.call(), FS, flow)
    assert await book.catalog.batches.begin() == 0
    await book.catalog.start_data_flow(book.call(), FS, flow)
    assert await book.catalog.batches.begin() == 1
    assert (await batch_of(book, task)).is_working


async def test_what_was_listed_is_taken_once(book: Book) -> None:
    flow = await book.flow()
    task = await begun(book, flow)
    assert await feed(book, task, "", "b", "a", "b")
    assert not await feed(book, task, "", "b", "a", "b")
    await book.reopen()
    assert not await feed(book, task, "", "b", "a", "b")
    assert (await batch_of(book, task)).seek == "b"
    assert await feed(book, task, "b", "c", "c", last=True)
    assert not await feed(book, task, "c", "d", "d")
    found = await batch_of(book, task)
    assert (found.is_listed, found.waiting, found.live, found.unreported) == (True, 3, 3, 0)
    counters = await book.counters(flow, task)
    assert (counters.accepted, counters.created, counters.bytes_total) == (3, 3, 21)


@pytest.mark.rule("BATCH-6")
async def test_its_files_are_in_nobodys_lists_and_never_expire(book: Book) -> None:
    flow = await book.flow()
    task = await begun(book, flow)
    await feed(book, task, "", "a", "a")
    stream = await book.stream(flow)
    own = await book.file(flow, stream, "own")
    (claimed,) = await book.claim(task)
    sub_task = claimed.sub_task.sub_task_id
    for query in (
        SubTaskQuery(file_system_id=FS),
        SubTaskQuery(file_system_id=FS, task_ids=[task, stream]),
        SubTaskQuery(file_system_id=FS, sub_task_ids=[sub_task, own]),
        SubTaskQuery(file_system_id=FS, sources=["/train/a", "/train/own"]),
        SubTaskQuery(file_system_id=FS, targets=["/data/a", "/data/own"]),
    ):
        page = await book.catalog.sub_tasks(query, next_token="", limit=20)
        assert [one.sub_task_id for one in page.items] == [own], query
    await feed(book, task, "a", "b", "b")
    book.clock.pass_s(60)
    assert await book.catalog.expire(older_than_ns=book.clock.ns, limit=10) == 1


async def test_each_file_is_in_one_report_and_its_row_is_gone(book: Book) -> None:
    flow = await book.flow()
    task = await begun(book, flow)
    link = Remark(Report.SKIPPED, "/train/l", "/data/l", 0, 9, "SourceIsSymlink: it is one")
    new = Feed(before="", seek="z", is_last=True, files=files("a", "b", "c", "d"), remarks=[link])
    assert await book.catalog.batches.feed(task, new)
    moved, kept, failed, again = await book.claim(task)
    book.clock.pass_s(1)
    await book.settle(moved, bytes_total=7, bytes_done=7, actual_bytes=7, moving_ns=1, detail=DETAIL)
    await book.settle(kept, skipped=True, bytes_total=0, detail=FileDetail(modify_time_ns=5, size_bytes=0))
    await book.settle(failed, Settling.FAILED, error_code="SourceNotFound", error_message='gone, "it" is')
    await book.settle(again, Settling.RETRY, error_code="StoreUnavailable", error_message="later")
    assert not await book.catalog.batches.end(task, report_path="")
    assert (await batch_of(book, task)).unreported == 3
    assert await book.catalog.batches.report(task, limit=2) == 2
    assert await book.catalog.batches.report(task, limit=2) == 1
    assert await book.catalog.batches.report(task, limit=2) == 0
    assert book.count("sub_tasks") == 1
    (last,) = await book.claim(task)
    await book.settle(last, Settling.FAILED, error_code="StoreRefused", error_message="no", tidy=True)
    assert await book.catalog.batches.report(task, limit=9) == 1
    assert book.count("sub_tasks") == 1, "it is still to be tidied"
    assert await book.catalog.batches.report(task, limit=9) == 0
    assert await book.catalog.batches.end(task, report_path="oss://bucket/r/")
    assert not await book.catalog.batches.end(task, report_path="")
    found = await task_of(book, flow, task)
    counters = found.counters
    assert (counters.accepted, counters.complete, counters.moved, counters.failed) == (5, 3, 1, 2)
    assert found.status is TaskStatus.COMPLETED
    query_page = await book.catalog.tasks(task_query(task), next_token="", limit=10)
    assert (query_page.items[0].reports, query_page.items[0].report_path) == (
        (Report.SUCCESS, Report.SKIPPED, Report.FAILED),
        "oss://bucket/r/",
    )
    (success,) = await lines(book, task, Report.SUCCESS)
    assert success[:8] == ["/train/a", "/data/a", "7", "5", "crc64:1", "Success", "", "1"]
    assert success[8].startswith("2027-01-15T08:00:0")
    skipped = await lines(book, task, Report.SKIPPED)
    assert [(line[0], line[5], line[6]) for line in skipped] == [
        ("/train/l", "Skipped", "SourceIsSymlink: it is one"),
        ("/train/b", "Skipped", KEPT),
    ]
    reasons = [(line[0], line[6], line[7]) for line in await lines(book, task, Report.FAILED)]
    assert reasons == [("/train/c", 'SourceNotFound: gone, "it" is', "1"), ("/train/d", "StoreRefused: no", "2")]


def task_query(task: str) -> TaskQuery:
    return TaskQuery(file_system_id=FS, task_ids=[task])


async def test_a_cancel_ends_what_waits_and_waits_for_what_runs(book: Book) -> None:
    flow = await book.flow()
    task = await begun(book, flow)
    await feed(book, task, "", "c", "a", "b", "c")
    running = (await book.claim(task, limit=1))[0]
    await book.catalog.cancel_task(book.call(), FS, flow, task)
    with pytest.raises(ConflictError, match="Canceling"):
        await book.catalog.cancel_task(book.call(), FS, flow, task)
    assert not await feed(book, task, "c", "d", "d"), "nothing more is listed"
    assert not await book.claim(task), "and nothing more begins"
    assert await book.catalog.batches.withdraw(task, limit=2) == 2
    assert await book.catalog.batches.withdraw(task, limit=2) == 1
    assert await book.catalog.batches.withdraw(task, limit=2) == 0
    assert await book.catalog.canceling("mover") == [(running.sub_task.sub_task_id, 1)]
    assert not await book.catalog.batches.end(task, report_path="")
    await book.settle(running, Settling.CANCELED)
    assert await book.catalog.batches.report(task, limit=9) == 3
    assert await book.catalog.batches.end(task, report_path="")
    assert (await task_of(book, flow, task)).status is TaskStatus.CANCELED
    assert {line[6].partition(":")[0] for line in await lines(book, task, Report.FAILED)} == {"Canceled"}


async def test_what_cannot_be_listed_fails_once_all_of_it_has_moved(book: Book) -> None:
    flow = await book.flow()
    task = await begun(book, flow)
    await book.catalog.batches.explain(task, "StoreUnavailable: away")
    assert (await task_of(book, flow, task)).error_message == "StoreUnavailable: away"
    await feed(book, task, "", "a", "a")
    await book.catalog.batches.give_up_listing(task, code="BucketNotFound", message="it is gone")
    assert not await feed(book, task, "a", "b", "b")
    assert not await book.catalog.batches.end(task, report_path="")
    (claimed,) = await book.claim(task)
    await book.settle(claimed, detail=DETAIL)
    assert await book.catalog.batches.report(task, limit=9) == 1
    assert await book.catalog.batches.end(task, report_path="")
    found = await task_of(book, flow, task)
    assert (found.status, found.error_message) == (TaskStatus.FAILED, "BucketNotFound: it is gone")


async def test_a_file_waits_behind_a_streams_at_the_same_target(book: Book) -> None:
    flow = await book.flow()
    stream, task = await book.stream(flow), await begun(book, flow)
    await book.file(flow, stream, "a", target_name=f"{FS}/data/a")
    await feed(book, task, "", "a", "a", last=True)
    assert not await book.claim(task)
    await book.settle(await book.claim_one(stream))
    assert len(await book.claim(task)) == 1


async def test_a_deleted_dataflow_takes_its_reports_along_and_old_ones_go(book: Book) -> None:
    flow = await book.flow()
    for name in ("a", "b"):
        task = await begun(book, flow)
        await feed(book, task, "", "end", name, last=True)
        await book.settle(await book.claim_one(task))
        await book.catalog.batches.report(task, limit=9)
        await book.catalog.batches.end(task, report_path="")
        book.clock.pass_s(100)
    old_ns = book.clock.ns - 150 * SECOND_NS
    before = {"tokens_before_ns": 0, "nonces_before_ns": 0, "limit": 100}
    await book.catalog.prune(sub_tasks_before_ns=old_ns, **before)
    assert book.count("report_segments") == 1
    await book.catalog.delete_data_flow(book.call(), FS, flow)
    while await book.catalog.prune(sub_tasks_before_ns=old_ns, **before):
        pass
    tables = ("report_segments", "batches", "selections", "tasks", "data_flows")
    assert {table: book.count(table) for table in tables} == dict.fromkeys(tables, 0)


async def test_links_are_signed_with_one_key(book: Book) -> None:
    key = await book.catalog.batches.report_key()
    assert len(bytes.fromhex(key)) == 32
    await book.reopen()
    assert await book.catalog.batches.report_key() == key
