"""Does what waits for room go on soon after there is, and is a full place left in peace until then?"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import pytest

from penstock.engine.loops import FOREVER_S
from penstock.engine.options import RetryOptions
from penstock.engine.spaces import Spaces
from penstock.errors import FailureCode
from penstock.model import TaskAction
from penstock.transfer.transfer import Verdict
from tests.fixtures.ledger import FS
from tests.unit.engine.conftest import Rig

pytestmark = pytest.mark.anyio
OPTIONS = RetryOptions()
FULL: dict[str, Any] = {"code": FailureCode.NO_SPACE, "message": "full"}
AWAY: dict[str, Any] = {"code": FailureCode.FILE_SYSTEM_UNAVAILABLE, "message": "not mounted"}


def under_way(rig: Rig) -> list[str]:
    return [sub_task for held in rig.executor.held.values() for sub_task, _ in held]


async def end(rig: Rig, ids: list[str], verdict: Verdict = Verdict.RETRY, **more: Any) -> None:
    for sub_task in ids:
        rig.executor.say(sub_task, verdict, **more)
    await rig.turn()


async def look(rig: Rig, after_s: float) -> list[str]:
    """What is under way once the place has been looked at; the clock goes on."""
    await rig.pass_s(after_s)
    await rig.engine.spaces.step()
    await rig.turn()
    return under_way(rig)


async def stood_for_long(
    rig: Rig, number: int, action: TaskAction = TaskAction.STREAM_IMPORT, why: Mapping[str, Any] = FULL
) -> list[str]:
    """So many files that wait for minutes each, since there is no room."""
    flow = await rig.book.flow()
    task = await rig.book.stream(flow, action)
    ids = [await rig.book.file(flow, task, f"{each}") for each in range(number)]
    await rig.turn()
    for _ in range(8):
        await all_refused(rig, why)
        await rig.pass_s(2000)
    await all_refused(rig, why)
    await rig.engine.spaces.step()  # the looks that were due meanwhile
    await rig.turn()
    await all_refused(rig, why)
    return ids


async def all_refused(rig: Rig, why: Mapping[str, Any] = FULL) -> None:
    """They find no room, nor do those that come after them."""
    while found := under_way(rig):
        await end(rig, found, **why)


@pytest.mark.parametrize("why", [FULL, AWAY], ids=["full", "away"])
@pytest.mark.parametrize("action", [TaskAction.STREAM_IMPORT, TaskAction.STREAM_EXPORT])
async def test_one_is_tried_at_a_time_and_each_in_its_turn_while_there_is_no_room(
    rig: Rig, action: TaskAction, why: Mapping[str, Any]
) -> None:
    await rig.restart(
        jitter=cycle((0.99, 0.0, 0.5, 0.2)).__next__
    )  # who throws low is not tried again and again for that
    ids = await stood_for_long(rig, 3, action, why)
    tried: list[str] = []
    for _ in range(6):
        found = await look(rig, OPTIONS.room_look_max_s)
        assert len(found) == 1
        tried += found
        await end(rig, found, **why)
    assert sorted(tried[:3]) == sorted(ids)
    assert tried[3:] == tried[:3]
    assert (await rig.row(ids[0])).error_code == why["code"]


async def test_a_look_between_a_refusal_and_its_settlement_forgets_nothing(rig: Rig) -> None:
    """The catalog may be slow, or its disk full: nothing waits there yet for what was refused."""
    ids = await stood_for_long(rig, 1)
    assert await look(rig, OPTIONS.room_look_max_s) == ids
    rig.executor.say(ids[0], Verdict.RETRY, **FULL)
    for _ in range(3):
        rig.book.clock.pass_s(OPTIONS.room_look_max_s)
        await rig.engine.spaces.step()
    await rig.turn()
    assert await look(rig, OPTIONS.room_look_max_s) == ids


async def test_looks_become_more_seldom_up_to_a_minute_and_end_with_what_waits(rig: Rig) -> None:
    (only,) = await stood_for_long(rig, 1)
    for _ in range(4):
        found = await look(rig, OPTIONS.room_look_max_s)
        await end(rig, found, **FULL)
    await rig.engine.spaces.step()
    assert await rig.engine.spaces.step() <= OPTIONS.room_look_max_s
    assert await look(rig, OPTIONS.room_look_max_s / 2) == []
    assert await look(rig, OPTIONS.room_look_max_s / 2) == [only]
    await end(rig, [only], Verdict.COMPLETE)
    assert await look(rig, OPTIONS.room_look_max_s) == []
    assert await rig.engine.spaces.step() == FOREVER_S
    assert not rig.engine.spaces.are_full


async def test_once_files_arrive_there_are_more_each_time_until_one_is_refused(rig: Rig) -> None:
    await stood_for_long(rig, 20)
    counts = []
    found = await look(rig, OPTIONS.room_look_max_s)
    for _ in range(4):
        counts.append(len(found))
        await end(rig, found, Verdict.COMPLETE)
        found = await look(rig, OPTIONS.scout_every_s)
    assert counts == [1, 2, 4, 8]
    assert len(found) == 5
    await end(rig, found[1:], Verdict.COMPLETE)
    await end(rig, found[:1], **FULL)
    assert await look(rig, OPTIONS.room_look_max_s) == found[:1]


async def test_a_file_that_takes_long_lets_only_one_more_be_tried_at_a_time(rig: Rig) -> None:
    await stood_for_long(rig, 5)
    assert len(await look(rig, OPTIONS.room_look_max_s)) == 1
    assert len(await look(rig, OPTIONS.room_look_max_s)) == 2


async def test_a_new_service_looks_at_all_places(rig: Rig) -> None:
    ids = await stood_for_long(rig, 2)
    await rig.restart()
    found = await look(rig, 0)
    assert len(found) == 1
    assert set(found) < set(ids)


async def test_a_new_service_looks_only_where_something_waits(rig: Rig) -> None:
    def anew() -> Spaces:
        return Spaces(
            catalog=rig.book.catalog, options=OPTIONS, now_ns=rig.book.clock, wake=lambda: None, unsettled=lambda: 0
        )

    spaces = anew()
    await spaces.begin([FS, "another"], ["bucket"])
    assert not spaces.are_full
    assert await spaces.step() == FOREVER_S
    (only,) = await stood_for_long(rig, 1)
    unknown = anew()
    await unknown.begin(["another"], ["bucket"])
    assert not unknown.are_full
    await spaces.begin([FS, "another"], ["bucket"])
    assert await spaces.step() == OPTIONS.scout_every_s
    await rig.turn()
    assert under_way(rig) == [only]
