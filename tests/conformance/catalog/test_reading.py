"""Is what people are shown true, and only theirs: figures, one sub-task in full, its place in line, what has changed?"""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from penstock.catalog.counting import HOUR_NS
from penstock.catalog.cursors import Moment, write_moment
from penstock.catalog.verbs import ClaimLane, Settling
from penstock.catalog.views import Counts, Wait
from penstock.errors import FailureCode, InvalidNextTokenError, SubTaskNotFoundError
from penstock.model import Direction, TaskAction
from tests.fixtures.ledger import FS, SECOND_NS, Book, without_batches

MOVED: dict[str, Any] = {"bytes_total": 100, "bytes_done": 100, "actual_bytes": 100, "moving_ns": 1}
NOTHING = ((), (), ())


async def test_figures_are_counted_by_dataflow_and_hour(book: Book) -> None:
    into, out = await book.flow(), await book.flow("/out/", "out")
    imports, exports = await book.stream(into), await book.stream(out, TaskAction.STREAM_EXPORT)
    await book.files(into, imports, 6, stem="i")
    await book.files(out, exports, 2, stem="o")
    first, second, third, *_ = await book.claim(imports, limit=3)
    await book.settle(first, **MOVED)
    await book.settle(second, Settling.FAILED, error_code=FailureCode.IO_ERROR)
    await book.cancel(into, imports, third.sub_task.sub_task_id)
    book.clock.pass_s(3 * 3600)
    await book.settle(await book.claim_one(exports), **MOVED)
    seen = await book.catalog.reading.overview([FS])
    newest, oldest = seen.flows
    assert (newest.flow.data_flow_id, oldest.flow.data_flow_id) == (out, into)
    assert oldest.counts == Counts(waiting=3, canceling=1, complete=1, failed=1, bytes_in=100)
    assert newest.counts == Counts(waiting=1, complete=1, bytes_out=100)
    assert seen.counts == Counts(waiting=4, canceling=1, complete=2, failed=1, bytes_in=100, bytes_out=100)
    assert (seen.day.complete, seen.day.failed, seen.day.bytes_in, seen.day.bytes_out) == (2, 1, 100, 100)
    assert [hour.since_ns % HOUR_NS for hour in seen.hours] == [0] * 24
    assert [(hour.complete, hour.failed) for hour in seen.hours if hour.complete] == [(1, 1), (1, 0)]
    assert seen.hours[-1].bytes_out == seen.hours[-4].bytes_in == 100

    book.clock.pass_s(21 * 3600)
    later = await book.catalog.reading.overview([FS])
    assert (later.day.complete, later.day.failed, later.counts.failed) == (1, 0, 1)
    assert (await book.catalog.reading.overview(["bmcpfs-other"])).flows == ()


async def test_running_ones_are_those_that_are_nothing_else(book: Book) -> None:
    task = await book.stream(flow := await book.flow())
    await book.files(flow, task, 5)
    claimed = await book.claim(task, limit=4)
    await book.settle(claimed[0], Settling.RETRY, due_ns=book.clock.ns + SECOND_NS)
    await book.settle(claimed[1], Settling.CANCELED)  # nobody asked for it: it goes again
    assert (await book.catalog.reading.overview([FS])).counts == Counts(waiting=1, running=4)


async def test_a_catalog_of_before_says_since_when_it_counts_and_knows_its_totals(book: Book) -> None:
    task = await book.stream(flow := await book.flow())
    await book.files(flow, task, 4)
    done, failed, *_ = await book.claim(task, limit=3)
    await book.settle(done, **MOVED)
    await book.settle(failed, Settling.FAILED)
    before = (await book.catalog.reading.overview([FS])).counts
    await book.close()
    older = sqlite3.connect(book.path)
    without_batches(older)
    older.execute("ALTER TABLE data_flows DROP COLUMN accepted")
    for table in ("happenings", "flow_hours", "flow_totals", "counting"):
        older.execute(f"DROP TABLE {table}")
    older.execute("DELETE FROM schema_versions WHERE version >= 13")
    older.commit()
    older.close()
    book.clock.pass_s(600)
    upgraded_ns = book.clock.ns
    await book.open()
    seen = await book.catalog.reading.overview([FS])
    assert seen.counts == before
    assert (seen.counted_since_ns, seen.day.since_ns, seen.day.complete) == (upgraded_ns, upgraded_ns, 0)
    await book.reopen()
    assert (await book.catalog.reading.overview([FS])).counted_since_ns == upgraded_ns


async def test_hours_are_kept_for_a_day_at_least_and_go_with_history(book: Book) -> None:
    task = await book.stream(flow := await book.flow())
    await book.file(flow, task)
    await book.settle(await book.claim_one(task), **MOVED)
    book.clock.pass_s(23 * 3600)
    everything = {"tokens_before_ns": 0, "nonces_before_ns": 0, "limit": 100}
    await book.catalog.prune(sub_tasks_before_ns=book.clock.ns, **everything)
    assert (await book.catalog.reading.overview([FS])).day.complete == 1
    book.clock.pass_s(3 * 3600)
    await book.catalog.prune(sub_tasks_before_ns=book.clock.ns - 30 * 3600 * SECOND_NS, **everything)
    assert book.count("flow_hours") == 1
    await book.catalog.prune(sub_tasks_before_ns=book.clock.ns, **everything)
    assert book.count("flow_hours") == 0
    assert (await book.catalog.reading.overview([FS])).counts.complete == 1


async def test_one_in_full_is_told_to_those_who_may_see_it(book: Book) -> None:
    task = await book.stream(flow := await book.flow())
    sub_task = await book.file(flow, task)
    full = await book.catalog.reading.in_full([FS], sub_task)
    assert full.listed.sub_task == await book.sub_task(sub_task)
    assert (full.task.task_id, full.flow.data_flow_id, full.listed.direction) == (task, flow, Direction.IMPORT)
    for file_systems, name in ((["bmcpfs-other"], sub_task), ([FS], sub_task[:-1] + "?"), ([FS], "nonsense")):
        with pytest.raises(SubTaskNotFoundError):
            await book.catalog.reading.in_full(file_systems, name)
    await book.catalog.cancel_sub_task(book.call(), FS, flow, task, sub_task)
    await book.catalog.cancel_task(book.call(), FS, flow, task)
    await book.catalog.delete_data_flow(book.call(), FS, flow)
    with pytest.raises(SubTaskNotFoundError):
        await book.catalog.reading.in_full([FS], sub_task)


async def test_each_says_why_it_waits_and_where_it_stands(book: Book) -> None:
    reading = book.catalog.reading
    task = await book.stream(flow := await book.flow())
    names = [*(await book.files(flow, task, 5)).sub_task_ids]
    beside = [
        await book.file(flow, task, "same"),
        await book.file(flow, task, "same"),
        await book.file(flow, task, "same"),
    ]
    line = (await reading.in_full([FS], names[3])).line
    assert (line.wait, line.before, line.is_more, line.of) == (Wait.IN_LINE, 3, False, 8)
    behind = (await reading.in_full([FS], beside[2])).line
    assert (behind.wait, behind.before, behind.first) == (Wait.BEHIND, 2, beside[0])

    first, second = await book.claim(task, limit=2)
    due_ns = book.clock.ns + 10 * SECOND_NS
    await book.settle(first, Settling.RETRY, due_ns=due_ns)
    await book.settle(second, Settling.LARGE)
    listed = await reading.among([FS], names)
    assert [listed[name].wait for name in names[:3]] == [Wait.AGAIN, Wait.LARGE_LINE, Wait.IN_LINE]
    assert (listed[names[0]].next_try_ns, listed[names[0]].failures) == (due_ns, 1)
    book.clock.pass_s(20)
    again, new = (await reading.in_full([FS], names[0])).line, (await reading.in_full([FS], names[2])).line
    assert (again.wait, again.before) == (Wait.IN_LINE, 0)
    assert (new.wait, new.before) == (Wait.IN_LINE, 1)  # what goes again is served first
    (held,) = await book.claim(task, ClaimLane.LARGE)
    assert (await reading.in_full([FS], names[1])).listed.wait is Wait.NONE

    await book.cancel(flow, task, names[0])
    await book.settle(held)
    await book.catalog.stop_data_flow(book.call(), FS, flow)
    listed = await reading.among([FS], names)
    assert [listed[name].wait for name in names[:3]] == [Wait.CLEAR, Wait.FINAL, Wait.FLOW]
    assert listed[names[0]].cancel_asked_ns == book.clock.ns


async def test_changes_since_a_cursor_are_told_once(book: Book) -> None:
    reading = book.catalog.reading
    task = await book.stream(flow := await book.flow())
    nothing = await reading.changes([FS], "")
    assert (nothing.created, nothing.ended, nothing.befallen) == NOTHING
    book.clock.pass_s(1)
    names = list((await book.files(flow, task, 3)).sub_task_ids)
    first, second, _ = await book.claim(task)
    await book.settle(first)
    book.clock.pass_s(1)
    await book.settle(second, Settling.RETRY, error_code=FailureCode.IO_ERROR)
    changes = await reading.changes([FS], nothing.cursor)
    assert (changes.created, changes.ended, changes.befallen) == (tuple(names), (names[0],), (names[1],))
    await book.reopen()
    still = await book.catalog.reading.changes([FS], changes.cursor)
    assert (still.created, still.ended, still.befallen) == NOTHING
    assert not still.is_lost
    hidden = await book.catalog.reading.changes(["bmcpfs-other"], nothing.cursor)
    assert (hidden.created, hidden.ended, hidden.befallen) == NOTHING


async def test_many_changes_are_capped_and_a_cursor_of_another_clock_is_lost(book: Book) -> None:
    reading = book.catalog.reading
    task = await book.stream(flow := await book.flow())
    start = await reading.changes([FS], "")
    book.clock.pass_s(1)
    names = (await book.files(flow, task, 600)).sub_task_ids
    changes = await reading.changes([FS], start.cursor)
    assert changes.is_more
    assert changes.created == tuple(names[-500:])
    book.clock.pass_s(3600)
    later = write_moment(Moment(number=book.clock.ns + 1, ended_ns=0, ended_number=0, happened_ns=0))
    assert (await reading.changes([FS], later)).is_lost
    for broken in ("x", "A" * 42, "é" * 8, changes.cursor + "AAAA"):
        with pytest.raises(InvalidNextTokenError):
            await reading.changes([FS], broken)
