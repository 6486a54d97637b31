"""Does accepted work reach movers, once at a time, in fair order, and does every end reach the catalog?"""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from penstock.catalog.sqlite import SqliteDatabase
from penstock.catalog.verbs import ClaimLane
from penstock.engine.messages import Lane
from penstock.engine.options import NS_PER_S, ClaimOptions, EngineOptions, RetryOptions
from penstock.errors import CatalogUnavailableError, FailureCode, HomeInUseError
from penstock.model import Direction, FileDetail, SubTaskStatus, TaskAction
from penstock.transfer.transfer import Checkpoint, Intent, Outcome, Progress, Verdict
from tests.fixtures.fakeexecutor import FakeExecutor
from tests.fixtures.ledger import FS, recount
from tests.unit.engine.conftest import Rig

pytestmark = pytest.mark.anyio

RECORD = Checkpoint(key="data/a", intent_ns=5, upload_id="u-1")
DETAIL = FileDetail(modify_time_ns=1, size_bytes=100)
TROUBLE: dict[str, Any] = {"code": FailureCode.CHECKSUM_MISMATCH, "message": "bytes differ"}
OUTAGE: dict[str, Any] = {"code": FailureCode.STORE_UNAVAILABLE, "message": "no answer"}
UNREGISTERED = [("buckets", "BucketNotRegistered"), ("file_systems", "FileSystemUnavailable")]
ADDED_BY = {"BucketNotRegistered": "bucket", "FileSystemUnavailable": "filesystem"}


async def one(rig: Rig, name: str = "a", action: TaskAction = TaskAction.STREAM_IMPORT) -> str:
    flow = await rig.book.flow()
    return await rig.book.file(flow, await rig.book.stream(flow, action), name)


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


async def test_a_retry_waits_and_then_runs_again(rig: Rig) -> None:
    sub_task = await one(rig)
    await rig.turn()
    rig.executor.say(sub_task, Verdict.RETRY, checkpoint=RECORD, **TROUBLE)
    await rig.turn(2)
    row = await rig.row(sub_task)
    assert (row.status, row.error_code, row.error_message) == (
        SubTaskStatus.RUNNING,
        "ChecksumMismatch",
        "bytes differ",
    )
    assert len(rig.moved()) == 1
    assert 0 < await rig.engine.runner.step() <= 1.0
    await rig.pass_s(1.0)
    again = rig.executor.transfer(sub_task)
    assert (again.attempt, again.intent, again.checkpoint) == (2, Intent.MOVE, RECORD)
    assert again.first_attempt_ns == rig.moved()[0].first_attempt_ns
    rig.executor.say(sub_task, Verdict.COMPLETE)
    await rig.turn()
    assert (await rig.row(sub_task)).error_message == ""


async def test_after_the_last_attempt_nothing_is_left_behind_and_the_reason_stays(rig: Rig) -> None:
    sub_task = await one(rig)
    await rig.turn()
    for _ in range(8):
        rig.executor.say(sub_task, Verdict.RETRY, **TROUBLE)
        await rig.turn()
        await rig.pass_s(1350)  # the longest wait there is
    assert rig.executor.intents(sub_task) == [Intent.MOVE] * 8 + [Intent.WITHDRAW]
    assert (await rig.row(sub_task)).status is SubTaskStatus.RUNNING
    rig.executor.say(sub_task, Verdict.CANCELED)
    await rig.turn()
    row = await rig.row(sub_task)
    assert (row.status, row.error_code) == (SubTaskStatus.FAILED, "ChecksumMismatch")
    assert row.error_message == "bytes differ (the last of 8 attempts)"


async def test_the_farewell_survives_a_crash(rig: Rig) -> None:
    sub_task = await one(rig)
    await rig.turn()
    for _ in range(8):
        rig.executor.say(sub_task, Verdict.RETRY, **TROUBLE)
        await rig.turn()
        await rig.pass_s(1350)  # the longest wait there is
    assert rig.executor.transfer(sub_task).intent is Intent.WITHDRAW
    await rig.restart()
    await rig.turn()
    assert rig.executor.intents(sub_task) == [Intent.WITHDRAW]
    rig.executor.say(sub_task, Verdict.CANCELED)
    await rig.turn()
    row = await rig.row(sub_task)
    assert (row.status, row.error_message) == (SubTaskStatus.FAILED, "bytes differ (the last of 8 attempts)")


async def test_a_file_outlasts_an_outage_of_an_hour_and_has_all_its_attempts_left(rig: Rig) -> None:
    sub_task = await one(rig)
    await rig.turn()
    began_ns, tries = rig.book.clock.ns, 0
    while rig.book.clock.ns < began_ns + 3600 * NS_PER_S:
        tries += 1
        rig.executor.say(sub_task, Verdict.RETRY, **OUTAGE)
        await rig.turn()
        row = await rig.row(sub_task)
        assert (row.status, row.error_code) == (SubTaskStatus.RUNNING, "StoreUnavailable")
        await rig.pass_s(1350)
    assert rig.executor.intents(sub_task) == [Intent.MOVE] * (tries + 1)
    for _ in range(7):
        rig.executor.say(sub_task, Verdict.RETRY, **TROUBLE)
        await rig.turn()
        await rig.pass_s(1350)
    rig.executor.say(sub_task, Verdict.COMPLETE)
    await rig.turn()
    assert (await rig.row(sub_task)).status is SubTaskStatus.COMPLETE


async def test_the_deadline_ends_a_file_that_fails_slowly(rig: Rig) -> None:
    await rig.restart(options=EngineOptions(retry=RetryOptions(attempts_max=100, deadline_s=1000)))
    sub_task = await one(rig)
    await rig.turn()
    while rig.executor.intents(sub_task)[-1] is Intent.MOVE:
        rig.executor.say(sub_task, Verdict.RETRY, **TROUBLE)
        await rig.turn()
        await rig.pass_s(300)
        assert len(rig.executor.intents(sub_task)) < 20
    rig.executor.say(sub_task, Verdict.CANCELED)
    await rig.turn()
    row = await rig.row(sub_task)
    assert (row.status, row.error_code) == (SubTaskStatus.FAILED, "DeadlineExceeded")


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


async def test_late_and_doubled_reports_have_no_effect(rig: Rig) -> None:
    sub_task = await one(rig)
    await rig.turn()
    mover = rig.executor.holder(sub_task)
    outcome = rig.executor.say(sub_task, Verdict.RETRY, times=3, **TROUBLE)
    await rig.pass_s(1.0)
    rig.executor.say_again(mover, msgspec.structs.replace(outcome, verdict=Verdict.COMPLETE))
    rig.executor.say_again("mover-9.9", msgspec.structs.replace(outcome, attempt=2, verdict=Verdict.COMPLETE))
    await rig.turn()
    row = await rig.row(sub_task)
    assert (row.status, row.attempt) == (SubTaskStatus.RUNNING, 2)
    rig.executor.say(sub_task, Verdict.COMPLETE)
    await rig.turn()
    assert (await rig.row(sub_task)).status is SubTaskStatus.COMPLETE


async def test_a_movers_death_costs_only_what_was_under_way(rig: Rig) -> None:
    flow = await rig.book.flow()
    stream = await rig.book.stream(flow)
    begun = await rig.book.file(flow, stream, "a")
    unstarted = await rig.book.file(flow, stream, "b")
    await rig.turn()
    rig.executor.die("mover-1.1", begun=[begun])
    await rig.turn(2)
    assert rig.executor.holder(unstarted) == "mover-1.2"
    row = await rig.row(begun)
    assert (row.status, row.error_code) == (SubTaskStatus.RUNNING, "MoverDied")
    assert (await rig.row(unstarted)).error_code == ""
    await rig.pass_s(1.0)
    assert rig.executor.holder(begun) == "mover-q.1"
    rig.executor.say(begun, Verdict.COMPLETE)
    rig.executor.say(unstarted, Verdict.COMPLETE)
    await rig.turn()
    assert (await rig.row(begun)).status is SubTaskStatus.COMPLETE
    recount(rig.book.path)


async def test_suspects_run_one_at_a_time_and_in_company_only_when_acquitted(rig: Rig) -> None:
    flow = await rig.book.flow()
    stream = await rig.book.stream(flow)
    names = [await rig.book.file(flow, stream, name) for name in "abc"]
    await rig.turn()
    rig.executor.die("mover-1.1", begun=names)
    await rig.pass_s(1.0)
    assert len(rig.executor.held["mover-q.1"]) == 1
    await rig.pass_s(3)
    assert len(rig.executor.held["mover-q.1"]) == 1
    await rig.pass_s(3)
    assert len(rig.executor.held["mover-q.1"]) == 2
    rig.executor.die("mover-q.1", begun=names)
    await rig.pass_s(2.0)
    assert len(rig.executor.held["mover-q.2"]) == 1


async def test_a_poison_file_ends_failed_and_the_others_complete(rig: Rig) -> None:
    flow = await rig.book.flow()
    stream = await rig.book.stream(flow)
    poison, good = await rig.book.file(flow, stream, "poison"), await rig.book.file(flow, stream, "good")
    for _ in range(200):
        await rig.turn()
        for mover, held in list(rig.executor.held.items()):
            names = {transfer.sub_task_id: transfer.intent for transfer in held.values()}
            if names.get(poison) is Intent.MOVE:
                rig.executor.die(mover, begun=list(names))
            else:
                for name, intent in names.items():
                    rig.executor.say(name, Verdict.COMPLETE if intent is Intent.MOVE else Verdict.CANCELED)
        rig.book.clock.pass_s(100)
    row = await rig.row(poison)
    assert (row.status, row.error_code) == (SubTaskStatus.FAILED, "MoverDied")
    assert rig.executor.intents(poison) == [Intent.MOVE] * 8 + [Intent.WITHDRAW]
    assert (await rig.row(good)).status is SubTaskStatus.COMPLETE
    assert len(rig.executor.intents(good)) <= 2


@pytest.mark.parametrize(("part", "code"), UNREGISTERED)
async def test_work_waits_with_the_reason_while_something_is_not_registered(rig: Rig, part: str, code: str) -> None:
    sub_task = await one(rig)
    registry, rig.registry = rig.registry, replace(rig.registry, **{part: {}})
    for _ in range(50):
        await rig.pass_s(400)
        row = await rig.row(sub_task)
        assert (row.status, row.error_code) == (SubTaskStatus.RUNNING, code)
        assert f"penstock {ADDED_BY[code]} add" in row.error_message
    assert rig.moved() == []
    rig.registry = registry
    await rig.pass_s(400)
    assert rig.executor.transfer(sub_task).intent is Intent.MOVE
    rig.executor.say(sub_task, Verdict.RETRY, **TROUBLE)  # the first of eight failures: waiting was none
    await rig.turn()
    assert "last of" not in (await rig.row(sub_task)).error_message


@pytest.mark.parametrize(("part", "code"), UNREGISTERED)
async def test_a_cancel_waits_for_what_it_has_to_clean_up(rig: Rig, part: str, code: str) -> None:
    flow = await rig.book.flow()
    stream = await rig.book.stream(flow, TaskAction.STREAM_EXPORT)
    sub_task = await rig.book.file(flow, stream, "a")
    await rig.turn()
    rig.executor.say(sub_task, Verdict.RETRY, checkpoint=RECORD, **TROUBLE)
    await rig.turn()
    registry, rig.registry = rig.registry, replace(rig.registry, **{part: {}})
    await rig.book.cancel(flow, stream, sub_task)
    await rig.pass_s(90_000)
    row = await rig.row(sub_task)
    assert (row.status, row.error_code) == (SubTaskStatus.CANCELING, code)
    assert rig.executor.intents(sub_task) == [Intent.MOVE]
    rig.registry = registry
    await rig.pass_s(15)
    assert rig.executor.transfer(sub_task).intent is Intent.WITHDRAW
    assert rig.executor.transfer(sub_task).checkpoint == RECORD
    rig.executor.say(sub_task, Verdict.CANCELED)
    await rig.turn()
    assert (await rig.row(sub_task)).status is SubTaskStatus.CANCELED


async def test_an_export_that_is_late_does_not_end_before_it_is_cleaned_up(rig: Rig) -> None:
    sub_task = await one(rig, action=TaskAction.STREAM_EXPORT)
    await rig.turn()
    for _ in range(8):
        rig.executor.say(sub_task, Verdict.RETRY, checkpoint=RECORD, **TROUBLE)
        await rig.turn()
        await rig.pass_s(1350)  # the longest wait there is
    await rig.restart()
    registry = rig.registry
    rig.without_bucket()
    for _ in range(3):
        await rig.pass_s(90_000)
    row = await rig.row(sub_task)
    assert (row.status, row.error_code) == (SubTaskStatus.RUNNING, "ChecksumMismatch")
    assert row.error_message.startswith("bytes differ (the last of 8 attempts); what it left behind waits")
    assert row.error_message.count("penstock bucket add") == 1
    rig.registry = registry
    await rig.pass_s(400)
    assert rig.executor.transfer(sub_task).intent is Intent.WITHDRAW
    rig.executor.say(sub_task, Verdict.CANCELED)
    await rig.turn()
    row = await rig.row(sub_task)
    assert (row.status, row.error_message) == (SubTaskStatus.FAILED, "bytes differ (the last of 8 attempts)")


async def test_tidying_waits_for_its_file_system(rig: Rig) -> None:
    sub_task = await one(rig)
    await rig.turn()
    registry, rig.registry = rig.registry, replace(rig.registry, file_systems={})
    rig.executor.say(sub_task, Verdict.COMPLETE, tidy=True)
    await rig.pass_s(90_000)
    assert rig.executor.intents(sub_task) == [Intent.MOVE]
    rig.registry = registry
    await rig.pass_s(450)
    assert rig.executor.intents(sub_task) == [Intent.MOVE, Intent.TIDY]
    row = await rig.row(sub_task)
    assert (row.status, row.error_message) == (SubTaskStatus.COMPLETE, "")


async def test_a_mover_that_is_gone_at_hand_over_costs_nothing(rig: Rig) -> None:
    sub_task = await one(rig)
    rig.executor.refuse_submits = True
    await rig.turn()
    assert (await rig.row(sub_task)).status is SubTaskStatus.RUNNING
    assert len(rig.engine.flights) == 0
    rig.executor.refuse_submits = False
    await rig.turn()
    assert rig.executor.transfer(sub_task).attempt >= 2
    assert (await rig.row(sub_task)).error_message == ""


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


async def test_a_checkpoint_is_durable_before_it_is_answered(rig: Rig) -> None:
    sub_task = await one(rig, action=TaskAction.STREAM_EXPORT)
    await rig.turn()
    rig.executor.ask(sub_task, RECORD, sequence=7)
    assert rig.executor.controls == []
    await rig.turn()
    assert rig.executor.controls[-1][1].checkpointed == (7,)
    rig.executor.die("mover-1.1", begun=[sub_task])
    await rig.turn()
    await rig.pass_s(1.0)
    assert rig.executor.transfer(sub_task).checkpoint == RECORD


async def test_a_checkpoint_of_a_lost_attempt_is_refused(rig: Rig) -> None:
    sub_task = await one(rig, action=TaskAction.STREAM_EXPORT)
    await rig.turn()
    await rig.book.catalog.rescue_all()  # as if this engine had been declared dead
    rig.executor.ask(sub_task, RECORD, sequence=7)
    await rig.engine.recorder.checkpoint_step()
    assert rig.executor.controls[-1][1].refused == (7,)
    rig.executor.ask(sub_task, RECORD, sequence=8, attempt=99)
    await rig.engine.recorder.checkpoint_step()
    assert rig.executor.controls[-1][1].refused == (8,)


async def test_an_outcome_of_a_lost_attempt_changes_nothing(rig: Rig) -> None:
    sub_task = await one(rig)
    await rig.turn()
    await rig.book.catalog.rescue_all()
    rig.executor.say(sub_task, Verdict.COMPLETE)
    await rig.engine.settler.step()
    assert (await rig.row(sub_task)).status is SubTaskStatus.RUNNING
    assert rig.engine.settler.unsettled == 0
    await rig.turn()
    assert rig.executor.transfer(sub_task).attempt == 2


async def test_a_catalog_that_cannot_settle_now_loses_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    sub_task = await one(rig)
    await rig.turn()

    async def refuse(_: object) -> None:
        raise CatalogUnavailableError("the disk is full")

    rig.executor.say(sub_task, Verdict.COMPLETE)
    with monkeypatch.context() as patch:
        patch.setattr(rig.book.catalog, "settle", refuse)
        with pytest.raises(CatalogUnavailableError):
            await rig.engine.settler.step()
    assert rig.engine.settler.unsettled == 1
    await rig.turn()
    assert (await rig.row(sub_task)).status is SubTaskStatus.COMPLETE


async def test_a_checkpoint_waits_while_the_catalog_is_away(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    sub_task = await one(rig, action=TaskAction.STREAM_EXPORT)
    await rig.turn()

    async def refuse(*_: object) -> None:
        raise CatalogUnavailableError("the disk is full")

    rig.executor.ask(sub_task, RECORD, sequence=7)
    with monkeypatch.context() as patch:
        patch.setattr(rig.book.catalog, "checkpoint", refuse)
        with pytest.raises(CatalogUnavailableError):
            await rig.engine.recorder.checkpoint_step()
    assert rig.executor.controls == []
    await rig.turn()
    assert rig.executor.controls[-1][1].checkpointed == (7,)


async def test_a_claim_whose_answer_was_lost_is_freed_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = await one(rig, "kept")
    await rig.turn()
    flow = await rig.book.flow("/other/")
    lost = await rig.book.file(flow, await rig.book.stream(flow), "lost")
    claim = rig.book.catalog.claim

    async def claim_and_lose(*args: object, **more: object) -> None:
        await claim(*args, **more)  # type: ignore[arg-type]
        raise CatalogUnavailableError("the answer was lost")

    with monkeypatch.context() as patch:
        patch.setattr(rig.book.catalog, "claim", claim_and_lose)
        with pytest.raises(CatalogUnavailableError):
            await rig.engine.runner.step()
    await rig.turn(3)
    assert (await rig.row(lost)).status is SubTaskStatus.RUNNING
    assert [transfer.sub_task_id for transfer in rig.moved()] == [kept]
    rig.executor.say(kept, Verdict.COMPLETE)  # the last flight under the old name
    await rig.turn()
    await rig.engine.keeper.rescue()
    await rig.turn()
    assert rig.executor.transfer(lost).attempt == 2


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
    assert (row.status, row.error_message) == (SubTaskStatus.RUNNING, "")


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


async def test_work_goes_to_the_mover_with_most_room(rig: Rig) -> None:
    await rig.restart(executor=FakeExecutor(movers=2))
    flow = await rig.book.flow()
    stream = await rig.book.stream(flow)
    for number in range(12):
        await rig.book.file(flow, stream, f"f{number}")
    await rig.turn()
    assert {mover: len(held) for mover, held in rig.executor.held.items()} == {"mover-1.1": 6, "mover-2.1": 6}


async def test_a_restart_takes_up_what_was_under_way(rig: Rig) -> None:
    flow = await rig.book.flow()
    stream = await rig.book.stream(flow)
    running = await rig.book.file(flow, stream, "a")
    canceling = await rig.book.file(flow, stream, "b")
    await rig.turn()
    await rig.book.cancel(flow, stream, canceling)
    await rig.restart()
    await rig.turn()
    assert rig.executor.transfer(running).attempt == 2
    assert rig.executor.transfer(canceling).intent is Intent.WITHDRAW
    rig.executor.say(running, Verdict.COMPLETE)
    rig.executor.say(canceling, Verdict.CANCELED)
    await rig.turn()
    assert (await rig.row(running)).status is SubTaskStatus.COMPLETE
    assert (await rig.row(canceling)).status is SubTaskStatus.CANCELED
    assert (await rig.row(running)).error_message == ""


async def test_nothing_is_taken_up_while_a_mover_of_an_earlier_service_lives(rig: Rig) -> None:
    sub_task = await one(rig)
    await rig.turn()
    executor = FakeExecutor()
    executor.occupied = True
    with pytest.raises(HomeInUseError):
        await rig.restart(executor=executor)
    claimed = await rig.book.claim((await rig.row(sub_task)).task_id)
    assert claimed == []


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


async def test_an_import_whose_bucket_is_gone_leaves_no_helper_files(rig: Rig) -> None:
    sub_task = await one(rig)
    await rig.turn()
    rig.executor.say(sub_task, Verdict.RETRY, **TROUBLE)
    await rig.turn()
    rig.without_bucket()
    await rig.pass_s(1)
    assert (await rig.row(sub_task)).error_code == "BucketNotRegistered"
    assert rig.executor.intents(sub_task) == [Intent.MOVE]
    await rig.pass_s(90_000)
    assert rig.executor.transfer(sub_task).intent is Intent.WITHDRAW
    rig.executor.say(sub_task, Verdict.CANCELED)
    await rig.turn()
    row = await rig.row(sub_task)
    assert (row.status, row.error_code) == (SubTaskStatus.FAILED, "BucketNotRegistered")


async def test_a_report_from_before_a_power_cut_does_not_end_an_attempt_that_has_its_number(rig: Rig) -> None:
    sub_task = await one(rig)
    forgetful = rig.book.path.with_name("before.db")
    shutil.copy(rig.book.path, forgetful)  # as the disk was before the claim
    shutil.copy(f"{rig.book.path}-wal", f"{forgetful}-wal")
    await rig.turn()
    old = rig.executor.transfer(sub_task)
    await rig.book.close()
    rig.book.path, rig.book.database = forgetful, SqliteDatabase(forgetful)
    await rig.book.open()
    await rig.restart()
    rig.executor.die(
        "mover-1.1"
    )  # its movers have other names: names are never used twice in one service, nor across its sockets
    await rig.turn()
    new = rig.executor.transfer(sub_task)
    assert (new.sub_task_id, new.attempt) == (old.sub_task_id, old.attempt)
    rig.executor.say_again(
        "mover-1.1",
        Outcome(sub_task_id=sub_task, attempt=old.attempt, verdict=Verdict.FAILED, code=FailureCode.INTERNAL),
    )
    await rig.turn()
    assert (await rig.row(sub_task)).status is SubTaskStatus.RUNNING
    rig.executor.say(sub_task, Verdict.COMPLETE)
    await rig.turn()
    assert (await rig.row(sub_task)).status is SubTaskStatus.COMPLETE
    recount(rig.book.path)


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
