"""What fails and is tried again: for how long, how often, and what is left behind and told at the end?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from penstock.engine.options import NS_PER_S, EngineOptions, RetryOptions
from penstock.errors import FailureCode
from penstock.model import SubTaskStatus, TaskAction
from penstock.transfer import names
from penstock.transfer.transfer import Intent, Verdict
from tests.unit.engine.conftest import RECORD, TROUBLE, Rig, one

pytestmark = pytest.mark.anyio

OUTAGE: dict[str, Any] = {"code": FailureCode.STORE_UNAVAILABLE, "message": "no answer"}

UNREGISTERED = [("buckets", "BucketNotRegistered"), ("file_systems", "FileSystemUnavailable")]

ADDED_BY = {"BucketNotRegistered": "bucket", "FileSystemUnavailable": "filesystem"}


async def test_a_retry_waits_and_then_runs_again(rig: Rig) -> None:
    sub_task = await one(rig)
    await rig.turn()
    rig.executor.say(sub_task, Verdict.RETRY, checkpoint=RECORD, **TROUBLE)
    await rig.turn(2)
    row = await rig.row(sub_task)
    assert (row.status, row.error_code, row.error_message) == (
        SubTaskStatus.RUNNING,
        "ChecksumMismatch",
        "bytes differ",
    )
    assert len(rig.moved()) == 1
    assert 0 < await rig.engine.runner.step() <= 1.0
    await rig.pass_s(1.0)
    again = rig.executor.transfer(sub_task)
    assert (again.attempt, again.intent, again.checkpoint) == (2, Intent.MOVE, RECORD)
    assert again.first_attempt_ns == rig.moved()[0].first_attempt_ns
    rig.executor.say(sub_task, Verdict.COMPLETE)
    await rig.turn()
    assert (await rig.row(sub_task)).error_message == ""


async def test_after_the_last_attempt_nothing_is_left_behind_and_the_reason_stays(rig: Rig) -> None:
    sub_task = await one(rig)
    await rig.turn()
    for _ in range(8):
        rig.executor.say(sub_task, Verdict.RETRY, **TROUBLE)
        await rig.turn()
        await rig.pass_s(1350)  # the longest wait there is
    assert rig.executor.intents(sub_task) == [Intent.MOVE] * 8 + [Intent.WITHDRAW]
    assert (await rig.row(sub_task)).status is SubTaskStatus.RUNNING
    rig.executor.say(sub_task, Verdict.CANCELED)
    await rig.turn()
    row = await rig.row(sub_task)
    assert (row.status, row.error_code) == (SubTaskStatus.FAILED, "ChecksumMismatch")
    assert row.error_message == "bytes differ (the last of 8 attempts)"


async def test_the_farewell_survives_a_crash(rig: Rig) -> None:
    sub_task = await one(rig)
    await rig.turn()
    for _ in range(8):
        rig.executor.say(sub_task, Verdict.RETRY, **TROUBLE)
        await rig.turn()
        await rig.pass_s(1350)  # the longest wait there is
    assert rig.executor.transfer(sub_task).intent is Intent.WITHDRAW
    await rig.restart()
    await rig.turn()
    assert rig.executor.intents(sub_task) == [Intent.WITHDRAW]
    rig.executor.say(sub_task, Verdict.CANCELED)
    await rig.turn()
    row = await rig.row(sub_task)
    assert (row.status, row.error_message) == (SubTaskStatus.FAILED, "bytes differ (the last of 8 attempts)")


async def test_a_file_outlasts_an_outage_of_an_hour_and_has_all_its_attempts_left(rig: Rig) -> None:
    sub_task = await one(rig)
    await rig.turn()
    began_ns, tries = rig.book.clock.ns, 0
    while rig.book.clock.ns < began_ns + 3600 * NS_PER_S:
        tries += 1
        rig.executor.say(sub_task, Verdict.RETRY, **OUTAGE)
        await rig.turn()
        row = await rig.row(sub_task)
        assert (row.status, row.error_code) == (SubTaskStatus.RUNNING, "StoreUnavailable")
        await rig.pass_s(1350)
    assert rig.executor.intents(sub_task) == [Intent.MOVE] * (tries + 1)
    for _ in range(7):
        rig.executor.say(sub_task, Verdict.RETRY, **TROUBLE)
        await rig.turn()
        await rig.pass_s(1350)
    rig.executor.say(sub_task, Verdict.COMPLETE)
    await rig.turn()
    assert (await rig.row(sub_task)).status is SubTaskStatus.COMPLETE


async def test_the_deadline_ends_a_file_that_fails_slowly(rig: Rig) -> None:
    await rig.restart(options=EngineOptions(retry=RetryOptions(attempts_max=100, deadline_s=1000)))
    sub_task = await one(rig)
    await rig.turn()
    while rig.executor.intents(sub_task)[-1] is Intent.MOVE:
        rig.executor.say(sub_task, Verdict.RETRY, **TROUBLE)
        await rig.turn()
        await rig.pass_s(300)
        assert len(rig.executor.intents(sub_task)) < 20
    rig.executor.say(sub_task, Verdict.CANCELED)
    await rig.turn()
    row = await rig.row(sub_task)
    assert (row.status, row.error_code) == (SubTaskStatus.FAILED, "DeadlineExceeded")


@pytest.mark.parametrize(("part", "code"), UNREGISTERED)
async def test_work_waits_with_the_reason_while_something_is_not_registered(rig: Rig, part: str, code: str) -> None:
    sub_task = await one(rig)
    registry, rig.registry = rig.registry, replace(rig.registry, **{part: {}})
    for _ in range(50):
        await rig.pass_s(400)
        row = await rig.row(sub_task)
        assert (row.status, row.error_code) == (SubTaskStatus.RUNNING, code)
        assert f"penstock {ADDED_BY[code]} add" in row.error_message
    assert rig.moved() == []
    rig.registry = registry
    await rig.pass_s(400)
    assert rig.executor.transfer(sub_task).intent is Intent.MOVE
    rig.executor.say(sub_task, Verdict.RETRY, **TROUBLE)  # the first of eight failures: waiting was none
    await rig.turn()
    assert "last of" not in (await rig.row(sub_task)).error_message


@pytest.mark.parametrize(("part", "code"), UNREGISTERED)
async def test_a_cancel_waits_for_what_it_has_to_clean_up(rig: Rig, part: str, code: str) -> None:
    flow = await rig.book.flow()
    stream = await rig.book.stream(flow, TaskAction.STREAM_EXPORT)
    sub_task = await rig.book.file(flow, stream, "a")
    await rig.turn()
    rig.executor.say(sub_task, Verdict.RETRY, checkpoint=RECORD, **TROUBLE)
    await rig.turn()
    registry, rig.registry = rig.registry, replace(rig.registry, **{part: {}})
    await rig.book.cancel(flow, stream, sub_task)
    await rig.pass_s(90_000)
    row = await rig.row(sub_task)
    assert (row.status, row.error_code) == (SubTaskStatus.CANCELING, code)
    assert rig.executor.intents(sub_task) == [Intent.MOVE]
    rig.registry = registry
    await rig.pass_s(15)
    assert rig.executor.transfer(sub_task).intent is Intent.WITHDRAW
    assert rig.executor.transfer(sub_task).checkpoint == RECORD
    rig.executor.say(sub_task, Verdict.CANCELED)
    await rig.turn()
    assert (await rig.row(sub_task)).status is SubTaskStatus.CANCELED


async def test_an_export_that_is_late_does_not_end_before_it_is_cleaned_up(rig: Rig) -> None:
    sub_task = await one(rig, action=TaskAction.STREAM_EXPORT)
    await rig.turn()
    for _ in range(8):
        rig.executor.say(sub_task, Verdict.RETRY, checkpoint=RECORD, **TROUBLE)
        await rig.turn()
        await rig.pass_s(1350)  # the longest wait there is
    await rig.restart()
    registry = rig.registry
    rig.without_bucket()
    for _ in range(3):
        await rig.pass_s(90_000)
    row = await rig.row(sub_task)
    assert (row.status, row.error_code) == (SubTaskStatus.RUNNING, "ChecksumMismatch")
    assert row.error_message.startswith("bytes differ (the last of 8 attempts); what it left behind waits")
    assert row.error_message.count("penstock bucket add") == 1
    rig.registry = registry
    await rig.pass_s(400)
    assert rig.executor.transfer(sub_task).intent is Intent.WITHDRAW
    rig.executor.say(sub_task, Verdict.CANCELED)
    await rig.turn()
    row = await rig.row(sub_task)
    assert (row.status, row.error_message) == (SubTaskStatus.FAILED, "bytes differ (the last of 8 attempts)")


async def test_tidying_waits_for_its_file_system(rig: Rig) -> None:
    sub_task = await one(rig)
    await rig.turn()
    registry, rig.registry = rig.registry, replace(rig.registry, file_systems={})
    rig.executor.say(sub_task, Verdict.COMPLETE, tidy=True)
    await rig.pass_s(90_000)
    assert rig.executor.intents(sub_task) == [Intent.MOVE]
    rig.registry = registry
    await rig.pass_s(450)
    assert rig.executor.intents(sub_task) == [Intent.MOVE, Intent.TIDY]
    row = await rig.row(sub_task)
    assert (row.status, row.error_message) == (SubTaskStatus.COMPLETE, "")


async def test_an_import_whose_bucket_is_gone_leaves_no_helper_files(rig: Rig) -> None:
    sub_task = await one(rig)
    await rig.turn()
    rig.executor.say(sub_task, Verdict.RETRY, **TROUBLE)
    await rig.turn()
    rig.without_bucket()
    await rig.pass_s(1)
    assert (await rig.row(sub_task)).error_code == "BucketNotRegistered"
    assert rig.executor.intents(sub_task) == [Intent.MOVE]
    await rig.pass_s(90_000)
    assert rig.executor.transfer(sub_task).intent is Intent.WITHDRAW
    rig.executor.say(sub_task, Verdict.CANCELED)
    await rig.turn()
    row = await rig.row(sub_task)
    assert (row.status, row.error_code) == (SubTaskStatus.FAILED, "BucketNotRegistered")


async def test_an_export_that_has_sent_nothing_needs_no_bucket_to_be_canceled(rig: Rig) -> None:
    flow = await rig.book.flow()
    stream = await rig.book.stream(flow, TaskAction.STREAM_EXPORT)
    sent, idle = [await rig.book.file(flow, stream, name) for name in ("sent", "idle")]
    await rig.turn()
    rig.executor.say(sent, Verdict.RETRY, begun=True, **TROUBLE)
    rig.executor.say(idle, Verdict.RETRY, **TROUBLE)
    await rig.turn()
    rig.without_bucket()
    await rig.pass_s(10)
    for sub_task in (sent, idle):
        assert (await rig.row(sub_task)).error_code == "BucketNotRegistered"
        await rig.book.cancel(flow, stream, sub_task)
    await rig.pass_s(20)
    assert rig.executor.transfer(idle).intent is Intent.WITHDRAW
    row = await rig.row(sent)
    assert (row.status, row.error_code) == (SubTaskStatus.CANCELING, "BucketNotRegistered")
    assert rig.executor.intents(sent) == [Intent.MOVE]


UNMOUNTED: dict[str, Any] = {"code": FailureCode.FILE_SYSTEM_UNAVAILABLE, "message": "it does not carry its mark"}


async def outlasted(rig: Rig, action: TaskAction, **trouble: Any) -> str:
    """A file that was begun, and whose store or file system is away for longer than it is tried; its id."""
    sub_task = await one(rig, action=action)
    await rig.turn()
    while (await rig.row(sub_task)).status is SubTaskStatus.RUNNING:
        rig.executor.say(sub_task, Verdict.RETRY, **trouble)
        await rig.turn()
        if (await rig.row(sub_task)).status is SubTaskStatus.RUNNING:
            await rig.pass_s(1350)  # the longest wait there is
    return sub_task


async def test_what_a_failed_export_has_left_is_looked_for_until_the_store_answers(rig: Rig) -> None:
    """Past the day, past a restart, past its bucket's absence from the registry and the history's end."""
    sub_task = await outlasted(rig, TaskAction.STREAM_EXPORT, checkpoint=RECORD, begun=True, **OUTAGE)
    for _ in range(40):
        await rig.pass_s(5400)
        assert rig.executor.transfer(sub_task).intent is Intent.TIDY
        assert rig.executor.transfer(sub_task).checkpoint == RECORD
        row = await rig.row(sub_task)
        assert (row.status, row.error_code) == (SubTaskStatus.FAILED, "DeadlineExceeded")
        assert row.error_message.count("the upload u-1 of 'data/a' in bucket bucket could not be removed") == 1
        rig.executor.say(sub_task, Verdict.RETRY, checkpoint=RECORD, **OUTAGE)
        await rig.turn()
    told = (await rig.row(sub_task)).error_message
    registry = rig.registry
    rig.without_bucket()
    await rig.restart()
    await rig.pass_s(200 * 86_400)
    await rig.engine.keeper.prune()
    assert rig.moved() == []
    assert (await rig.row(sub_task)).error_message == told
    rig.registry = registry
    await rig.pass_s(450)
    assert rig.executor.transfer(sub_task).checkpoint == RECORD
    rig.executor.say(sub_task, Verdict.TIDIED)
    await rig.turn()
    row = await rig.row(sub_task)
    assert (row.status, row.error_code) == (SubTaskStatus.FAILED, "DeadlineExceeded")
    assert row.error_message == told.partition("; what may be left behind")[0]
    await rig.pass_s(86_400)
    assert rig.executor.intents(sub_task)[-1:] == [Intent.TIDY]
    assert len(rig.moved()) == 1


async def test_what_a_failed_import_has_left_is_looked_for_for_a_day_and_named_for_good(rig: Rig) -> None:
    sub_task = await outlasted(rig, TaskAction.STREAM_IMPORT, begun=True, **UNMOUNTED)
    row = await rig.row(sub_task)
    told = row.error_message
    assert (row.status, row.error_code) == (SubTaskStatus.FAILED, "DeadlineExceeded")
    assert names.helper_files(sub_task) in told
    looks = len(rig.moved())
    for _ in range(80):
        await rig.pass_s(1350)
        if any(rig.executor.held.values()):
            rig.executor.say(sub_task, Verdict.RETRY, **UNMOUNTED)
            await rig.turn()
    assert 60 <= len(rig.moved()) - looks <= 70
    assert (await rig.row(sub_task)).error_message == told
