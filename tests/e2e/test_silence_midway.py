"""A store that falls silent in the middle of what it moves: who else goes on, who is told what, and how soon it is over."""

from __future__ import annotations

from contextlib import closing

from tests.e2e.sdk import Flow
from tests.e2e.test_silence import (
    FEW_LARGE,
    LARGE,
    SMALL,
    World,
    cancel_all,
    content,
    is_complete,
    is_final,
    is_final_or_explained,
    settled,
    submitted,
    world,
)
from tests.fixtures.stopwatch import Stopwatch
from tests.fixtures.waiting import wait_until

__all__ = ["world"]  # the fixture

HALFWAY = SMALL[:12] + LARGE[:4]
LATER = ("small200", "large8")
MIB = 1 << 20
WELL_S = 25.0  # before the first read of the silent store has timed out
CANCELED_S = 10.0
BACK_S = 35.0  # a scout every ten seconds, and then everything once more
STOP_S = 15.0


def test_a_store_that_falls_silent_halfway_holds_up_nobody_and_is_waited_for_no_longer_than_it_is_silent(
    world: World,
) -> None:
    silent = [world.flow(world.silent, action, names=HALFWAY + LATER) for action in ("StreamImport", "StreamExport")]
    well = [world.flow(world.well, action, names=FEW_LARGE) for action in ("StreamImport", "StreamExport")]
    world.proxy.fall_silent_after(48 * MIB)
    moves = submitted(silent, HALFWAY)
    wait_until(lambda: world.proxy.is_silent, WELL_S, "too little was moved")

    watch = Stopwatch()
    settled(submitted(well, FEW_LARGE), is_complete, WELL_S)  # all places for parts were held
    print(f"others went on after {watch.took_s():.1f} s")

    left = [(flow, farthest_first(flow, ids)) for flow, ids in moves]
    assert all(any(name.startswith("large") for name in ids) for _, ids in left)
    canceled = [(flow, dict(list(ids.items())[::3])) for flow, ids in left]  # one at least has an upload to be aborted
    kept = [
        (flow, {name: ids[name] for name in ids.keys() - gone.keys()})
        for (flow, ids), (_, gone) in zip(left, canceled, strict=True)
    ]
    cancel_all(canceled)
    ended = settled(canceled[:1], is_final, CANCELED_S)
    assert {item["Status"] for item in ended.values()} == {"CANCELED"}
    told = settled(canceled[1:], is_final_or_explained, CANCELED_S)
    assert any(item["Status"] == "CANCELING" for item in told.values())
    told |= {one: flow.describe(one) for flow, ids in kept for one in ids.values()}
    assert not [item for item in told.values() if "Throttled" in item["ErrorMsg"]]
    print(f"silent for {watch.took_s():.1f} s")

    world.proxy.speak()
    watch = Stopwatch()
    settled(kept, is_complete, BACK_S)
    ended = settled(canceled, is_final, BACK_S)
    print(f"all were done {watch.took_s():.1f} s after it spoke again")
    with closing(world.store(world.silent)) as store:
        there = {info.key.rpartition("/")[2]: info for info in store.list_objects(prefix="StreamExport").objects}
    for name, one in (canceled[1][1] | kept[1][1]).items():
        is_there = one not in ended or ended[one]["Status"] == "COMPLETE"  # its answer was lost in the silence
        assert (name in there) is is_there
        assert not is_there or there[name].size_bytes == len(content(name))

    world.proxy.fall_silent_after(8 * MIB)
    submitted(silent, LATER)
    wait_until(lambda: world.proxy.is_silent and world.proxy.heard >= 3, WELL_S, "too little was moved")
    watch = Stopwatch()
    assert world.service.stop() == 0
    print(f"stopped within {watch.took_s():.1f} s")
    assert watch.took_s() < STOP_S


def farthest_first(flow: Flow, ids: dict[str, str]) -> dict[str, str]:
    """Those that are not final: what has moved most, first."""
    rows = {name: flow.describe(one) for name, one in ids.items()}
    left = [name for name, row in rows.items() if not is_final(row)]
    return {name: ids[name] for name in sorted(left, key=lambda name: -int(rows[name]["ProgressStats"]["BytesDone"]))}
