"""Do all executors keep the contract: each attempt at most once, one outcome, certain deaths, stops that are heard?"""

from __future__ import annotations

import pytest

from penstock.engine.executor import MoverGoneError, MoverPurpose
from penstock.engine.messages import Control, Lane, Lease, Places
from penstock.errors import HomeInUseError
from penstock.model import FileSystem
from penstock.transfer.transfer import Transfer, Verdict
from tests.conformance.executor.conftest import Rig

pytestmark = pytest.mark.anyio


def attempt(moved: Transfer) -> tuple[str, int]:
    return moved.sub_task_id, moved.attempt


async def test_each_attempt_of_a_batch_ends_once(rig: Rig) -> None:
    mover = await rig.up()
    work = rig.hands.quick(40)
    rig.executor.submit(mover, Lease(transfers=tuple(work[:20])))
    rig.executor.submit(mover, Lease(transfers=tuple(work[20:])))
    outcomes = await rig.ended(*work)
    assert {outcome.verdict for outcome in outcomes} == {Verdict.COMPLETE}
    assert len(rig.inbox.outcomes) == 40
    assert {name for name, _ in rig.inbox.outcomes} == {mover}


async def test_an_attempt_that_is_there_already_is_not_taken_twice(rig: Rig) -> None:
    mover = await rig.up()
    (stuck,) = rig.hands.stuck(1)
    for _ in range(3):
        rig.executor.submit(mover, Lease(transfers=(stuck,), lane=Lane.LARGE))
    rig.executor.control(mover, Control(canceled=(attempt(stuck),)))
    await rig.ended(stuck)
    (last,) = rig.hands.quick(1)
    rig.executor.submit(mover, Lease(transfers=(last,)))
    await rig.ended(last)
    assert len(rig.inbox.of(stuck)) == 1


async def test_a_cancel_is_heard_by_what_runs_and_by_what_waits(rig: Rig) -> None:
    mover = await rig.up()
    work = rig.hands.stuck(4)  # two of them find a place
    rig.executor.submit(mover, Lease(transfers=tuple(work), lane=Lane.LARGE))
    rig.executor.control(mover, Control(canceled=(attempt(work[3]), attempt(work[0]))))
    outcomes = await rig.ended(work[3], work[0])
    assert [outcome.verdict for outcome in outcomes] == [Verdict.CANCELED] * 2
    assert not rig.inbox.of(work[1])


async def test_a_file_that_should_yield_is_returned(rig: Rig) -> None:
    mover = await rig.up()
    work = rig.hands.stuck(3)
    rig.executor.submit(mover, Lease(transfers=tuple(work), lane=Lane.LARGE))
    rig.executor.control(mover, Control(yielded=(attempt(work[0]), attempt(work[2]))))
    outcomes = await rig.ended(work[0], work[2])
    assert [outcome.verdict for outcome in outcomes] == [Verdict.RETURNED] * 2


async def test_a_drain_returns_what_waits_and_stops_what_is_large(rig: Rig) -> None:
    mover = await rig.up()
    work = rig.hands.stuck(5)
    rig.executor.submit(mover, Lease(transfers=tuple(work), lane=Lane.LARGE))
    rig.executor.control(mover, Control(drain=True))
    outcomes = await rig.ended(*work)
    assert [outcome.verdict for outcome in outcomes] == [Verdict.RETURNED] * 5


async def test_a_control_for_what_is_not_there_does_nothing(rig: Rig) -> None:
    mover = await rig.up()
    control = Control(canceled=(("nobody", 1),), fenced=(("nobody", 1),), checkpointed=(99,), refused=(98,))
    rig.executor.control(mover, control)
    rig.executor.control("mover-9.9", control)
    (work,) = rig.hands.quick(1)
    rig.executor.submit(mover, Lease(transfers=(work,)))
    assert (await rig.ended(work))[0].verdict is Verdict.COMPLETE


async def test_a_death_is_told_with_what_was_under_way(rig: Rig) -> None:
    mover = await rig.up()
    done = rig.hands.quick(3)
    rig.executor.submit(mover, Lease(transfers=tuple(done)))
    await rig.ended(*done)
    work = rig.hands.stuck(5)
    rig.executor.submit(mover, Lease(transfers=tuple(work), lane=Lane.LARGE))
    rig.executor.control(mover, Control(canceled=(attempt(work[4]),)))
    await rig.ended(work[4])
    await rig.until(lambda: len(rig.executor.begun(mover)) >= 2, "nothing is taken up, though there is place")
    rig.hands.kill(mover)
    await rig.until(lambda: rig.inbox.deaths, "the death was not told")
    (death,) = rig.inbox.deaths
    assert (death.mover, death.ordered) == (mover, False)
    assert death.begun == {attempt(work[0]), attempt(work[1])}
    assert "SIGKILL" in death.reason
    with pytest.raises(MoverGoneError):
        rig.executor.submit(mover, Lease(transfers=tuple(rig.hands.quick(1))))


async def test_another_mover_takes_the_place_of_a_dead_one(rig: Rig) -> None:
    mover = await rig.up()
    rig.hands.kill(mover)
    await rig.until(lambda: rig.work_mover() not in {"", mover}, "no other mover came up")
    work = rig.hands.quick(2)
    rig.executor.submit(rig.work_mover(), Lease(transfers=tuple(work)))
    await rig.ended(*work)
    assert rig.inbox.after_death == 0
    assert rig.inbox.rooms >= 1


async def test_the_quarantine_takes_work_whether_it_is_up_or_not(rig: Rig) -> None:
    await rig.up()
    (room,) = [one for one in rig.executor.movers() if one.purpose is MoverPurpose.QUARANTINE]
    work = rig.hands.quick(2)
    rig.executor.submit(room.mover, Lease(transfers=(work[0],)))
    await rig.ended(work[0])
    rig.executor.submit(room.mover, Lease(transfers=(work[1],)))
    await rig.ended(work[1])
    assert {name for name, _ in rig.inbox.outcomes} == {room.mover}


async def test_a_cancel_reaches_a_quarantine_that_is_not_up_yet(rig: Rig) -> None:
    await rig.up()
    (room,) = [one for one in rig.executor.movers() if one.purpose is MoverPurpose.QUARANTINE]
    (stuck,) = rig.hands.stuck(1)
    rig.executor.submit(room.mover, Lease(transfers=(stuck,), lane=Lane.LARGE))
    rig.executor.control(room.mover, Control(canceled=(attempt(stuck),)))
    assert (await rig.ended(stuck))[0].verdict is Verdict.CANCELED


async def test_what_is_registered_later_can_be_used(rig: Rig) -> None:
    mover = await rig.up()
    old = rig.hands.places
    added = FileSystem(file_system_id="bmcpfs-later", root=old.file_systems[0].root)
    rig.executor.place(Places(file_systems=(*old.file_systems, added), buckets=old.buckets))
    work = rig.hands.quick(1, file_system_id="bmcpfs-later")
    rig.executor.submit(mover, Lease(transfers=tuple(work)))
    assert (await rig.ended(*work))[0].verdict is Verdict.COMPLETE


async def test_home_is_not_vacated_while_a_mover_lives(rig: Rig) -> None:
    await rig.up()
    other = rig.hands.occupy()
    with pytest.raises(HomeInUseError):
        async with other.vacated():
            pytest.fail("entered while a mover lives")
    await rig.executor.close(grace_s=2.0)
    async with rig.hands.occupy().vacated():
        pass


async def test_closing_ends_all_movers_and_blames_nobody(rig: Rig) -> None:
    mover = await rig.up()
    work = rig.hands.stuck(2)
    rig.executor.submit(mover, Lease(transfers=tuple(work), lane=Lane.LARGE))
    await rig.executor.close(grace_s=2.0)
    assert mover in {death.mover for death in rig.inbox.deaths}
    assert all(death.ordered for death in rig.inbox.deaths)
    assert rig.executor.movers() == ()
    with pytest.raises(MoverGoneError):
        rig.executor.submit(mover, Lease(transfers=tuple(work)))


async def test_a_drain_reaches_a_quarantine_that_is_not_up_yet(rig: Rig) -> None:
    await rig.up()
    (room,) = [one for one in rig.executor.movers() if one.purpose is MoverPurpose.QUARANTINE]
    (work,) = rig.hands.stuck(1)
    rig.executor.submit(room.mover, Lease(transfers=(work,), lane=Lane.LARGE))
    rig.executor.control(room.mover, Control(drain=True))
    await rig.until(lambda: rig.inbox.of(work) or rig.inbox.deaths, "it was not handed back")
    assert all(outcome.verdict is Verdict.RETURNED for outcome in rig.inbox.of(work))
    assert all(death.ordered and not death.begun for death in rig.inbox.deaths)
