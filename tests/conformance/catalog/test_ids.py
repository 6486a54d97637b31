"""Do ids keep their order when the clock does not?"""

from __future__ import annotations

import pytest

from tests.fixtures.ledger import FS, SECOND_NS, Book

pytestmark = pytest.mark.anyio


async def test_ids_grow_although_the_clock_went_back_over_a_restart(book: Book) -> None:
    flow = await book.flow("/1/", "1")
    task = await book.stream(flow)
    old = await book.file(flow, task, "old")
    book.clock.pass_s(-3600)
    await book.reopen()
    newer = await book.file(flow, task, "newer")
    assert newer > old
    assert await book.flow("/2/", "2") > flow
    assert await book.stream(flow) > task
    assert [row.sub_task.sub_task_id for row in await book.claim(task)] == [old, newer]


async def test_no_id_is_given_again_though_nothing_is_left_of_it_and_the_clock_went_back(book: Book) -> None:
    await book.stream(await book.flow("/1/", "1"))
    book.clock.pass_s(-3600)
    gone = await book.flow("/2/", "2")
    await book.catalog.delete_data_flow(book.call(), FS, gone)
    before_ns = book.clock.ns - 3600 * SECOND_NS
    removed = await book.catalog.prune(
        sub_tasks_before_ns=before_ns, tokens_before_ns=before_ns, nonces_before_ns=before_ns, limit=10
    )
    assert removed == 1
    await book.reopen()
    assert await book.flow("/2/", "2") > gone
