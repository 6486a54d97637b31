"""Does accepted work reach movers, once at a time, in fair order, and does every end reach the catalog?"""

from __future__ import annotations

import pytest

from penstock.catalog.verbs import ClaimLane
from penstock.engine.messages import Lane
from penstock.engine.options import ClaimOptions, EngineOptions
from penstock.errors import FailureCode
from penstock.model import Direction, SubTaskStatus, TaskAction
from penstock.transfer.transfer import Intent, Progress, Verdict
from tests.fixtures.fakeexecutor import FakeExecutor
from tests.fixtures.ledger import FS, recount
from tests.unit.engine.conftest import DETAIL, Rig, one

pytestmark = pytest.mark.anyio


async def test_a_sub_task_is_handed_over_and_settled(rig: Rig) -> None:
    sub_task = await one(rig)
    await rig.turn()
    assert (await rig.row(sub_task)).status is SubTaskStatus.RUNNING
    rig.executor.say(sub_task, Verdict.COMPLETE, bytes_total=5, bytes_done=5, actual_bytes=5, detail=DETAIL)
    await rig.turn()
    row = await rig.row(sub_task)
    assert (row.status, row.bytes_done, row.attempt) == (SubTaskStatus.COMPLETE, 5, 1)
    assert len(rig.engine.flights) == 0


async def test_paths_and_keys_stand_on_the_right_sides(rig: Rig) -> None:
    flow = await rig.book.flow("/data/deep/")
    imported = await rig.book.file(flow, await rig.book.stream(flow), "a")
    exported = await rig.book.file(flow, await rig.book.stream(flow, TaskAction.STREAM_EXPORT), "b")
    await rig.turn()
    down, up = rig.executor.transfer(imported), rig.executor.transfer(exported)
    assert (down.direction, down.key, down.path, down.base) == (Direction.IMPORT, "train/a", "data/a", "data/deep")
    assert (up.direction, up.path, up.key, up.base) == (Direction.EXPORT, "train/b", "data/b", "data/deep")
    assert (down.bucket, down.file_system_id, down.attempt, down.intent) == ("bucket", FS, 1, Intent.MOVE)
    assert down.first_attempt_ns == rig.book.clock.ns


async def test_a_large_file_changes_lanes_and_costs_nothing(rig: Rig) -> None:
    sub_task = await one(rig)
    await rig.turn()
    rig.executor.say(sub_task, Verdict.LARGE, bytes_total=1 << 30)
    await rig.turn(2)
    assert [lease.lane for _, lease in rig.executor.leases] == [Lane.SMALL, Lane.LARGE]
    row = await rig.row(sub_task)
    assert (row.status, row.attempt, row.error_message) == (SubTaskStatus.RUNNING, 2, "")


async def test_a_settled_outcome_with_a_journal_is_tidied(rig: Rig) -> None:
    sub_task = await one(rig)
    await rig.turn()
    rig.executor.say(sub_task, Verdict.COMPLETE, tidy=True)
    await rig.turn(2)
    assert rig.executor.intents(sub_task) == [Intent.MOVE, Intent.TIDY]
    assert rig.executor.leases[-1][1].lane is Lane.SWEEP
    rig.executor.say(sub_task, Verdict.TIDIED)
    await rig.pass_s(1000)
    assert rig.executor.intents(sub_task) == [Intent.MOVE, Intent.TIDY]
    assert (await rig.row(sub_task)).status is SubTaskStatus.COMPLETE


async def test_one_live_sub_task_at_a_time_runs_on_a_target(rig: Rig) -> None:
    flow = await rig.book.flow()
    stream = await rig.book.stream(flow)
    first = await rig.book.file(flow, stream, "a", target_name="same")
    second = await rig.book.file(flow, stream, "b", target_name="same")
    await rig.turn(3)
    assert [transfer.sub_task_id for transfer in rig.moved()] == [first]
    rig.executor.say(first, Verdict.COMPLETE)
    await rig.turn(2)
    assert [transfer.sub_task_id for transfer in rig.moved()] == [first, second]


async def test_progress_is_written_once_a_second_at_most(rig: Rig) -> None:
    sub_task = await one(rig)
    await rig.turn()

    def told(done: int) -> Progress:
        return Progress(
            sub_task_id=sub_task,
            attempt=1,
            bytes_total=100,
            bytes_done=done,
            actual_bytes=done,
            moving_ns=1,
            detail=DETAIL,
        )

    rig.executor.progress(told(10))
    await rig.engine.recorder.progress_step()
    rig.executor.progress(told(20))
    rig.executor.progress(told(30))
    assert await rig.engine.recorder.progress_step() == 1.0
    assert (await rig.row(sub_task)).bytes_done == 10
    await rig.pass_s(1.0)
    assert (await rig.row(sub_task)).bytes_done == 30
    rig.executor.die("mover-1.1", begun=[sub_task])
    await rig.turn()
    row = await rig.row(sub_task)
    assert (row.bytes_done, row.progress, row.error_code) == (30, 3000, "MoverDied")


async def test_ten_tasks_of_large_files_leave_room_for_a_newcomers(rig: Rig) -> None:
    flow = await rig.book.flow()
    greedy = await rig.book.stream(flow)
    names = [await rig.book.file(flow, greedy, f"g{number}") for number in range(8)]
    await rig.turn()
    for name in names:
        rig.executor.say(name, Verdict.LARGE, bytes_total=1 << 40)
    await rig.turn(3)
    assert rig.executor.count(Lane.LARGE) == 2  # of four places
    late = await rig.book.file(flow, await rig.book.stream(flow), "late")
    await rig.turn()
    assert rig.executor.leases[-1][1].lane is Lane.SMALL
    rig.executor.say(late, Verdict.LARGE, bytes_total=1 << 40)
    await rig.turn(2)
    assert rig.executor.transfer(late).attempt == 2


async def test_a_task_that_finds_no_place_for_long_is_given_one(rig: Rig) -> None:
    await rig.restart(executor=FakeExecutor(large_files=2))
    flow = await rig.book.flow()
    holders = []
    for number in range(2):
        name = await rig.book.file(flow, await rig.book.stream(flow), f"h{number}")
        await rig.turn()
        rig.executor.say(name, Verdict.LARGE, bytes_total=1 << 40)
        await rig.turn(2)
        holders.append(name)
    progress = Progress(
        sub_task_id=holders[1],
        attempt=2,
        bytes_total=1 << 40,
        bytes_done=1 << 30,
        actual_bytes=1 << 30,
        moving_ns=1,
        detail=DETAIL,
    )
    rig.executor.progress(progress)
    late = await rig.book.file(flow, await rig.book.stream(flow), "late")
    await rig.turn()
    rig.executor.say(late, Verdict.LARGE, bytes_total=1 << 40)
    for _ in range(10):
        await rig.pass_s(29)
    assert [
        control for _, control in rig.executor.controls if control.yielded
    ] == []  # nobody has had a place long enough
    for _ in range(12):
        await rig.pass_s(31)
    yielded = [attempt for _, control in rig.executor.controls for attempt in control.yielded]
    assert yielded == [(holders[1], 2)]
    rig.executor.say(holders[1], Verdict.RETURNED)
    await rig.turn(2)
    assert rig.executor.transfer(late).attempt == 2
    row = await rig.row(holders[1])
    assert (row.status, row.error_code) == (SubTaskStatus.RUNNING, FailureCode.WAITING_FOR_TURN)


async def test_a_small_file_finds_room_while_another_task_has_thousands_waiting(rig: Rig) -> None:
    flow = await rig.book.flow()
    greedy = await rig.book.stream(flow)
    for number in range(60):
        await rig.book.file(flow, greedy, f"g{number}")
    await rig.turn(3)
    assert rig.executor.count(Lane.SMALL) == 12  # of sixteen places
    late = await rig.book.file(flow, await rig.book.stream(flow), "late")
    await rig.turn()
    assert rig.executor.transfer(late).sub_task_id == late


async def test_batches_grow_with_what_a_mover_gets_done(rig: Rig) -> None:
    flow = await rig.book.flow()
    stream = await rig.book.stream(flow)
    for number in range(400):
        await rig.book.file(flow, stream, f"f{number}")
    largest = 0
    for _ in range(12):
        await rig.pass_s(0.01)
        held = [name for name, _ in rig.executor.held.get("mover-1.1", {})]
        largest = max(largest, len(held))
        for name in held:
            rig.executor.say(name, Verdict.COMPLETE)
    assert largest > 100


async def test_what_a_dataflow_may_not_move_soon_stands_in_nobodys_way(rig: Rig) -> None:
    flow = await rig.book.flow()
    stream = await rig.book.stream(flow)
    rig.executor.rates = {flow: 20}
    for number in range(400):
        await rig.book.file(flow, stream, f"f{number}")
    for _ in range(12):
        await rig.pass_s(0.01)
        held = [name for name, _ in rig.executor.held.get("mover-1.1", {})]
        assert len(held) <= 20
        for name in held:
            rig.executor.say(name, Verdict.COMPLETE)


async def test_work_goes_to_the_mover_with_most_room(rig: Rig) -> None:
    await rig.restart(executor=FakeExecutor(movers=2))
    flow = await rig.book.flow()
    stream = await rig.book.stream(flow)
    for number in range(12):
        await rig.book.file(flow, stream, f"f{number}")
    await rig.turn()
    assert {mover: len(held) for mover, held in rig.executor.held.items()} == {"mover-1.1": 6, "mover-2.1": 6}


async def test_with_too_much_unsettled_nothing_is_claimed(rig: Rig) -> None:
    await rig.restart(options=EngineOptions(claim=ClaimOptions(unsettled_max=0)))
    flow = await rig.book.flow()
    stream = await rig.book.stream(flow)
    first = await rig.book.file(flow, stream, "a")
    await rig.turn()
    rig.executor.say(first, Verdict.COMPLETE)
    second = await rig.book.file(flow, stream, "b")
    await rig.engine.runner.step()
    assert [transfer.sub_task_id for transfer in rig.moved()] == [first]
    await rig.engine.settler.step()
    await rig.engine.runner.step()
    assert [transfer.sub_task_id for transfer in rig.moved()] == [first, second]


async def test_waiting_work_of_a_stopped_dataflow_stays_where_it_is(rig: Rig) -> None:
    flow = await rig.book.flow()
    stream = await rig.book.stream(flow)
    sub_task = await rig.book.file(flow, stream, "a")
    await rig.book.catalog.stop_data_flow(rig.book.call(), FS, flow)
    await rig.turn(2)
    assert rig.moved() == []
    await rig.book.catalog.start_data_flow(rig.book.call(), FS, flow)
    await rig.turn()
    assert rig.executor.transfer(sub_task).attempt == 1
    assert rig.engine.flights.by_task(ClaimLane.SMALL) == {stream: 1}


async def test_an_idle_engine_claims_in_the_transaction_that_brings_the_work(rig: Rig) -> None:
    flow = await rig.book.flow()
    stream = await rig.book.stream(flow)
    await rig.turn()  # finds nothing
    first = await rig.book.file(flow, stream, "a")
    assert (await rig.row(first)).status is SubTaskStatus.RUNNING
    second = await rig.book.file(flow, stream, "b")  # only the first is claimed by itself
    assert (await rig.row(second)).status is SubTaskStatus.CREATED
    await rig.turn()
    assert [transfer.sub_task_id for transfer in rig.moved()] == [first]
    await rig.turn()
    assert [transfer.sub_task_id for transfer in rig.moved()] == [first, second]
    assert [(await rig.row(each)).attempt for each in (first, second)] == [1, 1]
    recount(rig.book.path)


async def test_what_an_engine_that_is_gone_asked_for_ahead_is_forgotten(rig: Rig) -> None:
    await rig.turn()
    await rig.restart()
    sub_task = await one(rig)  # the engine that asked for it is gone
    assert (await rig.row(sub_task)).status is SubTaskStatus.CREATED
    await rig.turn()
    assert len(rig.moved()) == 1


async def test_what_was_claimed_ahead_goes_back_when_the_engine_closes(rig: Rig) -> None:
    await rig.turn()
    sub_task = await one(rig)
    rig.engine.runner.close()
    await rig.turn(2)
    assert rig.moved() == []
    assert len(rig.engine.flights) == 0
    await rig.restart()
    await rig.turn()
    assert [transfer.sub_task_id for transfer in rig.moved()] == [sub_task]


async def test_an_engine_that_has_closed_claims_nothing_ahead(rig: Rig) -> None:
    await rig.turn()
    rig.engine.runner.close()
    sub_task = await one(rig)
    await rig.turn()
    assert (await rig.row(sub_task)).status is SubTaskStatus.CREATED
