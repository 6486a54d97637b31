"""Is what people are shown of the engine true: who moves, how fast, part by part, and how all that it needs is?"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from penstock.catalog.live import Limiter, Soundness
from penstock.catalog.shown import Shown
from penstock.catalog.views import Browse, Standing
from penstock.engine.messages import BucketFigures, Figures, MethodFigures, PartsMoved, Report
from penstock.engine.sight import Sight
from penstock.engine.soundness import MountTrouble
from penstock.errors import FailureCode
from penstock.model import FileDetail, TaskAction
from penstock.transfer.transfer import Progress, Verdict
from tests.fixtures.ledger import FS
from tests.unit.engine.conftest import Rig, one

MIB = 1 << 20
DETAIL = FileDetail(modify_time_ns=1, size_bytes=100 * MIB)


@dataclass(slots=True)
class Seen:
    """An engine, and what is shown of it."""

    rig: Rig
    mounts: dict[str, MountTrouble] = field(default_factory=dict)
    idle: float | None = None
    sight: Sight = field(init=False)
    shown: Shown = field(init=False)

    def __post_init__(self) -> None:
        engine = self.rig.engine
        self.sight = engine.sight(self.rig.executor, mounts=lambda: self.mounts, idle=lambda: self.idle)
        self.shown = Shown(self.rig.book.catalog.reading, self.sight)

    def tell(self, sub_task: str, done: int, cells: str = "") -> None:
        """A mover says how far it is."""
        (mover,) = (name for name, held in self.rig.executor.held.items() if (sub_task, 1) in held)
        progress = Progress(
            sub_task_id=sub_task,
            attempt=1,
            bytes_total=100 * MIB,
            bytes_done=done,
            actual_bytes=done,
            moving_ns=1,
            detail=DETAIL,
        )
        parts = PartsMoved(
            sub_task_id=sub_task,
            attempt=1,
            part_size_bytes=25 * MIB,
            parts=len(cells),
            done=cells.count("#"),
            moving=cells.count(">"),
            cells=cells,
        )
        report = Report(mover=mover, progress=(progress,), parts=(parts,) if cells else ())
        self.rig.engine.settler.report(report)

    async def limiter(self) -> tuple[Limiter, str]:
        view = await self.shown.pulse([FS])
        assert view is not None
        return view.limit.limiter, view.limit.about


@pytest.fixture
def seen(rig: Rig) -> Seen:
    return Seen(rig)


async def test_a_file_that_moves_is_shown_with_its_speed_parts_and_end(seen: Seen) -> None:
    rig, clock = seen.rig, seen.rig.book.clock
    sub_task = await one(rig)
    assert seen.shown.flying([FS]) == ()
    await rig.turn()
    (waits,) = seen.shown.flying([FS])
    assert (waits.is_moving, waits.speed, waits.eta_s, waits.parts) == (False, 0, None, None)
    clock.pass_s(1)
    seen.tell(sub_task, 10 * MIB, "#>..")
    clock.pass_s(1)
    seen.tell(sub_task, 20 * MIB, "#>>.")
    (flying,) = seen.shown.flying([FS])
    assert (flying.sub_task_id, flying.bytes_done, flying.speed, flying.eta_s) == (sub_task, 20 * MIB, 10 * MIB, 8)
    assert flying.parts is not None
    assert (flying.parts.cells, flying.parts.done, flying.parts.moving, flying.parts.parts) == ("#>>.", 1, 2, 4)
    assert seen.shown.flying_of(sub_task) == flying
    sheet = await seen.shown.browse(Browse(file_systems=(FS,)))
    assert [item.sub_task.bytes_done for item in sheet.items] == [20 * MIB]  # the catalog may not know yet
    detail = await seen.shown.detail([FS], sub_task)
    assert (detail.kept.listed.sub_task.bytes_done, detail.flying) == (20 * MIB, flying)
    clock.pass_s(10)
    stands = seen.shown.flying_of(sub_task)
    assert stands is not None
    assert (stands.speed, stands.eta_s) == (0, None)
    assert seen.shown.flying(["bmcpfs-other"]) == ()
    rig.executor.say(sub_task, Verdict.COMPLETE)
    assert seen.shown.flying_of(sub_task) is None


async def test_totals_only_grow_and_speeds_fade(seen: Seen) -> None:
    rig, clock = seen.rig, seen.rig.book.clock
    into = await one(rig)
    out = await rig.book.file(
        flow := await rig.book.flow("/out/"), await rig.book.stream(flow, TaskAction.STREAM_EXPORT), "b"
    )
    await rig.turn()
    clock.pass_s(1)
    for sub_task, done in ((into, 30 * MIB), (out, 6 * MIB), (into, 60 * MIB)):
        seen.tell(sub_task, done)
    rig.executor.say(out, Verdict.COMPLETE)
    overview = await seen.shown.overview([FS])
    engine = overview.engine
    assert engine is not None
    assert (engine.moved.bytes_in, engine.moved.bytes_out, engine.moved.files_out) == (60 * MIB, 6 * MIB, 1)
    assert (engine.speed.bytes_in_per_s, engine.speed.bytes_out_per_s) == (20 * MIB, 2 * MIB)
    pulse = engine.flows[flow]
    assert (pulse.moved.bytes_out, pulse.moved.bytes_in, pulse.moving) == (6 * MIB, 0, 0)
    assert engine.moving == len(overview.flying) == 1
    clock.pass_s(4)
    later = await seen.shown.pulse([FS])
    assert later is not None
    assert later.moved == engine.moved
    assert (later.speed.bytes_in_per_s, later.speed.files_per_s) == (0, 0)
    hidden = await seen.shown.pulse(["bmcpfs-other"])
    assert hidden is not None
    assert (hidden.moved.bytes_in, hidden.flows, hidden.mounts, hidden.buckets) == (0, {}, (), ())


def pace(**more: float | None) -> Figures:
    """What a mover says of the bucket."""
    method = MethodFigures(method="GET", ok=5, throttled=1, unavailable=2, refused=3, latency_slots=(), latency_s=0.0)
    plain = BucketFigures(
        bucket="bucket", window=8.0, rate_per_s=None, in_flight=1, waiting=0, pause_s=0.0, methods=(method,)
    )
    return Figures(cpu_s=2.0, resident_bytes=7, buckets=(replace(plain, **more),))  # type: ignore[arg-type]


async def test_what_limits_the_speed_is_named(seen: Seen) -> None:
    rig, executor = seen.rig, seen.rig.executor
    assert await seen.limiter() == (Limiter.NOTHING_TO_DO, "")
    await one(rig)
    await rig.turn()
    assert await seen.limiter() == (Limiter.STORE_TIME, "bucket")
    executor.told = pace(paused_s=2.0)
    assert await seen.limiter() == (Limiter.BUCKET_THROTTLES, "bucket")
    executor.told = pace(rate_per_s=3.0, waiting=4)
    assert await seen.limiter() == (Limiter.BUCKET_THROTTLES, "bucket")
    executor.told = pace(waiting=4, in_flight=8)
    assert await seen.limiter() == (Limiter.BUCKET_SLOW, "bucket")
    (flow,) = (await rig.book.catalog.reading.overview([FS])).flows
    executor.waiting_for_rates = frozenset({flow.flow.data_flow_id})
    assert await seen.limiter() == (Limiter.THROUGHPUT, flow.flow.data_flow_id)
    executor.waiting_for_rates = frozenset()
    executor.told = pace(parts=4, away=3)
    assert await seen.limiter() == (Limiter.FILE_SYSTEM_SLOW, FS)
    executor.told = replace(pace(), slow_file_systems=(FS,))
    assert await seen.limiter() == (Limiter.FILE_SYSTEM_SLOW, FS)
    seen.idle = 0.01
    assert await seen.limiter() == (Limiter.PROCESSOR, "")
    executor.closed = True
    assert await seen.limiter() == (Limiter.NO_MOVER, "")


async def test_what_waits_and_does_not_move_says_for_what(seen: Seen) -> None:
    rig = seen.rig
    sub_task = await one(rig)
    await rig.turn()
    rig.book.clock.pass_s(10)
    rig.executor.say(sub_task, Verdict.RETRY, code=FailureCode.STORE_UNAVAILABLE, message="no answer")
    await rig.engine.settler.step()
    assert await seen.limiter() == (Limiter.BUCKET_SILENT, "bucket")
    rig.engine.outages.heard("mover-1.1", pace().buckets)
    assert await seen.limiter() == (Limiter.RETRIES, "")
    told = await rig.book.catalog.reading.overview([FS])
    assert [view.standing for view in told.flows] == [told.standing] == [Standing(again=1)]
    seen.mounts[FS] = MountTrouble(code=FailureCode.FILE_SYSTEM_UNAVAILABLE, message="nothing is mounted there")
    assert await seen.limiter() == (Limiter.FILE_SYSTEM_AWAY, FS)
    (flow,) = (await rig.book.catalog.reading.overview([FS])).flows
    await rig.book.catalog.stop_data_flow(rig.book.call(), FS, flow.flow.data_flow_id)
    assert await seen.limiter() == (Limiter.STOPPED, "")


async def test_large_files_are_bound_by_the_way_or_by_places(seen: Seen) -> None:
    rig = seen.rig
    sub_task = await one(rig)
    await rig.turn()
    rig.executor.say(sub_task, Verdict.LARGE, bytes_total=100 * MIB)
    await rig.turn(2)
    rig.executor.told = replace(pace(parts=4), part_width=4, part_width_max=16)
    assert await seen.limiter() == (Limiter.BANDWIDTH, "bucket")
    rig.executor.told = replace(pace(parts=16), part_width=16, part_width_max=16)
    assert await seen.limiter() == (Limiter.SLOTS, "bucket")


async def test_buckets_roots_and_movers_say_how_they_are(seen: Seen) -> None:
    rig = seen.rig
    view = await seen.shown.pulse([FS])
    assert view is not None
    assert [view.buckets[0].soundness, view.mounts[0].soundness] == [Soundness.UNKNOWN, Soundness.UNKNOWN]
    (mover,) = view.movers
    assert (mover.soundness, mover.process_id, mover.places_large, mover.up_since_ns) == (
        Soundness.WELL,
        1,
        4,
        rig.book.clock.ns - 5_000_000_000,
    )
    rig.executor.told = pace(paused_s=1.5)
    rig.executor.silent_s = 20.0
    seen.mounts[FS] = MountTrouble()
    sub_task = await one(rig)
    await rig.turn()
    view = await seen.shown.pulse([FS])
    assert view is not None
    ((bucket,), (mount,), (mover,)) = view.buckets, view.mounts, view.movers
    assert (bucket.soundness, bucket.code, bucket.paused_ms) == (Soundness.SLOW, "StoreThrottled", 1500)
    assert (bucket.requests_ok, bucket.requests_throttled, bucket.requests_unavailable, bucket.requests_refused) == (
        5, 1, 2, 3,
    )  # fmt: skip
    assert (mount.soundness, mount.root) == (Soundness.WELL, "/mnt")
    assert (mover.soundness, mover.small, mover.cpu_ms, mover.resident_bytes) == (Soundness.SLOW, 1, 2000, 7)

    rig.book.clock.pass_s(10)
    rig.executor.say(sub_task, Verdict.RETRY, code=FailureCode.NO_SPACE, message="full")
    view = await seen.shown.pulse([FS])
    assert view is not None
    assert (view.mounts[0].soundness, view.mounts[0].code) == (Soundness.BAD, "NoSpace")
    assert view.mounts[0].next_look_ns is not None
    assert view.unsettled == 1


async def test_without_an_engine_the_ledger_is_shown_alone(rig: Rig) -> None:
    shown = Shown(rig.book.catalog.reading)
    sub_task = await one(rig)
    overview = await shown.overview([FS])
    assert (overview.engine, overview.flying, overview.ledger.counts.waiting) == (None, (), 1)
    assert await shown.pulse([FS]) is None
    assert (await shown.detail([FS], sub_task)).flying is None
    assert len((await shown.browse(Browse(file_systems=(FS,)))).items) == 1
    assert set(await shown.among([FS], [sub_task])) == {sub_task}
