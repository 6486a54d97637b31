"""Does the list of tasks show what was asked for, newest first, page by page, and nothing of other file systems?"""

from __future__ import annotations

from penstock.catalog.views import BrowseTasks
from penstock.model import TaskStatus
from tests.fixtures.ledger import FS, Book


async def ids(book: Book, query: BrowseTasks, limit: int = 2) -> list[str]:
    """All pages."""
    found: list[str] = []
    cursor = ""
    while True:
        sheet = await book.catalog.reading.tasks(query, cursor=cursor, limit=limit)
        assert len(sheet.items) <= limit
        found += [each.task.task_id for each in sheet.items]
        cursor = sheet.older
        if not cursor:
            return found


async def test_tasks_are_listed_newest_first_by_every_filter(book: Book) -> None:
    flows = [await book.flow(), await book.flow("/out/", "out")]
    made = [await book.stream(flows[number % 2]) for number in range(5)]
    assert await ids(book, BrowseTasks(file_systems=(FS,))) == made[::-1]
    assert await ids(book, BrowseTasks(file_systems=(FS,), data_flow_ids=(flows[1],))) == [made[3], made[1]]
    assert await ids(book, BrowseTasks(file_systems=(FS,), task_ids=(made[0], made[4], "task-0"))) == [made[4], made[0]]
    assert await ids(book, BrowseTasks(file_systems=(FS,), statuses=(TaskStatus.EXECUTING,))) == made[::-1]
    assert await ids(book, BrowseTasks(file_systems=(FS,), statuses=(TaskStatus.CANCELED,))) == []
    assert await ids(book, BrowseTasks(file_systems=())) == []
    assert await ids(book, BrowseTasks(file_systems=("another",), task_ids=(made[0],))) == []
