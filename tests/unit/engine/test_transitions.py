"""Are transitions ended at their very moment, without looking all the time and without waiting for other duties?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.engine.loops import FOREVER_S
from penstock.engine.options import EngineOptions, TransitionOptions
from penstock.model import DataFlowStatus
from tests.fixtures.ledger import FS
from tests.unit.engine.conftest import Rig

pytestmark = pytest.mark.anyio


async def delay(rig: Rig, seconds: float, *, told: float | None = None) -> None:
    """Changes take so long from now on; the engine may be told otherwise, as after a restart."""
    rig.book.bounds = replace(rig.book.bounds, transition_delay_s=seconds)
    await rig.book.reopen()
    delay_s = seconds if told is None else told
    await rig.restart(options=EngineOptions(transitions=TransitionOptions(delay_s=delay_s)))


async def status(rig: Rig, flow: str) -> DataFlowStatus:
    return (await rig.book.catalog.data_flow(FS, flow)).status


async def test_it_comes_back_at_the_moment_of_the_next_end(rig: Rig) -> None:
    await delay(rig, 100)
    assert await rig.engine.transitions.step() == 100
    rig.book.clock.pass_s(30)
    first = await rig.book.flow("/a/", "a")
    rig.book.clock.pass_s(40)
    second = await rig.book.flow("/b/", "b")
    rig.book.clock.pass_s(30)
    assert await rig.engine.transitions.step() == 30
    rig.book.clock.pass_s(30)
    assert await rig.engine.transitions.step() == 40
    assert (await status(rig, first), await status(rig, second)) == ("Running", "Starting")
    rig.book.clock.pass_s(40)
    assert await rig.engine.transitions.step() == 100
    assert await status(rig, second) is DataFlowStatus.RUNNING


@pytest.mark.parametrize("seconds", [0.01, 0.3, 60, 3600])
async def test_no_end_is_missed_by_more_than_a_moment(rig: Rig, seconds: float) -> None:
    """Begun right after a look, a transition ends with the next look, or at its own moment."""
    await delay(rig, seconds)
    pause_s = await rig.engine.transitions.step()
    flow = await rig.book.flow()
    late_s = 0.0
    while await status(rig, flow) is not DataFlowStatus.RUNNING:
        rig.book.clock.pass_s(pause_s)
        late_s += pause_s
        pause_s = await rig.engine.transitions.step()
    assert late_s <= seconds + 0.25


async def test_without_a_delay_it_looks_once_and_never_again(rig: Rig) -> None:
    assert await rig.engine.transitions.step() == FOREVER_S


async def test_what_an_earlier_service_began_is_ended_all_the_same(rig: Rig) -> None:
    await delay(rig, 50, told=0)
    flow = await rig.book.flow()
    assert await rig.engine.transitions.step() == 50
    rig.book.clock.pass_s(50)
    assert await rig.engine.transitions.step() == FOREVER_S
    assert await status(rig, flow) is DataFlowStatus.RUNNING


async def test_a_clock_that_was_set_back_makes_it_look_again_in_time(rig: Rig) -> None:
    await delay(rig, 10)
    await rig.book.flow()
    rig.book.clock.pass_s(-1000)
    assert await rig.engine.transitions.step() == 10  # not 1010
