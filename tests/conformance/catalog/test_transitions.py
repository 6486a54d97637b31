"""With a delay: is each change under way so long and no longer, refused to be changed meanwhile, and ended after a restart?"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace

import pytest

from penstock.catalog.verbs import Changes, ClaimLane, DataFlowQuery, Health, Settling
from penstock.errors import (
    CatalogError,
    ConflictError,
    DataFlowNotFoundError,
    DependencyViolationError,
    InvalidStateError,
)
from penstock.model import DataFlow, DataFlowStatus, SubTaskStatus, TaskAction, TaskStatus
from tests.fixtures.ledger import FS, SECOND_NS, Book, make_older

pytestmark = pytest.mark.anyio

DELAY_S = 60
STATUS = DataFlowStatus
Verb = Callable[[Book, str], Awaitable[None]]


@pytest.fixture
async def slow(book: Book) -> Book:
    """A catalog whose changes take a minute."""
    await delay(book, DELAY_S)
    return book


async def delay(book: Book, seconds: float) -> None:
    book.bounds = replace(book.bounds, transition_delay_s=seconds)
    await book.reopen()


async def pass_s(book: Book, seconds: float) -> int:
    """Let time pass, as the engine sees it; how many transitions ended."""
    book.clock.pass_s(seconds)
    return await book.catalog.end_transitions(due_ns=book.clock.ns, limit=100)


async def running_flow(book: Book, path: str = "/data/", bucket: str = "bucket") -> str:
    flow = await book.flow(path, bucket)
    await pass_s(book, DELAY_S)
    return flow


async def executing_stream(book: Book, flow: str) -> str:
    task = await book.stream(flow)
    await pass_s(book, DELAY_S)
    return task


async def found(book: Book, flow: str) -> DataFlow:
    return await book.catalog.data_flow(FS, flow)


async def status(book: Book, flow: str) -> DataFlowStatus:
    return (await found(book, flow)).status


async def stop(book: Book, flow: str) -> None:
    await book.catalog.stop_data_flow(book.call(), FS, flow)


async def start(book: Book, flow: str) -> None:
    await book.catalog.start_data_flow(book.call(), FS, flow)


async def modify(book: Book, flow: str) -> None:
    await book.catalog.modify_data_flow(book.call(), FS, flow, Changes(description="new words"))


async def delete(book: Book, flow: str) -> None:
    await book.catalog.delete_data_flow(book.call(), FS, flow)


async def lose(book: Book, flow: str) -> None:
    await book.catalog.set_health(flow, health=Health.UNREACHABLE)


async def nothing(book: Book, flow: str) -> None:
    del book, flow


VERBS: tuple[Verb, ...] = (stop, start, modify, delete)


# ------------------------------------------------------------------------------------------------------------- dataflows


@pytest.mark.parametrize(
    ("before", "verb", "meanwhile", "after"),
    [
        (nothing, stop, STATUS.STOPPING, STATUS.STOPPED),
        (nothing, modify, STATUS.UPDATING, STATUS.RUNNING),
        (nothing, delete, STATUS.DELETING, STATUS.DELETED),
        (lose, stop, STATUS.STOPPING, STATUS.STOPPED),
        (lose, modify, STATUS.UPDATING, STATUS.MISCONFIGURED),
        (lose, delete, STATUS.DELETING, STATUS.DELETED),
        (stop, start, STATUS.STARTING, STATUS.RUNNING),
        (stop, delete, STATUS.DELETING, STATUS.DELETED),
    ],
)
async def test_each_change_lasts_as_long_as_the_delay(
    slow: Book, before: Verb, verb: Verb, meanwhile: DataFlowStatus, after: DataFlowStatus
) -> None:
    flow = await running_flow(slow)
    await before(slow, flow)
    await pass_s(slow, DELAY_S)
    told = (await found(slow, flow)).error_message
    await verb(slow, flow)
    assert await status(slow, flow) is meanwhile
    assert await slow.catalog.next_transition_ns() == slow.clock.ns + DELAY_S * SECOND_NS
    assert await pass_s(slow, DELAY_S - 0.001) == 0
    assert await status(slow, flow) is meanwhile
    assert await pass_s(slow, 0.001) == 1
    assert await slow.catalog.next_transition_ns() is None
    if after is STATUS.DELETED:
        with pytest.raises(DataFlowNotFoundError):
            await found(slow, flow)
        return
    ended = await found(slow, flow)
    assert (ended.status, ended.updated_ns) == (after, slow.clock.ns)
    assert ended.error_message == (told if after is STATUS.MISCONFIGURED else "")
    assert ended.description == ("new words" if verb is modify else "")


async def test_a_delay_stays_as_long_though_the_clock_was_put_back_before_the_start(slow: Book) -> None:
    flow = await running_flow(slow)
    stream = await slow.stream(flow)
    other = await slow.flow("/other/")
    await slow.close()
    slow.clock.pass_s(-3600)
    await slow.open()
    await slow.catalog.rescue_all()
    assert await slow.catalog.next_transition_ns() == slow.clock.ns + DELAY_S * SECOND_NS
    assert await pass_s(slow, DELAY_S) == 2
    assert await status(slow, other) is STATUS.RUNNING
    assert (await slow.catalog.task(FS, flow, stream)).status is TaskStatus.EXECUTING


async def test_a_new_one_is_starting_and_then_runs(slow: Book) -> None:
    flow = await slow.flow()
    assert await status(slow, flow) is STATUS.STARTING
    with pytest.raises(InvalidStateError, match="Starting"):
        await slow.stream(flow)
    assert await pass_s(slow, DELAY_S) == 1
    assert await status(slow, flow) is STATUS.RUNNING
    await slow.stream(flow)


@pytest.mark.parametrize(
    ("way", "meanwhile"),
    [
        ((), STATUS.STARTING),
        ((stop,), STATUS.STOPPING),
        ((modify,), STATUS.UPDATING),
        ((delete,), STATUS.DELETING),
    ],
)
async def test_who_is_on_the_way_is_not_turned_round(
    slow: Book, way: tuple[Verb, ...], meanwhile: DataFlowStatus
) -> None:
    flow = await (running_flow(slow) if way else slow.flow())
    for verb in way:
        await verb(slow, flow)
    for verb in VERBS:
        is_same = verb is (way[-1] if way else start)
        with pytest.raises(ConflictError if is_same else InvalidStateError, match=f"is {meanwhile}"):
            await verb(slow, flow)
    await lose(slow, flow)
    with pytest.raises(InvalidStateError, match=f"is {meanwhile}"):
        await slow.stream(flow)
    assert await status(slow, flow) is meanwhile
    assert [watched.data_flow_id for watched in await slow.catalog.watched_data_flows()] == []


async def test_a_dry_run_begins_nothing(slow: Book) -> None:
    assert await slow.catalog.create_data_flow(slow.call(dry=True), slow.new_flow()) == ""
    flow = await running_flow(slow)
    await slow.catalog.stop_data_flow(slow.call(dry=True), FS, flow)
    assert await status(slow, flow) is STATUS.RUNNING
    assert await slow.catalog.next_transition_ns() is None


async def test_a_repeated_call_begins_nothing_anew(slow: Book) -> None:
    first = await slow.catalog.create_data_flow(slow.call(token="t"), slow.new_flow())
    await pass_s(slow, DELAY_S)
    assert await slow.catalog.create_data_flow(slow.call(token="t"), slow.new_flow()) == first
    assert await status(slow, first) is STATUS.RUNNING


async def test_a_deleting_one_keeps_its_place_and_its_path_until_it_is_gone(slow: Book) -> None:
    flows = [await slow.flow(f"/{i}/", f"bucket{i}") for i in range(10)]
    await pass_s(slow, DELAY_S)
    await delete(slow, flows[0])
    for path, bucket in (("/more/", "more"), ("/0/", "more")):
        with pytest.raises(CatalogError):
            await slow.flow(path, bucket)
    page = await slow.catalog.data_flows(DataFlowQuery(file_system_id=FS), next_token="", limit=20)
    assert [flow.status for flow in page.items] == [STATUS.RUNNING] * 9 + [STATUS.DELETING]
    await pass_s(slow, DELAY_S)
    await slow.catalog.create_data_flow(slow.call(), slow.new_flow("/0/", "bucket0", versioned=False))
    with pytest.raises(DependencyViolationError, match="10 dataflows"):
        await slow.flow("/more/", "more")


async def test_live_tasks_keep_it_from_being_deleted(slow: Book) -> None:
    flow = await running_flow(slow)
    await slow.stream(flow)  # Pending is live
    with pytest.raises(DependencyViolationError, match="1 live task"):
        await delete(slow, flow)
    assert await status(slow, flow) is STATUS.RUNNING


# --------------------------------------------------------------------------------------------------------------- streams


async def test_a_stream_is_pending_and_then_executes(slow: Book) -> None:
    flow = await running_flow(slow)
    task = await slow.stream(flow)
    pending = await slow.catalog.task(FS, flow, task)
    assert (pending.status, pending.started_ns) == (TaskStatus.PENDING, None)
    with pytest.raises(InvalidStateError, match="Pending"):
        await slow.file(flow, task)
    assert await pass_s(slow, DELAY_S - 0.001) == 0
    assert await pass_s(slow, 0.001) == 1
    executing = await slow.catalog.task(FS, flow, task)
    assert (executing.status, executing.started_ns) == (TaskStatus.EXECUTING, slow.clock.ns)
    assert executing.created_ns == slow.clock.ns - DELAY_S * SECOND_NS
    await slow.file(flow, task)


async def test_a_pending_stream_can_be_cancelled_and_stays_so(slow: Book) -> None:
    flow = await running_flow(slow)
    task = await slow.stream(flow)
    await slow.catalog.cancel_task(slow.call(), FS, flow, task)
    assert await slow.catalog.next_transition_ns() is None
    assert await pass_s(slow, DELAY_S) == 0
    assert (await slow.catalog.task(FS, flow, task)).status is TaskStatus.CANCELED


async def test_a_batch_stays_pending_however_long(slow: Book) -> None:
    flow = await running_flow(slow)
    task = await slow.stream(flow, TaskAction.EXPORT)
    assert await slow.catalog.next_transition_ns() is None
    assert await pass_s(slow, 100 * DELAY_S) == 0
    assert (await slow.catalog.task(FS, flow, task)).status is TaskStatus.PENDING


# ------------------------------------------------------------------------------------------------------------------ work


async def test_work_waits_meanwhile_and_its_clock_stands_still(slow: Book) -> None:
    flow = await running_flow(slow)
    task = await executing_stream(slow, flow)
    first, second = await slow.file(flow, task, "a"), await slow.file(flow, task, "b")
    (running,) = await slow.claim(task, limit=1)
    await modify(slow, flow)
    assert await slow.claim(task) == []
    assert await slow.settle(running, Settling.COMPLETE)  # what runs goes on
    await pass_s(slow, DELAY_S)
    await stop(slow, flow)
    assert await slow.claim(task) == []
    await pass_s(slow, DELAY_S)
    await start(slow, flow)
    assert await slow.claim(task) == []
    slow.clock.pass_s(1000)  # nobody looked: late is no harm
    assert await slow.catalog.expire(older_than_ns=slow.clock.ns - SECOND_NS, limit=10) == 0
    slow.catalog.doorbell._rung.clear()
    await pass_s(slow, 0)
    assert await slow.catalog.doorbell.wait(1.0)
    assert await slow.catalog.expire(older_than_ns=slow.clock.ns - SECOND_NS, limit=10) == 0
    assert [claimed.sub_task.sub_task_id for claimed in await slow.claim(task, ClaimLane.SMALL)] == [second]
    assert await slow.status(first) is SubTaskStatus.COMPLETE


# ------------------------------------------------------------------------------------------------------------ the setting


async def test_what_was_begun_ends_after_a_restart_without_a_delay(slow: Book) -> None:
    flow, other = await running_flow(slow, "/a/", "a"), await running_flow(slow, "/b/", "b")
    task = await slow.stream(flow)
    slow.clock.pass_s(1)
    await stop(slow, other)
    await delay(slow, 0)
    assert await status(slow, other) is STATUS.STOPPING
    assert await slow.catalog.next_transition_ns() == slow.clock.ns + (DELAY_S - 1) * SECOND_NS
    assert await pass_s(slow, DELAY_S - 1) == 1
    assert (await slow.catalog.task(FS, flow, task)).status is TaskStatus.EXECUTING
    assert await pass_s(slow, 1) == 1
    assert await status(slow, other) is STATUS.STOPPED
    await start(slow, other)
    assert await status(slow, other) is STATUS.RUNNING  # at once, from now on


async def test_a_catalog_of_before_the_setting_is_brought_along(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    await book.close()
    with closing(sqlite3.connect(book.path)) as older, older:
        for table in ("data_flows", "tasks"):
            older.execute(f"DROP INDEX {table}_due")
            older.execute(f"ALTER TABLE {table} DROP COLUMN due_ns")
        make_older(older)
        older.execute("DELETE FROM schema_versions WHERE version >= 3")
    book.bounds = replace(book.bounds, transition_delay_s=DELAY_S)
    await book.open()
    assert await status(book, flow) is STATUS.RUNNING
    assert (await book.catalog.task(FS, flow, task)).status is TaskStatus.EXECUTING
    assert await book.catalog.next_transition_ns() is None
    await stop(book, flow)
    assert await pass_s(book, DELAY_S) == 1
    assert await status(book, flow) is STATUS.STOPPED


async def test_without_a_delay_nothing_is_ever_in_transition(book: Book) -> None:
    flow = await book.flow()
    await book.catalog.cancel_task(book.call(), FS, flow, await book.stream(flow))
    for verb in (modify, stop, start, delete):
        await verb(book, flow)
        assert await book.catalog.next_transition_ns() is None


async def test_many_end_a_few_at_a_time_the_longest_first(slow: Book) -> None:
    flows = []
    for number in range(5):
        flows.append(await slow.flow(f"/{number}/", f"b{number}"))
        slow.clock.pass_s(1)
    slow.clock.pass_s(DELAY_S)
    for ended in (2, 2, 1, 0):
        assert await slow.catalog.end_transitions(due_ns=slow.clock.ns, limit=2) == ended
        running = [await status(slow, flow) is STATUS.RUNNING for flow in flows]
        assert running == sorted(running, reverse=True)
