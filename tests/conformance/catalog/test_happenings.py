"""Is what befalls a sub-task kept, counted where it repeats, bounded, and forgotten with it? And nothing where all goes well?"""

from __future__ import annotations

import pytest

from penstock.catalog.happening import NEWEST_KEPT
from penstock.catalog.verbs import Settling
from penstock.catalog.views import Happening, HappeningKind
from penstock.errors import FailureCode, SubTaskNotFoundError
from penstock.model import SubTaskStatus
from tests.fixtures.ledger import FS, SECOND_NS, Book

KIND = HappeningKind
UNAVAILABLE = {"error_code": FailureCode.STORE_UNAVAILABLE, "error_message": "bucket b: no answer (request id 7F-a)"}
NOT_FOUND = {"error_code": FailureCode.SOURCE_NOT_FOUND, "error_message": "there is no object"}


async def happenings(book: Book, sub_task: str) -> tuple[Happening, ...]:
    return (await book.catalog.reading.in_full([FS], sub_task)).happenings


async def test_all_that_befell_it_is_told_in_order(book: Book) -> None:
    task = await book.stream(flow := await book.flow())
    sub_task = await book.file(flow, task)
    began_ns = book.clock.ns
    for _ in range(3):
        book.clock.pass_s(10)
        due_ns = book.clock.ns + SECOND_NS
        await book.settle(await book.claim_one(task), Settling.RETRY, due_ns=due_ns, **UNAVAILABLE)
        book.clock.pass_s(5)
    await book.settle(await book.claim_one(task), Settling.RETURNED)
    await book.claim_one(task)
    await book.catalog.rescue(now_ns=book.clock.ns, owner="mover")
    claimed = await book.claim_one(task)
    await book.cancel(flow, task, sub_task)
    await book.settle(claimed, Settling.RETRY, due_ns=0, **NOT_FOUND)
    (cleared,) = await book.claim(task)
    await book.settle(cleared, Settling.ABANDONED, **NOT_FOUND)
    told = await happenings(book, sub_task)
    assert [one.kind for one in told] == [
        KIND.FAILED_TRY, KIND.RETURNED, KIND.RESCUED, KIND.CANCEL_ASKED, KIND.FAILED_TRY, KIND.FAILED,
    ]  # fmt: skip
    first = told[0]
    assert (first.times, first.at_ns, first.last_ns) == (3, began_ns + 10 * SECOND_NS, began_ns + 40 * SECOND_NS)
    assert (first.attempt, first.code, first.due_ns) == (3, "StoreUnavailable", first.last_ns + SECOND_NS)
    assert first.request_id == "7F-a"
    assert (told[-1].code, told[-1].message, told[-1].due_ns) == ("SourceNotFound", "there is no object", None)
    assert told[-1].request_id == ""


async def test_what_goes_well_leaves_no_row(book: Book) -> None:
    task = await book.stream(flow := await book.flow())
    waiting, large, skipped = [await book.file(flow, task, name) for name in "abc"]
    await book.cancel(flow, task, waiting)
    for claimed in await book.claim(task):
        if claimed.sub_task.sub_task_id == large:
            await book.settle(claimed, Settling.LARGE, bytes_total=1 << 40)
        else:
            await book.settle(claimed, Settling.COMPLETE, skipped=True, tidy=True, bytes_total=5)
    for claimed in await book.claim(task):
        await book.settle(claimed, Settling.TIDIED)
    assert book.count("happenings") == 0
    for sub_task in (waiting, large, skipped):
        assert await happenings(book, sub_task) == ()


async def test_of_many_the_first_and_the_newest_are_kept(book: Book) -> None:
    task = await book.stream(flow := await book.flow())
    sub_task = await book.file(flow, task)
    codes = [FailureCode.STORE_UNAVAILABLE, FailureCode.IO_ERROR]
    rounds = NEWEST_KEPT + 20
    for step in range(rounds):
        book.clock.pass_s(1)
        words = {"error_code": codes[step % 2], "error_message": f"try {step}"}
        await book.settle(await book.claim_one(task), Settling.RETRY, **words)
    kept = await book.catalog.reading.in_full([FS], sub_task)
    newest = [f"try {step}" for step in range(rounds - NEWEST_KEPT, rounds)]
    assert [one.message for one in kept.happenings] == ["try 0", *newest]
    assert kept.left_out == rounds - NEWEST_KEPT - 1
    for _ in range(3):
        await book.claim_one(task)
        await book.catalog.rescue_all()
    kept = await book.catalog.reading.in_full([FS], sub_task)
    assert len(kept.happenings) == NEWEST_KEPT + 1
    assert kept.happenings[0].message == "try 0"


async def test_what_cannot_be_tidied_says_so_though_it_is_final(book: Book) -> None:
    task = await book.stream(flow := await book.flow())
    sub_task = await book.file(flow, task)
    await book.settle(await book.claim_one(task), Settling.FAILED, tidy=True, **NOT_FOUND)
    await book.settle(await book.claim_one(task), Settling.RETRY, due_ns=book.clock.ns + SECOND_NS, **UNAVAILABLE)
    assert [(one.kind, one.code) for one in await happenings(book, sub_task)] == [
        (KIND.FAILED, "SourceNotFound"),
        (KIND.TIDY_LATER, "StoreUnavailable"),
    ]


async def test_they_are_forgotten_with_their_sub_task(book: Book) -> None:
    task = await book.stream(flow := await book.flow())
    old, new = await book.file(flow, task, "old"), await book.file(flow, task, "new")
    (first, second) = await book.claim(task)
    await book.settle(first, Settling.FAILED, **NOT_FOUND)
    book.clock.pass_s(100)
    await book.settle(second, Settling.FAILED, **NOT_FOUND)
    before_ns = book.clock.ns - 50 * SECOND_NS
    await book.catalog.prune(sub_tasks_before_ns=before_ns, tokens_before_ns=0, nonces_before_ns=0, limit=100)
    assert book.count("happenings") == 1
    assert [one.code for one in await happenings(book, new)] == ["SourceNotFound"]
    with pytest.raises(SubTaskNotFoundError):
        await happenings(book, old)


async def test_the_latest_troubles_of_all_are_told_newest_first(book: Book) -> None:
    task = await book.stream(flow := await book.flow())
    names = [await book.file(flow, task, name) for name in "abcd"]
    for claimed in await book.claim(task):
        book.clock.pass_s(1)
        await book.settle(claimed, Settling.FAILED, **NOT_FOUND)
    troubles = await book.catalog.reading.troubles([FS], limit=3)
    assert [one.sub_task_id for one in troubles] == names[:0:-1]
    assert {(one.data_flow_id, one.task_id, one.status) for one in troubles} == {(flow, task, SubTaskStatus.FAILED)}
    assert (troubles[0].source, troubles[0].target) == ("/train/d", "/data/d")
    assert await book.catalog.reading.troubles(["bmcpfs-other"], limit=3) == ()
