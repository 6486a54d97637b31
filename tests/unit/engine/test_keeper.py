"""Are leases renewed, history pruned, waiting work expired, buckets watched, each duty without harm to the others?"""

from __future__ import annotations

import pytest

from penstock.errors import BucketNotFoundError, CatalogUnavailableError, PermissionDeniedError, StoreUnavailableError
from penstock.model import DataFlowStatus, SubTaskStatus
from penstock.transfer.transfer import Verdict
from tests.fixtures.ledger import FS
from tests.fixtures.memorystore import Fault, Raise
from tests.unit.engine.conftest import Rig

pytestmark = pytest.mark.anyio

DAY_S = 86_400
TAGGED = {"cpfs-dataflow": "true"}


async def flow_status(rig: Rig, flow: str) -> DataFlowStatus:
    return (await rig.book.catalog.data_flow(FS, flow)).status


async def test_leases_of_living_work_never_end(rig: Rig) -> None:
    flow = await rig.book.flow()
    sub_task = await rig.book.file(flow, await rig.book.stream(flow), "a")
    await rig.turn()
    for _ in range(20):
        rig.book.clock.pass_s(300)  # far beyond a lease: as after a suspended machine
        await rig.engine.keeper.step()
        await rig.turn()
    assert (await rig.row(sub_task)).attempt == 1
    rig.executor.say(sub_task, Verdict.COMPLETE)
    await rig.turn()
    assert (await rig.row(sub_task)).status is SubTaskStatus.COMPLETE


async def test_a_clock_that_is_put_forward_by_a_day_takes_nothing_from_living_work(rig: Rig) -> None:
    flow = await rig.book.flow()
    sub_task = await rig.book.file(flow, await rig.book.stream(flow), "a")
    await rig.turn()
    rig.book.clock.pass_s(DAY_S)
    await rig.turn()
    await rig.engine.keeper.step()
    await rig.turn()
    assert (await rig.row(sub_task)).attempt == 1
    rig.executor.say(sub_task, Verdict.COMPLETE)
    await rig.turn()
    assert (await rig.row(sub_task)).status is SubTaskStatus.COMPLETE


async def test_who_stands_still_between_renewing_and_looking_voids_nothing_of_his_own(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = await rig.book.flow()
    await rig.book.file(flow, await rig.book.stream(flow), "a")
    await rig.turn()
    renew = rig.engine.keeper.renew

    async def renewed() -> int:
        changed = await renew()
        rig.book.clock.pass_s(3600)
        return changed

    monkeypatch.setattr(rig.engine.keeper, "renew", renewed)
    assert await rig.engine.keeper.rescue() == 0
    await rig.turn()
    assert len(rig.engine.flights) == 1


async def test_what_another_dead_engine_held_is_freed(rig: Rig) -> None:
    flow = await rig.book.flow()
    stream = await rig.book.stream(flow)
    sub_task = await rig.book.file(flow, stream, "a")
    await rig.book.claim(stream, owner="dead")
    await rig.engine.keeper.step()
    await rig.turn()
    assert rig.moved() == []
    rig.book.clock.pass_s(61)
    await rig.engine.keeper.step()
    await rig.turn()
    assert rig.executor.transfer(sub_task).attempt == 2


async def test_what_waits_too_long_expires(rig: Rig) -> None:
    rig.executor.closed = True  # no mover takes work
    flow = await rig.book.flow()
    sub_task = await rig.book.file(flow, await rig.book.stream(flow), "a")
    rig.book.clock.pass_s(6.9 * DAY_S)
    await rig.engine.keeper.step()
    assert (await rig.row(sub_task)).status is SubTaskStatus.CREATED
    rig.book.clock.pass_s(0.2 * DAY_S)
    await rig.engine.keeper.step()
    assert (await rig.row(sub_task)).status is SubTaskStatus.EXPIRED


async def test_old_history_is_forgotten(rig: Rig) -> None:
    flow = await rig.book.flow()
    sub_task = await rig.book.file(flow, await rig.book.stream(flow), "a")
    await rig.turn()
    rig.executor.say(sub_task, Verdict.COMPLETE)
    await rig.turn()
    rig.book.clock.pass_s(89 * DAY_S)
    await rig.engine.keeper.step()
    assert (await rig.row(sub_task)).status is SubTaskStatus.COMPLETE
    rig.book.clock.pass_s(2 * DAY_S)
    await rig.engine.keeper.step()
    with pytest.raises(ValueError, match="not enough values"):
        await rig.row(sub_task)


async def test_one_failing_duty_keeps_no_other_from_being_done(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    flow = await rig.book.flow()
    stream = await rig.book.stream(flow)
    await rig.book.file(flow, stream, "a")
    await rig.book.claim(stream, owner="dead")
    rig.book.clock.pass_s(61)

    async def refuse(**_: object) -> int:
        raise CatalogUnavailableError("the disk is full")

    monkeypatch.setattr(rig.book.catalog, "expire", refuse)
    assert await rig.engine.keeper.step() > 0
    assert "keeper.duty_failed" in caplog.text
    assert "duty=expire" in caplog.text
    await rig.turn()
    assert len(rig.moved()) == 1


@pytest.mark.rule("FLOW-16")
async def test_a_bucket_without_its_tag_makes_the_dataflow_misconfigured_and_it_returns(rig: Rig) -> None:
    flow = await rig.book.flow()
    await rig.engine.tags.step()
    assert await flow_status(rig, flow) is DataFlowStatus.MISCONFIGURED
    assert (await rig.book.catalog.data_flow(FS, flow)).error_message == "SourceStorageUnreachable"
    rig.stores["bucket"].tags.update(TAGGED)
    rig.book.clock.pass_s(59)
    assert await rig.engine.tags.step() <= 1.0
    assert await flow_status(rig, flow) is DataFlowStatus.MISCONFIGURED
    rig.book.clock.pass_s(1)
    await rig.engine.tags.step()
    assert await flow_status(rig, flow) is DataFlowStatus.RUNNING


@pytest.mark.parametrize(
    "error", [StoreUnavailableError("500"), PermissionDeniedError("403"), RuntimeError("a bug")], ids=repr
)
async def test_only_a_definite_word_counts(rig: Rig, error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    flow = await rig.book.flow()
    rig.stores["bucket"].tags.update(TAGGED)
    rig.stores["bucket"].script(Fault("bucket_tags", action=Raise(error)))
    await rig.engine.tags.step()
    assert await flow_status(rig, flow) is DataFlowStatus.RUNNING
    assert "keeper.tags_unread" in caplog.text


async def test_a_bucket_that_is_gone_counts(rig: Rig) -> None:
    flow = await rig.book.flow()
    rig.stores["bucket"].script(Fault("bucket_tags", action=Raise(BucketNotFoundError("gone"))))
    await rig.engine.tags.step()
    assert await flow_status(rig, flow) is DataFlowStatus.MISCONFIGURED


async def test_a_bucket_that_is_not_registered_any_more_counts(rig: Rig) -> None:
    flow = await rig.book.flow()
    rig.stores["bucket"].tags.update(TAGGED)
    rig.without_bucket()
    rig.engine.registry_changed()
    await rig.engine.tags.step()
    assert await flow_status(rig, flow) is DataFlowStatus.MISCONFIGURED


async def test_a_refusal_makes_the_keeper_look_sooner_but_not_all_the_time(rig: Rig) -> None:
    flow = await rig.book.flow()
    rig.stores["bucket"].tags.update(TAGGED)
    await rig.engine.tags.step()
    rig.stores["bucket"].tags.clear()
    rig.engine.tags.ask()
    await rig.engine.tags.step()
    assert await flow_status(rig, flow) is DataFlowStatus.RUNNING
    rig.book.clock.pass_s(5)
    await rig.engine.tags.step()
    assert await flow_status(rig, flow) is DataFlowStatus.MISCONFIGURED
