"""Does a cancel reach whoever has the file, at once, wherever it is?"""

from __future__ import annotations

from typing import Any

import pytest

from penstock.engine.canceler import EXPLAIN_S, LOOK_SOON_S
from penstock.errors import FailureCode
from penstock.model import SubTaskStatus
from penstock.transfer.transfer import Intent, Verdict
from tests.unit.engine.conftest import Rig

pytestmark = pytest.mark.anyio

TROUBLE: dict[str, Any] = {"code": FailureCode.STORE_UNAVAILABLE, "message": "no answer"}


async def running(rig: Rig, *names: str) -> tuple[str, str, list[str]]:
    flow = await rig.book.flow()
    stream = await rig.book.stream(flow)
    files = [await rig.book.file(flow, stream, name) for name in names]
    await rig.turn()
    return flow, stream, files


async def test_a_mover_is_told_once(rig: Rig) -> None:
    flow, stream, (a, _) = await running(rig, "a", "b")
    await rig.book.cancel(flow, stream, a)
    await rig.engine.canceler.step()
    await rig.engine.canceler.step()
    assert [control.canceled for _, control in rig.executor.controls] == [((a, 1),)]
    rig.executor.say(a, Verdict.CANCELED)
    await rig.turn()
    assert (await rig.row(a)).status is SubTaskStatus.CANCELED


async def test_a_file_that_was_published_first_is_complete(rig: Rig) -> None:
    flow, stream, (a,) = await running(rig, "a")
    await rig.book.cancel(flow, stream, a)
    await rig.engine.canceler.step()
    rig.executor.say(a, Verdict.COMPLETE)
    await rig.turn()
    assert (await rig.row(a)).status is SubTaskStatus.COMPLETE


async def test_a_file_that_failed_meanwhile_is_withdrawn_all_the_same(rig: Rig) -> None:
    """It may have left something behind: only who has looked says that it has not."""
    flow, stream, (a, b) = await running(rig, "a", "b")
    rig.executor.say(a, Verdict.FAILED, **TROUBLE)
    await rig.book.cancel(flow, stream, a)  # the failure is known here and not yet in the catalog
    await rig.book.cancel(flow, stream, b)
    await rig.turn()
    rig.executor.say(b, Verdict.FAILED, **TROUBLE)
    await rig.turn(2)
    assert [(await rig.row(name)).status for name in (a, b)] == [SubTaskStatus.CANCELING] * 2
    for name in (a, b):
        assert rig.executor.transfer(name).intent is Intent.WITHDRAW
        rig.executor.say(name, Verdict.CANCELED)
    await rig.turn()
    assert [(await rig.row(name)).status for name in (a, b)] == [SubTaskStatus.CANCELED] * 2


async def test_a_withdrawal_that_takes_long_says_so_within_two_seconds(rig: Rig) -> None:
    """And what it said is gone when it is done; a reason that an attempt has told is not overwritten."""
    flow, stream, (a, b) = await running(rig, "a", "b")
    rig.executor.say(b, Verdict.RETRY, **TROUBLE)
    await rig.turn()
    for name in (a, b):
        await rig.book.cancel(flow, stream, name)
    await rig.turn()
    assert await rig.engine.canceler.step() <= LOOK_SOON_S
    assert (await rig.row(a)).error_message == ""
    rig.book.clock.pass_s(EXPLAIN_S)
    await rig.engine.canceler.step()
    row = await rig.row(a)
    assert (row.status, row.error_code) == (SubTaskStatus.CANCELING, FailureCode.FILE_SYSTEM_UNAVAILABLE)  # an import
    assert "still being withdrawn" in row.error_message
    assert (await rig.row(b)).error_message == TROUBLE["message"]
    rig.executor.say(a, Verdict.CANCELED)
    await rig.turn()
    assert ((await rig.row(a)).status, (await rig.row(a)).error_message) == (SubTaskStatus.CANCELED, "")


async def test_a_withdrawal_that_waits_for_its_turn_blames_nobody(rig: Rig) -> None:
    """Once it has begun it has as long as any other before it says that it is not answered."""
    flow, stream, (a,) = await running(rig, "a")
    rig.executor.queued.add(a)
    await rig.book.cancel(flow, stream, a)
    await rig.turn()
    rig.book.clock.pass_s(EXPLAIN_S)
    await rig.engine.canceler.step()
    assert (await rig.row(a)).error_code == FailureCode.WAITING_FOR_TURN
    rig.book.clock.pass_s(EXPLAIN_S)
    rig.executor.queued.clear()
    await rig.engine.canceler.step()
    assert (await rig.row(a)).error_code == FailureCode.WAITING_FOR_TURN
    rig.book.clock.pass_s(EXPLAIN_S)
    await rig.engine.canceler.step()
    assert (await rig.row(a)).error_code == FailureCode.FILE_SYSTEM_UNAVAILABLE
    rig.executor.say(a, Verdict.CANCELED)
    await rig.turn()
    assert ((await rig.row(a)).status, (await rig.row(a)).error_message) == (SubTaskStatus.CANCELED, "")


async def test_a_file_between_two_attempts_is_withdrawn(rig: Rig) -> None:
    flow, stream, (a,) = await running(rig, "a")
    rig.executor.say(a, Verdict.RETRY, **TROUBLE)
    await rig.turn()
    await rig.book.cancel(flow, stream, a)
    await rig.turn()
    assert rig.executor.transfer(a).intent is Intent.WITHDRAW
    rig.executor.say(a, Verdict.CANCELED)
    await rig.turn()
    assert (await rig.row(a)).status is SubTaskStatus.CANCELED


async def test_a_cancel_whose_store_is_away_stays_canceling_and_is_tried_again(rig: Rig) -> None:
    flow, stream, (a,) = await running(rig, "a")
    await rig.book.cancel(flow, stream, a)
    await rig.turn()
    for _ in range(30):
        rig.executor.say(a, Verdict.RETRY, **TROUBLE)
        await rig.turn()
        row = await rig.row(a)
        assert (row.status, row.error_message) == (SubTaskStatus.CANCELING, "no answer")
        await rig.pass_s(15)
        assert rig.executor.intents(a)[-1] is Intent.WITHDRAW
    rig.executor.say(a, Verdict.CANCELED)
    await rig.turn()
    assert (await rig.row(a)).status is SubTaskStatus.CANCELED


async def test_a_suspect_that_is_held_back_is_given_back_to_be_withdrawn(rig: Rig) -> None:
    flow, stream, files = await running(rig, "a", "b")
    rig.executor.die("mover-1.1", begun=files)
    await rig.pass_s(1.0)
    alone = next(iter(rig.executor.held["mover-q.1"]))[0]
    (held,) = set(files) - {alone}
    await rig.book.cancel(flow, stream, held)
    await rig.turn(2)
    rig.executor.say(alone, Verdict.COMPLETE)
    await rig.turn()
    assert rig.executor.transfer(held).intent is Intent.WITHDRAW
    rig.executor.say(held, Verdict.CANCELED)
    await rig.turn()
    assert (await rig.row(held)).status is SubTaskStatus.CANCELED


async def test_a_cancel_that_the_flights_do_not_know_yet_is_looked_at_again_soon(rig: Rig) -> None:
    flow = await rig.book.flow()
    stream = await rig.book.stream(flow)
    known, unknown = await rig.book.file(flow, stream, "known"), await rig.book.file(flow, stream, "unknown")
    await rig.turn()
    lost = rig.engine.flights.end((unknown, 1))  # as if its claim were answered a moment later
    assert lost is not None
    await rig.book.cancel(flow, stream, unknown)
    assert await rig.engine.canceler.step() < 0.1
    rig.engine.flights.enter([lost])
    rig.engine.flights.hand_over([lost], "mover-1.1", rig.book.clock.ns)
    assert await rig.engine.canceler.step() >= 0.5
    assert rig.executor.controls[-1][1].canceled == ((unknown, 1),)
    assert rig.executor.transfer(known).attempt == 1


async def test_a_mover_that_dies_while_withdrawing_is_no_end_of_the_cancel(rig: Rig) -> None:
    flow, stream, (a,) = await running(rig, "a")
    await rig.book.cancel(flow, stream, a)
    await rig.turn()
    rig.executor.die("mover-1.1", begun=[a])
    await rig.turn()
    assert (await rig.row(a)).status is SubTaskStatus.CANCELING
    await rig.pass_s(2)
    assert rig.executor.transfer(a).intent is Intent.WITHDRAW
