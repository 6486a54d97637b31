"""Is what a comparison has found kept once, with how far it was, and is it told as it was found?"""

from __future__ import annotations

import csv
import io

import pytest

from penstock.catalog.batchwork import Compared, Difference, Remark, Selection
from penstock.catalog.reports import head_of, told
from penstock.catalog.verbs import NewTask, TaskQuery
from penstock.model import Checksums, Comparison, ConflictPolicy, Report, Task, TaskAction, TaskStatus
from tests.fixtures.ledger import FS, SECOND_NS, Book

pytestmark = pytest.mark.anyio

FOUND = Comparison(same=3, differs=1, only_in_bucket=1, by_size=1, skipped=1, failed=1, read_bytes=9)
LINES = [
    Difference("/a/x", "/b/x", "Differs", "Size", 5, 6, 7, None, "", "crc64:1"),
    Difference("/a/y,z", "/b/y,z", "OnlyInBucket", "", None, 8, None, None, "", ""),
]
REMARKS = [
    Remark(Report.SKIPPED, "/a/l", "/b/l", 0, 1, "SourceIsSymlink: it is one"),
    Remark(Report.FAILED, "/a/f", "/b/f", 0, 1, "SourceNotRegular: it is none"),
]


async def begun(book: Book, flow: str) -> str:
    """A Compare task that has a place."""
    task = await book.catalog.create_task(
        book.call(),
        NewTask(
            file_system_id=FS,
            data_flow_id=flow,
            action=TaskAction.COMPARE,
            data_type="MetaAndData",
            conflict_policy=ConflictPolicy.SKIP_THE_FILE,
            directory="/",
            target_directory="/",
            create_dir_if_not_exist=False,
            selection=Selection(checksums=Checksums.STORED),
        ),
    )
    assert await book.catalog.batches.begin() == 1
    return task


async def keep(book: Book, task: str, before: str, seek: str, *, last: bool = False) -> bool:
    new = Compared(
        before=before,
        seek=seek,
        is_last=last,
        differences=LINES,
        remarks=REMARKS,
        found=FOUND,
        bytes_total=30,
        bytes_done=20,
    )
    return await book.catalog.batches.compared(task, new)


async def described(book: Book, task: str) -> Task:
    page = await book.catalog.tasks(TaskQuery(file_system_id=FS, task_ids=(task,)), next_token="", limit=1)
    return page.items[0]


async def rows(book: Book, task: str, report: Report) -> list[list[str]]:
    found = await book.catalog.batches.segments(task, report, after=0, limit=9)
    text = head_of(report) + b"".join(segment.lines for segment in found)
    return list(csv.reader(io.StringIO(text.decode(), newline="")))


async def test_what_was_found_is_kept_once_and_summed_up_at_the_end(book: Book) -> None:
    flow = await book.flow()
    task = await begun(book, flow)
    assert (await book.catalog.batches.selection(task)).checksums is Checksums.STORED
    assert await keep(book, task, "", "one")
    assert not await keep(book, task, "", "one")
    await book.reopen()
    assert not await keep(book, task, "", "other")
    (batch,) = await book.catalog.batches.placed()
    assert (batch.seek, batch.is_listed, batch.live, batch.unreported) == ("one", False, 0, 0)
    under_way = await described(book, task)
    assert (under_way.checksums, under_way.comparison, under_way.reports) == (Checksums.STORED, FOUND, ())
    assert await keep(book, task, "one", "end", last=True)
    assert await book.catalog.batches.end(task, report_path="oss://b/r/")
    ended = await described(book, task)
    assert ended.reports == (Report.SKIPPED, Report.FAILED, Report.DIFFERENCES, Report.SUMMARY)
    counters = ended.counters
    assert (counters.accepted, counters.complete, counters.failed, counters.moved) == (14, 12, 2, 0)
    assert (counters.bytes_total, counters.bytes_done, counters.actual_bytes) == (60, 40, 0)
    head, *lines = await rows(book, task, Report.DIFFERENCES)
    assert lines == [["" if cell is None else str(cell) for cell in line] for line in [*LINES, *LINES]]
    assert dict(zip(head, lines[0], strict=True))["DstChecksum"] == "crc64:1"
    assert ended.comparison is not None
    summary = dict((await rows(book, task, Report.SUMMARY))[1:])
    assert {name: int(count) for name, count in summary.items()} == told(ended.comparison)
    assert (await book.catalog.reading.overview([FS])).day.complete == 0, "nothing has moved"


async def test_one_that_is_cancelled_or_given_up_has_no_summary(book: Book) -> None:
    flow = await book.flow()
    cancelled = await begun(book, flow)
    assert await keep(book, cancelled, "", "one")
    await book.catalog.cancel_task(book.call(), FS, flow, cancelled)
    assert not await keep(book, cancelled, "one", "end", last=True)
    assert await book.catalog.batches.end(cancelled, report_path="")
    given_up = await begun(book, flow)
    await book.catalog.batches.give_up_listing(given_up, code="SourceNotFound", message="none")
    assert not await keep(book, given_up, "", "end", last=True)
    assert await book.catalog.batches.end(given_up, report_path="")
    tasks = {task: await described(book, task) for task in (cancelled, given_up)}
    assert [one.status for one in tasks.values()] == [TaskStatus.CANCELED, TaskStatus.FAILED]
    assert Report.SUMMARY not in {*tasks[cancelled].reports, *tasks[given_up].reports}
    await book.catalog.delete_data_flow(book.call(), FS, flow)
    before = {"tokens_before_ns": 0, "nonces_before_ns": 0, "limit": 100}
    while await book.catalog.prune(sub_tasks_before_ns=book.clock.ns - SECOND_NS, **before):
        pass
    assert book.count("comparisons") == 0
