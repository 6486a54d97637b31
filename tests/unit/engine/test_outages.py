"""Does one file look whether a bucket is back, and do the others wait no longer once it is?"""

from __future__ import annotations

import pytest

from penstock.engine.messages import BucketFigures, Figures, MethodFigures, Report
from penstock.engine.options import NS_PER_S, RetryOptions
from penstock.errors import FailureCode
from penstock.model import SubTaskStatus
from penstock.transfer.transfer import Verdict
from tests.unit.engine.conftest import Rig

pytestmark = pytest.mark.anyio
OPTIONS = RetryOptions()


def answered(count: int) -> BucketFigures:
    """A mover's count of the bucket's answers."""
    gets = MethodFigures(method="GET", ok=count, throttled=3, unavailable=4, refused=0, latency_slots=(), latency_s=0.0)
    return BucketFigures(
        bucket="bucket", window=4, rate_per_s=None, in_flight=0, waiting=0, pause_s=0.0, methods=(gets,)
    )


def tell(rig: Rig, count: int, mover: str = "mover-1.1") -> None:
    figures = Figures(cpu_s=0.0, resident_bytes=0, buckets=(answered(count),))
    rig.engine.settler.report(Report(mover=mover, figures=figures))


async def miss(rig: Rig, ids: list[str], code: FailureCode = FailureCode.STORE_UNAVAILABLE) -> None:
    """These attempts get no answer."""
    for sub_task in ids:
        rig.executor.say(sub_task, Verdict.RETRY, code=code, message="no answer")
    await rig.turn()


async def stood_for_long(rig: Rig, ids: list[str]) -> None:
    """They have climbed the ladder, so that they wait for minutes."""
    for _ in range(8):
        await miss(rig, [one for one in ids if one in set(under_way(rig))])
        await rig.pass_s(2000)


def under_way(rig: Rig) -> list[str]:
    return [sub_task for held in rig.executor.held.values() for sub_task, _ in held]


async def test_one_scouts_and_the_first_answer_wakes_all(rig: Rig) -> None:
    flow = await rig.book.flow()
    task = await rig.book.stream(flow)
    ids = [await rig.book.file(flow, task, f"{number}") for number in range(5)]
    await rig.turn()
    await stood_for_long(rig, ids)
    assert sorted(under_way(rig)) == ids
    await miss(rig, ids)
    assert under_way(rig) == []

    await rig.pass_s(OPTIONS.scout_every_s + 1)
    (scout,) = under_way(rig)
    await miss(rig, [scout])
    await rig.pass_s(OPTIONS.scout_every_s + 1)
    (scout,) = under_way(rig)
    assert {(await rig.row(one)).error_code for one in ids} == {"StoreUnavailable"}

    tell(rig, 1)
    assert await rig.engine.outages.step() > NS_PER_S
    await rig.turn()
    assert sorted(under_way(rig)) == ids
    assert {(await rig.row(one)).error_code for one in ids if one != scout} == {""}
    assert {(await rig.row(one)).status for one in ids} == {SubTaskStatus.RUNNING}


async def test_a_bucket_that_answers_others_is_in_no_outage(rig: Rig) -> None:
    """What it refuses now and then waits by itself, longer and longer; else it would be asked without a rest."""
    flow = await rig.book.flow()
    task = await rig.book.stream(flow)
    ids = [await rig.book.file(flow, task, f"{number}") for number in range(2)]
    await rig.turn()
    await stood_for_long(rig, ids)
    tell(rig, 1)
    await rig.engine.outages.step()
    await miss(rig, ids, FailureCode.STORE_THROTTLED)
    for count in range(2, 40):
        tell(rig, count)
        await rig.engine.outages.step()
        await rig.pass_s(OPTIONS.scout_every_s)
    assert under_way(rig) == []


async def test_a_new_service_looks_at_once(rig: Rig) -> None:
    flow = await rig.book.flow()
    task = await rig.book.stream(flow)
    ids = [await rig.book.file(flow, task, f"{number}") for number in range(5)]
    await rig.turn()
    await stood_for_long(rig, ids)
    await miss(rig, ids)
    await rig.restart()
    await rig.engine.outages.step()
    await rig.turn()
    assert sorted(under_way(rig)) == ids


async def test_what_the_store_asks_for_is_kept_by_the_scout_too(rig: Rig) -> None:
    missed = rig.engine.outages.missed
    now_ns = rig.book.clock.ns
    late_ns = now_ns + 900 * NS_PER_S
    assert missed("b", late_ns, 60.0) == now_ns + 60 * NS_PER_S
    assert missed("b", late_ns, None) == late_ns
    assert missed("c", now_ns + NS_PER_S, None) == now_ns + NS_PER_S
    assert missed("c", late_ns, None) == late_ns
