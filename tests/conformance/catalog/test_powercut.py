"""What does a power cut forget, and what is given twice after it?

A power cut keeps the log up to the last synced commit at least. Here it keeps exactly that: files are copied with the log as
long as it was then, and opened elsewhere.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from penstock.catalog.verbs import Settling
from penstock.model import SubTaskStatus
from tests.fixtures.ledger import FS, SECOND_NS, Book, recount
from tests.fixtures.ledgerdisk import SqliteDisk

pytestmark = pytest.mark.anyio


class Machine:
    """A book on a disk that may lose its power."""

    def __init__(self, directory: Path) -> None:
        self.disk = SqliteDisk(directory)
        self.book = Book(self.disk.path, database=self.disk.database)

    async def after_a_power_cut(self) -> Book:
        """What is found then, elsewhere; this machine goes on as if nothing had happened."""
        found = self.disk.after(self.disk.commits[self.disk.synced])
        later = Book(found.path, seed=2)
        later.boot_id = "after the power cut"
        later.clock.ns = self.book.clock.ns + 3600 * SECOND_NS
        await later.open()
        await later.catalog.rescue_all()
        return later


@pytest.fixture
async def machine(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Machine]:
    machine = Machine(tmp_path)
    await machine.book.open()
    yield machine
    await machine.book.close()
    recount(machine.book.path)


async def test_a_claim_that_nothing_durable_followed_is_forgotten_whole(machine: Machine) -> None:
    book = machine.book
    flow = await book.flow()
    task = await book.stream(flow)
    ids = [await book.file(flow, task, name) for name in "ab"]
    held = [claimed.sub_task for claimed in await book.claim(task)]
    assert [(one.sub_task_id, one.attempt) for one in held] == [(name, 1) for name in ids]
    later = await machine.after_a_power_cut()
    assert [await later.status(name) for name in ids] == [SubTaskStatus.CREATED] * 2
    assert (await later.counters(flow, task)).created == 2
    again = await later.claim(task)
    assert [(one.sub_task.sub_task_id, one.sub_task.attempt, one.begun) for one in again] == [(n, 1, True) for n in ids]
    assert await later.settle(again[0])
    assert not await later.settle(again[0])
    await later.close()
    recount(later.path)


@pytest.mark.parametrize("follows", ["settle", "checkpoint", "create", "cancel"])
async def test_whatever_is_synced_makes_the_claims_before_it_durable(machine: Machine, follows: str) -> None:
    book = machine.book
    flow = await book.flow()
    task = await book.stream(flow)
    ids = [await book.file(flow, task, name) for name in "ab"]
    first, _ = await book.claim(task)
    match follows:
        case "settle":
            await book.settle(first, Settling.RETRY, due_ns=1, error_code="StoreUnavailable", error_message="away")
        case "checkpoint":
            await book.catalog.checkpoint(ids[0], 1, "{}")
        case "create":
            await book.file(flow, task, "c")
        case "cancel":
            await book.cancel(flow, task, ids[0])
    later = await machine.after_a_power_cut()
    assert (await later.counters(flow, task)).running == (1 if follows == "cancel" else 2)
    again = await later.claim(task)
    assert {one.sub_task.attempt for one in again if one.sub_task.sub_task_id in ids} == {2}
    assert not any([await later.settle(one) for one in (first,)])  # the forgotten holder, if it could come back
    await later.close()
    recount(later.path)


async def test_a_withdrawal_and_a_tidying_that_were_forgotten_are_done_again(machine: Machine) -> None:
    book = machine.book
    flow = await book.flow()
    task = await book.stream(flow)
    canceled, published = await book.file(flow, task, "c"), await book.file(flow, task, "p")
    first, second = await book.claim(task)
    await book.cancel(flow, task, canceled)
    await book.settle(first, Settling.RETURNED)
    await book.settle(second, tidy=True)
    assert len(await book.claim(task)) == 2
    later = await machine.after_a_power_cut()
    withdrawal, tidying = await later.claim(task)
    assert (withdrawal.sub_task.sub_task_id, withdrawal.sub_task.attempt) == (canceled, 2)
    assert (tidying.sub_task.sub_task_id, tidying.sub_task.attempt, tidying.tidy) == (published, 2, True)
    assert await later.settle(withdrawal, Settling.CANCELED)
    assert await later.settle(tidying, Settling.TIDIED)
    await later.close()
    recount(later.path)


async def test_what_may_have_been_begun_and_forgotten_is_canceled_by_a_withdrawal(machine: Machine) -> None:
    book = machine.book
    flow = await book.flow()
    task = await book.stream(flow)
    forgotten = await book.file(flow, task, "a")
    behind = await book.file(flow, task, "b", target_name=f"{FS}:/data/a")
    assert len(await book.claim(task)) == 1
    later = await machine.after_a_power_cut()
    for sub_task in (behind, forgotten):
        await later.cancel(flow, task, sub_task)
    assert (
        await later.status(behind) is SubTaskStatus.CANCELED
    )  # one that stood behind another cannot have been claimed
    assert await later.status(forgotten) is SubTaskStatus.CANCELING
    assert (await later.counters(flow, task)).canceling == 1
    held = await later.claim_one(task)
    assert (held.sub_task.status, held.sub_task.attempt, held.begun) == (SubTaskStatus.CANCELING, 1, True)
    assert held.sub_task.started_ns == later.clock.ns
    assert await later.settle(held, Settling.CANCELED)
    assert await later.status(forgotten) is SubTaskStatus.CANCELED
    await later.close()
    recount(later.path)


async def test_what_may_have_been_begun_and_forgotten_expires_and_is_cleared(machine: Machine) -> None:
    book = machine.book
    flow = await book.flow()
    task = await book.stream(flow)
    forgotten = await book.file(flow, task, "a")
    await book.claim(task)
    later = await machine.after_a_power_cut()
    fresh = await later.file(flow, task, "b")
    later.clock.pass_s(100)
    assert await later.catalog.expire(older_than_ns=later.clock.ns, limit=10) == 2
    for sub_task in (forgotten, fresh):
        assert await later.status(sub_task) is SubTaskStatus.EXPIRED
    cleared = await later.claim_one(task)
    assert (cleared.sub_task.sub_task_id, cleared.tidy, cleared.sub_task.started_ns) == (forgotten, True, None)
    assert await later.settle(cleared, Settling.TIDIED)
    assert not await later.claim(task)
    await later.close()
    recount(later.path)


@pytest.mark.parametrize("end", ["closed, then a boot", "killed", "fresh", "doubted before"])
async def test_what_cannot_have_been_forgotten_is_canceled_at_once(machine: Machine, end: str) -> None:
    """Only a life of the machine that ended with the catalog open forgets; and what comes later is as sure as ever."""
    book = machine.book
    flow = await book.flow()
    task = await book.stream(flow)
    sub_task = await book.file(flow, task, "a")
    if end == "closed, then a boot":
        await book.close()
        book.boot_id = "another"
        await book.open()
    elif end == "killed":
        found = machine.disk.after(machine.disk.last)
        book = await Book(found.path, seed=2).open()
    else:
        book = await machine.after_a_power_cut()
        if end == "doubted before":
            await book.reopen()
        else:
            sub_task = await book.file(flow, task, "b")
    await book.cancel(flow, task, sub_task)
    wanted = SubTaskStatus.CANCELING if end == "doubted before" else SubTaskStatus.CANCELED
    assert await book.status(sub_task) is wanted
    if book is not machine.book:
        await book.close()
