"""Does an auto-refresh import what has changed in the bucket, each change once, and nothing else, whatever comes between?"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from penstock.catalog.verbs import DataFlowQuery, Settling, TaskQuery
from penstock.engine import refresher
from penstock.errors import StoreUnavailableError
from penstock.model import AutoRefresh, ConflictPolicy, RefreshPolicy, Task, TaskAction, TaskStatus
from tests.fixtures.faultscript import Fault, Raise
from tests.fixtures.ledger import FS, SECOND_NS
from tests.unit.engine.conftest import Rig

pytestmark = pytest.mark.anyio

INTERVAL_S = 600


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresher, "OBJECTS_MAX", 3)


async def refreshed(rig: Rig, *paths: str) -> str:
    """A dataflow whose bucket is looked at every ten minutes."""
    flow = await rig.book.flow()
    on = RefreshPolicy.IMPORT_CHANGED
    await rig.book.catalog.refreshes.apply(
        rig.book.call(), FS, flow, paths=paths or ["/live/"], policy=on, interval_minutes=10
    )
    return flow


def seed(rig: Rig, *keys: str, content: bytes = b"1") -> None:
    for key in keys:
        rig.stores["bucket"].seed(key, content, modified_ns=rig.book.clock.ns - 2 * SECOND_NS)


async def step(rig: Rig) -> bool:
    """A step, once the page that was asked for has come; whether a look is under way still."""
    await rig.engine.refresher.step()
    pages = [look.asked for look in rig.engine.refresher._looks.values() if look.asked is not None]
    if pages:
        await asyncio.wait(pages)
    return any(one.look_ns for one in await rig.book.catalog.refreshes.every())


async def look(rig: Rig) -> None:
    """Until the look that is due is over."""
    for _ in range(1000):
        if not await step(rig):
            return
    raise AssertionError("the look does not end")


async def later(rig: Rig) -> None:
    """The look of an interval later."""
    rig.book.clock.pass_s(INTERVAL_S)
    await look(rig)


async def tasks(rig: Rig) -> Sequence[Task]:
    """Those that nobody made, newest first."""
    query = TaskQuery(file_system_id=FS, originators=["System"])
    return (await rig.book.catalog.tasks(query, next_token="", limit=100)).items


async def moved(rig: Rig, *, failing: str = "") -> list[str]:
    """Move what the newest look has found, and end its task; the keys."""
    newest = (await tasks(rig))[0]
    if newest.status is not TaskStatus.EXECUTING:
        return []
    sources: list[str] = []
    while claimed := await rig.book.claim(newest.task_id):
        for one in claimed:
            sources.append(one.sub_task.source[1:])
            assert one.sub_task.target == f"/data{one.sub_task.source}"
            failed = {"error_code": "PermissionDenied", "error_message": "no"}
            if sources[-1] == failing:
                await rig.book.settle(one, Settling.FAILED, **failed)
            else:
                await rig.book.settle(one)
    await rig.book.catalog.batches.report(newest.task_id, limit=10_000)
    assert await rig.book.catalog.batches.end(newest.task_id, report_path="")
    return sorted(sources)


@pytest.mark.rule("REFRESH-5")
async def test_what_is_new_or_changed_is_imported_once_and_the_rest_is_only_listed(rig: Rig) -> None:
    seed(rig, "live/a", "live/b", "live/c/d", "live/e/", "other/a", "live/.penstock-reports/x")
    await refreshed(rig)
    await look(rig)
    assert await moved(rig) == ["live/a", "live/b", "live/c/d"]
    (task,) = await tasks(rig)
    policy = ConflictPolicy.KEEP_LATEST
    assert (task.action, task.conflict_policy, task.includes) == (TaskAction.IMPORT, policy, '["/live/"]')
    assert (await tasks(rig))[0].status is TaskStatus.COMPLETED
    await rig.engine.refresher.step()  # it is not time yet
    before = len(rig.stores["bucket"].calls)
    await later(rig)
    asked = rig.stores["bucket"].calls[before:]
    assert [call.verb for call in asked] == ["list_objects", "list_objects"]
    assert len(await tasks(rig)) == 1, "nothing has changed: nobody made a task"
    seed(rig, "live/b", content=b"2")
    rig.stores["bucket"].remove("live/a")
    await later(rig)
    assert await moved(rig) == ["live/b"]
    await later(rig)
    assert len(await tasks(rig)) == 2


async def test_changes_of_every_kind_are_seen_wherever_pages_begin(rig: Rig) -> None:
    chance = random.Random(7)
    names = [f"live/{number:02}" for number in range(40)]
    flow = await refreshed(rig)
    wanted: set[str] = set()
    for _ in range(40):
        await later(rig)
        assert (
            await moved(rig) == sorted(wanted)
            if wanted
            else not [task for task in await tasks(rig) if task.status is TaskStatus.EXECUTING]
        )
        wanted = {name for name in names if chance.random() < 0.06}
        seed(rig, *wanted, content=chance.randbytes(4))
        for name in names:
            if name not in wanted and chance.random() < 0.03:
                rig.stores["bucket"].remove(name)
    known = await rig.book.catalog.refreshes.known(flow, "live/", "live0")
    assert sum(len(portion.marks) for portion in known) < len(rig.stores["bucket"].keys()) + 5, (
        "what is gone is forgotten"
    )


@pytest.mark.rule("REFRESH-6")
async def test_what_could_not_be_imported_is_tried_by_the_next_look(rig: Rig) -> None:
    seed(rig, "live/a", "live/b", "live/c", "live/d")
    await refreshed(rig)
    await look(rig)
    assert len(await moved(rig, failing="live/b")) == 4
    await later(rig)
    assert await moved(rig) == ["live/b"]
    await later(rig)
    assert len(await tasks(rig)) == 2


async def test_a_look_that_a_crash_broke_off_brings_nothing_twice(rig: Rig) -> None:
    seed(rig, *(f"live/{number}" for number in range(8)))
    await refreshed(rig)
    while not (found := await tasks(rig)) or found[0].counters.accepted < 6:
        await step(rig)
    await rig.restart()
    await look(rig)
    assert await moved(rig) == [f"live/{number}" for number in range(8)]
    assert len(await tasks(rig)) == 1


@pytest.mark.rule("REFRESH-8")
async def test_a_look_is_left_out_while_what_the_last_one_found_is_not_moved(rig: Rig) -> None:
    seed(rig, "live/a")
    flow = await refreshed(rig)
    await look(rig)
    seed(rig, "live/b")
    await later(rig)
    assert (await described(rig, flow)).is_late
    assert await moved(rig) == ["live/a"]
    rig.book.clock.pass_s(INTERVAL_S - 1)
    await rig.engine.refresher.step()
    assert len(await tasks(rig)) == 1, "it is not time yet"
    await later(rig)
    assert await moved(rig) == ["live/b"]
    assert not (await described(rig, flow)).is_late


async def described(rig: Rig, flow: str) -> AutoRefresh:
    query = DataFlowQuery(file_system_id=FS, data_flow_ids=[flow])
    (found,) = (await rig.book.catalog.data_flows(query, next_token="", limit=10)).items
    return found.auto_refresh


@pytest.mark.rule("REFRESH-7")
async def test_a_batch_that_somebody_made_comes_first_and_all_rests_while_stopped(rig: Rig) -> None:
    seed(rig, "live/a")
    catalog, call = rig.book.catalog, rig.book.call
    flow = await refreshed(rig)
    batches = [await rig.book.stream(flow, TaskAction.EXPORT) for _ in range(4)]
    await look(rig)
    assert await tasks(rig) == ()
    for task in batches:
        await catalog.cancel_task(call(), FS, flow, task)
    await catalog.stop_data_flow(call(), FS, flow)
    await look(rig)
    assert await tasks(rig) == ()
    await catalog.start_data_flow(call(), FS, flow)
    await look(rig)
    batches = [await rig.book.stream(flow, TaskAction.EXPORT) for _ in range(4)]
    assert await catalog.batches.begin() == 4, "that of the auto-refresh takes none of their places"
    assert await moved(rig) == ["live/a"]


async def test_an_outage_is_waited_out_and_a_clock_that_was_put_back_delays_nothing(rig: Rig) -> None:
    seed(rig, "live/a", "live/b", "live/c", "live/d")
    await refreshed(rig)
    rig.stores["bucket"].script(Fault("list_objects", nth=2, action=Raise(StoreUnavailableError("cut off"))))
    for _ in range(6):
        assert await step(rig), "the look is not over"
    rig.book.clock.pass_s(2)
    await look(rig)
    assert await moved(rig) == ["live/a", "live/b", "live/c", "live/d"]
    rig.book.clock.pass_s(-86_400)
    seed(rig, "live/a", content=b"2")
    await look(rig)
    assert await moved(rig) == ["live/a"]


async def test_what_could_be_written_again_within_the_same_second_is_left_until_it_cannot(rig: Rig) -> None:
    seed(rig, "live/a", "live/b")
    bucket, now_ns = rig.stores["bucket"], rig.book.clock.ns
    bucket.seed("live/b", b"first", modified_ns=now_ns)
    await refreshed(rig)
    for _ in range(4):
        assert await step(rig)
    assert await tasks(rig) == ()
    rig.book.clock.pass_s(1.5)
    bucket.seed("live/b", b"later", modified_ns=now_ns)
    bucket.seed("live/c", b"too late for this look", modified_ns=rig.book.clock.ns)
    await look(rig)
    assert await moved(rig) == ["live/a", "live/b"]
    await later(rig)
    assert await moved(rig) == ["live/c"]


async def test_it_ends_with_its_path_its_task_and_its_dataflow(rig: Rig) -> None:
    seed(rig, "live/a", "more/a")
    catalog, call = rig.book.catalog, rig.book.call
    flow = await refreshed(rig, "/live/", "/more/")
    await look(rig)
    (task,) = await tasks(rig)
    await catalog.cancel_task(call(), FS, flow, task.task_id)
    assert await catalog.batches.withdraw(task.task_id, limit=9) == 2
    await catalog.batches.report(task.task_id, limit=9)
    await catalog.batches.end(task.task_id, report_path="")
    await catalog.refreshes.cancel(call(), FS, flow, "/live/")
    await later(rig)
    assert await moved(rig) == ["more/a"], "it was not moved before"
    await catalog.delete_data_flow(call(), FS, flow)
    assert await catalog.refreshes.every() == []
    await catalog.prune(sub_tasks_before_ns=0, tokens_before_ns=0, nonces_before_ns=0, limit=100)
    assert rig.book.count("refreshes") == rig.book.count("refresh_known") == 0
