"""Who may work on what: order, lanes, targets, leases, rescue, and what a stop or a cancel does to the queues."""

from __future__ import annotations

import asyncio

import pytest

from penstock.catalog import claims
from penstock.catalog.verbs import ClaimLane, Demand, Health, Room, Settling
from penstock.errors import FailureCode, InvalidStateError
from penstock.model import Direction, SubTaskStatus, TaskAction
from tests.fixtures.ledger import FS, SECOND_NS, Book, settlement

pytestmark = pytest.mark.anyio
SMALL, LARGE = ClaimLane.SMALL, ClaimLane.LARGE


async def ready(book: Book, lane: ClaimLane = SMALL, limit: int = 100) -> list[str]:
    return list(await book.ready(lane, limit=limit))


async def claimed_ids(book: Book, task: str, lane: ClaimLane = SMALL, *, limit: int = 100) -> list[str]:
    return [claimed.sub_task.sub_task_id for claimed in await book.claim(task, lane, limit=limit)]


async def test_a_claim_starts_the_oldest_and_says_all_that_a_transfer_needs(book: Book) -> None:
    flow = await book.flow("/data/", "bucket")
    task = await book.stream(flow)
    ids = [await book.file(flow, task, f"{i}") for i in range(5)]
    assert ids == sorted(ids)
    assert await ready(book) == [task]
    book.clock.pass_s(3)
    first, second = await book.claim(task, limit=2)
    assert [first.sub_task.sub_task_id, second.sub_task.sub_task_id] == ids[:2]
    assert (first.sub_task.status, first.sub_task.attempt, first.sub_task.started_ns) == (
        SubTaskStatus.RUNNING,
        1,
        book.clock.ns,
    )
    assert (first.lane, first.file_system_path, first.source_storage) == (SMALL, "/data/", "oss://bucket")
    assert (first.checkpoint, first.tidy, first.failures, first.sub_task.source) == ("", False, 0, "/train/0")
    assert await claimed_ids(book, task) == ids[2:]
    assert await ready(book) == []
    assert await claimed_ids(book, task) == []
    counters = await book.counters(flow, task)
    assert (counters.created, counters.running) == (0, 5)


async def test_nothing_is_claimed_twice_by_many_at_once(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    ids = [await book.file(flow, task, f"{i}") for i in range(40)]
    batches = await asyncio.gather(*(book.claim(task, limit=7, owner=f"m{i}") for i in range(8)))
    assert sorted(claimed.sub_task.sub_task_id for batch in batches for claimed in batch) == ids


async def test_a_stopped_dataflow_starts_nothing_and_a_started_one_rings(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    sub_task = await book.file(flow, task)
    await book.catalog.stop_data_flow(book.call(), FS, flow)
    assert await ready(book) == []
    assert await claimed_ids(book, task) == []
    assert await book.next_due_ns() is None
    while await book.catalog.doorbell.wait(0):
        pass
    await book.catalog.start_data_flow(book.call(), FS, flow)
    assert await book.catalog.doorbell.wait(60)
    assert await claimed_ids(book, task) == [sub_task]


async def test_withdrawals_and_tidying_go_on_in_a_stopped_dataflow(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    canceled, tidied = await book.file(flow, task, "c"), await book.file(flow, task, "t")
    first, second = await book.claim(task)
    await book.settle(second, tidy=True)
    await book.cancel(flow, task, canceled)
    await book.catalog.stop_data_flow(book.call(), FS, flow)
    await book.settle(first, Settling.RETURNED)
    assert await ready(book) == [task]
    assert await claimed_ids(book, task, LARGE) == []
    withdrawal, tidying = await book.claim(task)
    assert (withdrawal.sub_task.status, withdrawal.sub_task.attempt, withdrawal.tidy) == (
        SubTaskStatus.CANCELING,
        2,
        False,
    )
    assert (tidying.sub_task.sub_task_id, tidying.sub_task.status, tidying.tidy) == (
        tidied,
        SubTaskStatus.COMPLETE,
        True,
    )
    assert await book.settle(withdrawal, Settling.CANCELED)
    assert await book.settle(tidying, Settling.TIDIED)
    assert await ready(book) == []
    assert await book.status(canceled) is SubTaskStatus.CANCELED


@pytest.mark.rule("SUB-11")
async def test_one_target_is_written_by_one_at_a_time_in_creation_order_across_dataflows(book: Book) -> None:
    one, two = await book.flow("/1/", "one"), await book.flow("/2/", "two")
    task, other = await book.stream(one), await book.stream(two)
    first = await book.file(one, task, "1", target_name="same")
    second = await book.file(two, other, "2", target_name="same")
    third = await book.file(one, task, "3", target_name="same")
    free = await book.file(two, other, "4", target_name="another")
    assert set(await ready(book)) == {task, other}
    holder = await book.claim_one(task)
    assert holder.sub_task.sub_task_id == first
    assert await claimed_ids(book, other) == [free]
    await book.settle(holder, Settling.RETRY, due_ns=0)
    assert await claimed_ids(book, other) == []  # between attempts the target is still taken
    await book.settle(await book.claim_one(task), Settling.FAILED)
    assert await claimed_ids(book, task) == []
    await book.cancel(two, other, second)  # waiting first in line: the third steps up
    assert await claimed_ids(book, task) == [third]


async def test_one_that_waits_behind_can_be_cancelled_without_letting_others_pass(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    first, second, third = [await book.file(flow, task, f"{i}", target_name="same") for i in range(3)]
    await book.cancel(flow, task, second)
    assert await claimed_ids(book, task) == [first]
    await book.cancel(flow, task, first)
    assert await book.status(first) is SubTaskStatus.CANCELING
    assert await claimed_ids(book, task) == []
    assert await book.catalog.canceling("mover") == [(first, 1)]
    await book.catalog.rescue_all()
    await book.settle(await book.claim_one(task), Settling.CANCELED)
    assert await claimed_ids(book, task) == [third]


async def test_of_many_at_once_to_one_target_only_the_first_is_claimable(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    ids = await asyncio.gather(*(book.file(flow, task, f"{i}", target_name="same") for i in range(20)))
    for sub_task in ids:
        (claimed,) = await book.claim(task)
        assert claimed.sub_task.sub_task_id == sub_task
        await book.settle(claimed, Settling.FAILED)


async def test_many_long_target_names_that_begin_alike_do_not_block_each_other(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    long = "目录/" * 300
    ids = [await book.file(flow, task, f"{i}", target_name=f"{long}{i}") for i in range(3)]
    same = await book.file(flow, task, "again", target_name=f"{long}1")
    assert await claimed_ids(book, task) == ids
    assert await book.status(same) is SubTaskStatus.CREATED


async def test_what_goes_again_comes_before_what_is_new_and_only_when_it_is_due(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    ids = [await book.file(flow, task, f"{i}") for i in range(4)]
    first, second = await book.claim(task, limit=2)
    due_ns = book.clock.ns + 10 * SECOND_NS
    await book.settle(first, Settling.RETRY, due_ns=due_ns, error_code="StoreUnavailable", error_message="no answer")
    await book.settle(second, Settling.RETURNED)
    assert await claimed_ids(book, task, limit=2) == [ids[1], ids[2]]
    again = await book.sub_task(ids[0])
    assert (again.status, again.error_code, again.due_ns) == (SubTaskStatus.RUNNING, "StoreUnavailable", due_ns)
    assert await claimed_ids(book, task) == [ids[3]]
    assert await book.next_due_ns() == due_ns
    assert await ready(book) == []
    book.clock.pass_s(10)
    assert await ready(book) == [task]
    more = [await book.file(flow, task, f"more{i}") for i in range(2)]
    rows = await book.claim(task)
    assert [row.sub_task.sub_task_id for row in rows] == [ids[0], *more]
    assert (rows[0].failures, rows[0].sub_task.attempt) == (1, 2)
    assert (await book.sub_task(ids[1])).attempt == 2
    assert rows[0].sub_task.started_ns == first.sub_task.started_ns


async def test_a_large_file_stands_in_the_other_lane_from_then_on(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    sub_task = await book.file(flow, task)
    assert await ready(book, LARGE) == []
    await book.settle(await book.claim_one(task), Settling.LARGE, bytes_total=1 << 40)
    assert await ready(book) == []
    assert await ready(book, LARGE) == [task]
    assert await claimed_ids(book, task) == []
    large = await book.claim_one(task, LARGE)
    assert (large.lane, large.failures, large.sub_task.bytes_total) == (LARGE, 0, 1 << 40)
    assert (await book.counters(flow, task)).bytes_total == 1 << 40
    await book.settle(large, Settling.RETRY, due_ns=0)
    assert (await book.claim_one(task, LARGE)).failures == 1
    await book.catalog.rescue_all()
    assert await ready(book) == []
    await book.cancel(flow, task, sub_task)  # withdrawing is small work
    assert await claimed_ids(book, task, LARGE) == []
    assert await claimed_ids(book, task) == [sub_task]


async def test_a_large_file_that_waits_for_its_place_says_so_until_it_has_one(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    sub_task = await book.file(flow, task)
    await book.settle(await book.claim_one(task), Settling.LARGE, bytes_total=1 << 40)
    for _ in range(2):
        waiting = await book.sub_task(sub_task)
        assert (waiting.status, waiting.error_code) == (SubTaskStatus.RUNNING, FailureCode.WAITING_FOR_TURN)
        assert "waits for its turn" in waiting.error_message
        claimed = await book.claim_one(task, LARGE)
        assert (await book.sub_task(sub_task)).error_message == claimed.sub_task.error_message == ""
        await book.settle(claimed, Settling.RETURNED)  # it gave its place to another one
    words = {"error_code": "StoreUnavailable", "error_message": "no answer"}
    await book.settle(await book.claim_one(task, LARGE), Settling.RETRY, due_ns=0, **words)
    await book.settle(await book.claim_one(task, LARGE), Settling.RETURNED)
    assert (
        await book.sub_task(sub_task)
    ).error_message == "no answer"  # what is in its way says more than that it waits
    await book.settle(await book.claim_one(task, LARGE))
    ended = await book.sub_task(sub_task)
    assert (ended.status, ended.error_code, ended.error_message) == (SubTaskStatus.COMPLETE, "", "")


async def test_leases_that_end_free_their_work_and_renewed_ones_do_not(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    ids = [await book.file(flow, task, f"{i}") for i in range(3)]
    dead = (await book.claim(task, limit=2, owner="dead"))[0]
    await book.claim(task, limit=1, owner="alive")
    book.clock.pass_s(50)
    await book.catalog.renew("alive", book.clock.ns + 60 * SECOND_NS)
    assert await book.catalog.rescue(now_ns=book.clock.ns) == 0
    book.clock.pass_s(11)
    assert await book.catalog.rescue(now_ns=book.clock.ns) == 2
    assert await book.catalog.rescue(now_ns=book.clock.ns) == 0
    assert await book.status(ids[0]) is SubTaskStatus.RUNNING
    again = await book.claim(task, owner="other")
    assert [(row.sub_task.sub_task_id, row.sub_task.attempt, row.failures) for row in again] == [
        (ids[0], 2, 0),
        (ids[1], 2, 0),
    ]
    assert not await book.settle(dead)  # fenced off: somebody else has it now
    assert await book.settle(again[0])


async def test_one_owners_leases_can_be_voided_at_once(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    for i in range(4):
        await book.file(flow, task, f"{i}")
    await book.claim(task, limit=3, owner="one")
    await book.claim(task, limit=1, owner="two")
    assert await book.catalog.rescue(now_ns=book.clock.ns, owner="one") == 3
    assert await book.catalog.rescue(now_ns=book.clock.ns, owner="nobody") == 0
    assert book.count("leases") == 1
    assert len(await book.claim(task)) == 3
    assert await book.catalog.rescue_all() == 4
    assert book.count("leases") == 0


async def test_a_restart_takes_everything_up_again_and_rings(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    ids = [await book.file(flow, task, f"{i}") for i in range(3)]
    running, canceling, tidy = await book.claim(task)
    await book.cancel(flow, task, ids[1])
    await book.settle(tidy, tidy=True)
    await book.claim(task)  # the tidying
    await book.reopen()
    assert await ready(book) == []
    assert await book.catalog.rescue_all() == 3
    assert await book.catalog.doorbell.wait(60)
    rows = await book.claim(task)
    assert [(row.sub_task.status, row.tidy) for row in rows] == [
        (SubTaskStatus.CANCELING, False),
        (SubTaskStatus.COMPLETE, True),
        (SubTaskStatus.RUNNING, False),
    ]
    assert not any([await book.settle(old) for old in (running, canceling)])


async def test_a_rescued_attempt_is_over_even_before_the_next_one_begins(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    await book.file(flow, task)
    claimed = await book.claim_one(task)
    await book.catalog.rescue_all()
    assert not await book.settle(claimed)
    assert (await book.counters(flow, task)).running == 1


async def test_with_more_ready_tasks_than_asked_for_all_get_their_turn(book: Book) -> None:
    flows = [await book.flow(f"/{i}/", f"b{i}") for i in range(3)]
    tasks = [await book.stream(flow) for flow in flows for _ in range(5)]
    for number, task in enumerate(tasks):
        await book.file(flows[number // 5], task, f"{number}")
    seen: set[str] = set()
    for _ in range(5):
        some = await ready(book, limit=4)
        assert len(set(some)) == 4
        assert len({number // 5 for number, task in enumerate(tasks) if task in some}) == 3  # of each dataflow
        seen |= set(some)
    assert seen == set(tasks)
    assert sorted(await ready(book, limit=100)) == sorted(tasks)


async def test_with_more_dataflows_than_asked_for_all_get_their_turn(book: Book) -> None:
    flows = [await book.flow(f"/{i}/", f"b{i}") for i in range(9)]
    tasks = [await book.stream(flow) for flow in flows]
    for number, task in enumerate(tasks):
        await book.file(flows[number], task, f"{number}")
    seen: set[str] = set()
    for _ in range(9):
        seen |= set(await ready(book, limit=2))
    assert seen == set(tasks)


async def test_a_cancelled_sub_task_cannot_be_cancelled_again(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    waiting, running = await book.file(flow, task, "w"), await book.file(flow, task, "r")
    await book.cancel(flow, task, waiting)
    ended = await book.sub_task(waiting)
    assert (ended.status, ended.started_ns, ended.ended_ns) == (SubTaskStatus.CANCELED, None, book.clock.ns)
    claimed = await book.claim_one(task)
    await book.cancel(flow, task, running)
    assert await book.catalog.doorbell.wait(60)
    for sub_task in (waiting, running):
        with pytest.raises(InvalidStateError):
            await book.cancel(flow, task, sub_task)
    await book.catalog.settle([settlement(claimed, Settling.CANCELED)])
    with pytest.raises(InvalidStateError, match="CANCELED"):
        await book.cancel(flow, task, running)


async def test_one_between_attempts_is_withdrawn_at_once(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    sub_task = await book.file(flow, task)
    far_ns = book.clock.ns + 3600 * SECOND_NS
    await book.settle(await book.claim_one(task), Settling.RETRY, due_ns=far_ns, checkpoint='{"upload_id": "u"}')
    await book.cancel(flow, task, sub_task)
    assert (await ready(book), await book.next_due_ns()) == ([task], None)
    withdrawal = await book.claim_one(task)
    assert (withdrawal.sub_task.status, withdrawal.checkpoint) == (SubTaskStatus.CANCELING, '{"upload_id": "u"}')


async def test_an_unknown_task_has_nothing_to_claim(book: Book) -> None:
    assert await book.claim("task-0000000000000000") == []
    assert await book.claim("nonsense") == []


async def test_what_a_crash_left_in_a_dataflow_that_waits_for_its_bucket_says_why(book: Book) -> None:
    """Nobody claims it before the bucket is back, so nobody else would say so."""
    flow = await book.flow()
    task = await book.stream(flow)
    sub_task = await book.file(flow, task)
    await book.claim(task)
    await book.catalog.set_health(flow, health=Health.UNREACHABLE)
    await book.catalog.rescue_all()
    row = await book.sub_task(sub_task)
    assert (row.status, row.error_code) == (SubTaskStatus.RUNNING, "StoreUnavailable")
    assert "cpfs-dataflow" in row.error_message
    await book.catalog.set_health(flow, health=Health.REACHABLE)
    (claimed,) = await book.claim(task)
    row = await book.sub_task(sub_task)
    assert (row.status, row.error_code, row.error_message) == (SubTaskStatus.RUNNING, "", ""), "it is under way again"
    await book.catalog.settle([settlement(claimed, Settling.COMPLETE)])
    assert (await book.sub_task(sub_task)).status is SubTaskStatus.COMPLETE


async def test_what_waits_for_a_bucket_is_woken_when_it_answers_and_nothing_else(book: Book) -> None:
    """Also what is to be withdrawn, whose reason stays; what waits for something else waits on."""
    flow, other = await book.flow("/data/", "bucket"), await book.flow("/other/", "elsewhere")
    task, beside = await book.stream(flow), await book.stream(other)
    names = ("silent", "slow", "canceled", "bad", "new")
    ids = {name: await book.file(flow, task, name) for name in names[:4]}
    ids["elsewhere"] = await book.file(other, beside, "elsewhere")
    due_ns = book.clock.ns + 900 * SECOND_NS
    codes = {"silent": "StoreUnavailable", "slow": "StoreThrottled", "canceled": "StoreUnavailable",
             "bad": "ChecksumMismatch", "elsewhere": "StoreUnavailable"}  # fmt: skip
    rows = {row.sub_task.sub_task_id: row for row in [*await book.claim(task), *await book.claim(beside)]}
    await book.cancel(flow, task, ids["canceled"])
    for name, code in codes.items():
        told = {"due_ns": due_ns, "error_code": code, "error_message": "no answer"}
        await book.catalog.settle([settlement(rows[ids[name]], Settling.WAITING, **told)])
    assert await claimed_ids(book, task) == []

    assert await book.catalog.wake("bucket", limit=2) == 2
    assert await book.catalog.wake("bucket", limit=2) == 1
    assert await book.catalog.wake("bucket", limit=2) == 0
    woken = {row.sub_task.sub_task_id: row.sub_task for row in await book.claim(task)}
    assert set(woken) == {ids["silent"], ids["slow"], ids["canceled"]}
    assert {row.error_code for row in woken.values() if row.status is SubTaskStatus.RUNNING} == {""}
    assert woken[ids["canceled"]].error_message == "no answer"
    assert await claimed_ids(book, beside) == []


async def test_what_waits_for_room_is_tried_a_little_at_a_time_the_first_due_first(book: Book) -> None:
    """Where it is to go, and nowhere else; why it waits is told on."""
    flow, other = await book.flow("/data/", "bucket"), await book.flow("/other/", "elsewhere")
    into, out, beside = (
        await book.stream(flow),
        await book.stream(flow, TaskAction.STREAM_EXPORT),
        await book.stream(other, TaskAction.STREAM_EXPORT),
    )
    codes = {"late": "NoSpace", "soon": "ReadOnlyFileSystem", "out": "FileSystemUnavailable", "bad": "ChecksumMismatch"}
    ids = {name: await book.file(flow, into, name) for name in codes if name != "out"}
    ids |= {"out": await book.file(flow, out, "out"), "beside": await book.file(other, beside, "beside")}
    rows = [row for task in (into, out, beside) for row in await book.claim(task)]
    named = {sub_task: name for name, sub_task in ids.items()}
    for row in rows:
        name = named[row.sub_task.sub_task_id]
        told = {"error_code": codes.get(name, "NoSpace"), "error_message": "full"}
        due_ns = book.clock.ns + (900 if name == "late" else 600) * SECOND_NS
        await book.catalog.settle([settlement(row, Settling.WAITING, due_ns=due_ns, **told)])

    inward = Room(direction=Direction.IMPORT, name=FS)
    outward = {Room(direction=Direction.EXPORT, name=name) for name in ("bucket", "elsewhere")}
    assert await book.catalog.without_room() == {inward, *outward}
    assert await book.catalog.wake_for_room(inward, limit=1) == 1
    (woken,) = await book.claim(into)
    assert (woken.sub_task.sub_task_id, woken.sub_task.error_message) == (ids["soon"], "full")
    assert await book.catalog.wake_for_room(inward, limit=5) == 1
    assert await claimed_ids(book, into) == [ids["late"]]
    assert await book.catalog.wake_for_room(inward, limit=5) == 0
    assert await book.catalog.without_room() == outward
    assert await book.catalog.wake_for_room(Room(direction=Direction.IMPORT, name="another"), limit=5) == 0
    assert await book.catalog.wake_for_room(Room(direction=Direction.EXPORT, name="bucket"), limit=5) == 1
    assert await claimed_ids(book, out) == [ids["out"]]
    assert await claimed_ids(book, beside) == []


async def test_what_ended_and_left_something_is_woken_where_that_is(book: Book) -> None:
    """Exports by their bucket, imports by their file system; whatever they failed for."""
    flow, other = await book.flow("/data/", "bucket"), await book.flow("/other/", "elsewhere")
    due_ns = book.clock.ns + 900 * SECOND_NS
    tasks = {
        name: await book.stream(of, action)
        for name, of, action in (
            ("import", flow, TaskAction.STREAM_IMPORT),
            ("export", flow, TaskAction.STREAM_EXPORT),
            ("elsewhere", other, TaskAction.STREAM_EXPORT),
        )
    }
    for name, task in tasks.items():
        for number in range(2):
            await book.file(other if name == "elsewhere" else flow, task, f"{name}-{number}")
        for row in await book.claim(task):
            await book.settle(row, Settling.FAILED, tidy=True, error_code="DeadlineExceeded", error_message="late")
        for row in await book.claim(task):
            await book.settle(row, Settling.RETRY, due_ns=due_ns)

    async def woken() -> dict[str, int]:
        return {name: len(await book.claim(task)) for name, task in tasks.items()}

    assert await book.catalog.wake_for_room(Room(direction=Direction.EXPORT, name="bucket"), limit=5) == 0
    assert await book.catalog.wake_for_room(Room(direction=Direction.IMPORT, name=FS), limit=1) == 1
    assert await woken() == {"import": 1, "export": 0, "elsewhere": 0}
    assert await book.catalog.wake("bucket", limit=1) == 1
    assert await woken() == {"import": 0, "export": 1, "elsewhere": 0}
    assert await book.catalog.wake("bucket", limit=5) == 1
    assert await book.catalog.wake("bucket", limit=5) == 0
    assert await book.catalog.wake_for_room(Room(direction=Direction.IMPORT, name=FS), limit=5) == 1
    assert await woken() == {"import": 1, "export": 1, "elsewhere": 0}


async def test_room_is_shared_by_the_tasks_that_wait_for_it(book: Book) -> None:
    """What some leave over goes to those that have more; with less room than tasks those with what is due first come first."""
    flows = [await book.flow(), await book.flow("/other/", "elsewhere")]
    tasks = [await book.stream(flow) for flow in (*flows, flows[0])]
    counts = (6, 1, 6)
    for place, (task, count) in enumerate(zip(tasks, counts, strict=True)):
        flow = flows[place % 2]
        for number in range(count):
            await book.file(flow, task, f"{place}-{number}")
        for row in await book.claim(task):
            told = {"error_code": "NoSpace", "error_message": "full"}
            due_ns = book.clock.ns + (900 - place) * SECOND_NS
            await book.catalog.settle([settlement(row, Settling.WAITING, due_ns=due_ns, **told)])

    async def woken(limit: int) -> list[int]:
        count = await book.catalog.wake_for_room(Room(direction=Direction.IMPORT, name=FS), limit=limit)
        found = [len(await book.claim(task)) for task in tasks]
        assert sum(found) == count
        return found

    assert await woken(1) == [0, 0, 1]
    assert await woken(7) == [3, 1, 3]
    assert await woken(100) == [3, 0, 2]
    assert await book.catalog.without_room() == set()


async def test_a_pause_that_was_written_before_the_clock_was_put_back_ends_with_the_next_start(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    await book.file(flow, task)
    claimed = await book.claim_one(task)
    await book.settle(claimed, Settling.RETRY, due_ns=book.clock.ns + 900 * SECOND_NS)
    book.clock.pass_s(-86_400)
    await book.catalog.rescue_all()
    assert await claimed_ids(book, task) == [claimed.sub_task.sub_task_id]


async def test_of_dataflows_that_come_and_go_nothing_is_remembered(book: Book) -> None:
    ring = claims.Ring()
    demand = Demand(lane=ClaimLane.SMALL, ready_max=1, share=lambda ready: [(task, 1) for task in ready])
    for number in range(5):
        flow = await book.flow(f"/{number}/", f"bucket-{number}")
        tasks = [await book.stream(flow) for _ in range(2)]
        for task in tasks:
            await book.file(flow, task, f"{number}-{task}")
        for _ in range(5):
            await book.catalog._work(lambda session: ring.claim(session, [demand], "mover", book.clock.ns))
    assert vars(ring)["_after"] == {}


@pytest.mark.parametrize("back_s", [5, 600, 3600, 86_400])
@pytest.mark.parametrize("closes", [True, False])
async def test_a_pause_is_as_long_as_it_was_though_the_clock_was_put_back_before_the_start(
    book: Book, back_s: int, closes: bool
) -> None:
    """Also where it was not closed: then it is known as of the last renewal of leases."""
    flow = await book.flow()
    task = await book.stream(flow)
    await book.file(flow, task)
    claimed = await book.claim_one(task)
    await book.settle(claimed, Settling.RETRY, due_ns=book.clock.ns + 900 * SECOND_NS)
    book.clock.pass_s(100)
    if closes:
        await book.close()
    else:
        await book.catalog.renew("mover", book.clock.ns)
    book.clock.pass_s(-back_s)
    if closes:
        await book.open()
    for _ in range(2):
        await book.catalog.rescue_all()
        assert await book.next_due_ns() == book.clock.ns + 800 * SECOND_NS
    book.clock.pass_s(800)
    assert await claimed_ids(book, task) == [claimed.sub_task.sub_task_id]


@pytest.mark.parametrize("settling", [Settling.COMPLETE, Settling.CANCELED])
async def test_a_start_looks_at_once_at_what_is_to_be_cleared(book: Book, settling: Settling) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    sub_task = await book.file(flow, task)
    claimed = await book.claim_one(task)
    await book.cancel(flow, task, sub_task)
    await book.settle(claimed, settling, tidy=True)
    await book.settle(await book.claim_one(task), Settling.RETRY, due_ns=book.clock.ns + 900 * SECOND_NS)
    assert await claimed_ids(book, task) == []
    assert await book.catalog.doorbell.wait(0)
    await book.catalog.rescue_all()
    assert await book.catalog.doorbell.wait(0)
    assert await claimed_ids(book, task) == [sub_task]


async def test_a_start_shortens_no_other_pause(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    await book.file(flow, task)
    claimed = await book.claim_one(task)
    await book.settle(claimed, Settling.RETRY, due_ns=book.clock.ns + 5400 * SECOND_NS)
    await book.catalog.rescue_all()
    assert await claimed_ids(book, task) == []
