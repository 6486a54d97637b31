"""Do ids keep their order when the clock does not?"""

from __future__ import annotations

import pytest

from tests.fixtures.ledger import Book

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
