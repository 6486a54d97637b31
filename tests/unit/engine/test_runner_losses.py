"""When movers, answers, or the catalog are lost in the midst of work, is nothing lost with them, and nothing done twice?"""

from __future__ import annotations

import shutil

import msgspec
import pytest

from penstock.catalog.sqlite import SqliteDatabase
from penstock.errors import CatalogUnavailableError, FailureCode, HomeInUseError
from penstock.model import SubTaskStatus, TaskAction
from penstock.transfer.transfer import Intent, Outcome, Verdict
from tests.fixtures.fakeexecutor import FakeExecutor
from tests.fixtures.ledger import recount
from tests.unit.engine.conftest import RECORD, TROUBLE, Rig, one

pytestmark = pytest.mark.anyio


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
