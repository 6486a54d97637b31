"""Do sheets show what was asked for, whole and in order, on and back, and say how far they have looked?"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from penstock.catalog.verbs import Settling
from penstock.catalog.views import Browse, Listed, Order, PathEnd, PathFilter, PathMatch, Sheet
from penstock.errors import InvalidNextTokenError
from penstock.model import Direction, SubTask, SubTaskStatus, TaskAction
from tests.fixtures.chance import seed_of
from tests.fixtures.ledger import FS, Book

ALL = Browse(file_systems=(FS,))
WORST = ["FAILED", "EXPIRED", "CANCELING", "RUNNING", "CREATED", "CANCELED", "COMPLETE"]
STATUS = SubTaskStatus
ENDS = (Settling.COMPLETE, Settling.FAILED, Settling.RETRY)


async def filled(book: Book, count: int = 120) -> list[SubTask]:
    """Sub-tasks in many states of two dataflows, in creation order."""
    chance = random.Random(seed_of("SHEET"))
    flows = [await book.flow(), await book.flow("/out/", "out")]
    tasks = [
        (flows[0], await book.stream(flows[0])),
        (flows[0], await book.stream(flows[0], TaskAction.STREAM_EXPORT)),
        (flows[1], await book.stream(flows[1], TaskAction.STREAM_EXPORT)),
    ]
    names: list[str] = []
    for number in range(count):
        flow, task = chance.choice(tasks)
        stem = "x" * 130 if number % 7 == 0 else f"{number % 5}/Größe"
        names.append(await book.file(flow, task, f"{stem}-{number}"))
        book.clock.pass_s(1)
    for _, task in tasks:
        for claimed in await book.claim(task, limit=count // 5):
            size = chance.choice([0, 10, 1000])
            await book.settle(
                claimed, chance.choice(ENDS), bytes_total=size, bytes_done=size, actual_bytes=size, moving_ns=1
            )
    found = await book.catalog.reading.among([FS], names)
    for name in names[::10]:
        if found[name].sub_task.status in (STATUS.CREATED, STATUS.RUNNING):
            sub_task = found[name].sub_task
            await book.cancel(sub_task.data_flow_id, sub_task.task_id, name)
    return [(await book.catalog.reading.among([FS], [name]))[name].sub_task for name in names]


async def walked(book: Book, query: Browse, limit: int) -> list[list[Listed]]:
    """All pages, on; then all the way back, which has to show the same ones."""
    pages: list[list[Listed]] = []
    sheet = await book.catalog.reading.browse(query, cursor="", limit=limit)
    assert sheet.newer == ""
    while True:
        pages.append(list(sheet.items))
        if not sheet.older:
            break
        sheet = await book.catalog.reading.browse(query, cursor=sheet.older, limit=limit)
    back: list[Listed] = []
    while sheet.newer:
        sheet = await book.catalog.reading.browse(query, cursor=sheet.newer, limit=limit)
        assert sheet.older
        back = [*sheet.items, *back]
    assert back == [item for page in pages[:-1] for item in page]
    return pages


def ids(pages: Sequence[Sequence[Listed]]) -> list[str]:
    return [item.sub_task.sub_task_id for page in pages for item in page]


def path(text: str, end: PathEnd = PathEnd.EITHER, match: PathMatch = PathMatch.CONTAINS) -> Browse:
    return replace(ALL, path=PathFilter(text=text, end=end, match=match))


def of_size(sub_task: SubTask) -> bool:
    return 10 <= sub_task.bytes_total < 1000


QUERIES: dict[str, tuple[Browse, Callable[[SubTask], bool]]] = {
    "all": (ALL, lambda _: True),
    "status": (
        replace(ALL, statuses=(STATUS.FAILED, STATUS.COMPLETE)),
        lambda one: one.status in ("FAILED", "COMPLETE"),
    ),
    "no status": (replace(ALL, statuses=()), lambda _: False),
    "exports": (replace(ALL, direction=Direction.EXPORT), lambda one: one.note == "export"),
    "size": (replace(ALL, size_from_bytes=10, size_until_bytes=1000), of_size),
    "contains": (path("größe-1"), lambda one: "größe-1" in one.source.lower()),
    "source begins": (
        path("/train/3", PathEnd.SOURCE, PathMatch.PREFIX),
        lambda one: one.source.startswith("/train/3"),
    ),
    "target begins": (path("/data/3", PathEnd.TARGET, PathMatch.PREFIX), lambda one: one.target.startswith("/data/3")),
    "either begins": (path("/data/", match=PathMatch.PREFIX), lambda _: True),
    "long beginning": (path(f"/data/{'x' * 130}-1", match=PathMatch.PREFIX), lambda one: "xxx-1" in one.target),
    "is": (path("/train/2/Größe-2", match=PathMatch.EXACT), lambda one: one.source == "/train/2/Größe-2"),
    "is, long": (path(f"/train/{'x' * 130}-7", match=PathMatch.EXACT), lambda one: one.source.endswith("x-7")),
    "failed ones that begin so": (
        replace(path("/train/", match=PathMatch.PREFIX), statuses=(STATUS.FAILED,)),
        lambda one: one.status == "FAILED",
    ),
    "none": (path("nowhere"), lambda _: False),
}


@pytest.mark.seeded
@pytest.mark.parametrize("order", Order)
async def test_every_filter_shows_all_that_it_should_on_and_back(book: Book, order: Order) -> None:
    made = await filled(book)
    listed = await book.catalog.reading.among([FS], [one.sub_task_id for one in made])
    way = {name: one.direction.value for name, one in listed.items()}
    made = [replace(one, note=way[one.sub_task_id]) for one in made][::-1]
    if order is Order.WORST:
        made.sort(key=lambda one: WORST.index(one.status))
    assert {one.status for one in made} >= {"FAILED", "COMPLETE", "RUNNING", "CREATED", "CANCELED"}
    for name, (query, is_wanted) in QUERIES.items():
        wanted = [one.sub_task_id for one in made if is_wanted(one)]
        for limit in (7, 500):
            pages = await walked(book, replace(query, order=order), limit)
            assert ids(pages) == wanted, name
            assert all(len(page) == limit for page in pages[:-1]), name


async def test_tasks_dataflows_and_times_narrow_it_down(book: Book) -> None:
    made = await filled(book, 60)
    one = made[20]
    by_task = replace(ALL, task_ids=(one.task_id,))
    assert ids(await walked(book, by_task, 5)) == [
        each.sub_task_id for each in made[::-1] if each.task_id == one.task_id
    ]
    by_flow = replace(ALL, data_flow_ids=(one.data_flow_id,))
    wanted = [each.sub_task_id for each in made[::-1] if each.data_flow_id == one.data_flow_id]
    assert ids(await walked(book, by_flow, 5)) == wanted
    between = replace(ALL, created_from_ns=made[10].created_ns, created_until_ns=made[15].created_ns)
    assert ids(await walked(book, between, 3)) == [each.sub_task_id for each in made[14:9:-1]]
    assert ids(await walked(book, replace(by_task, file_systems=("bmcpfs-other",)), 5)) == []
    waiting = replace(ALL, statuses=(STATUS.CREATED,))
    sheet = await book.catalog.reading.browse(waiting, cursor="", limit=3)
    count = sum(each.status == "CREATED" for each in made)
    assert sheet.total == count
    by_both = replace(waiting, task_ids=(one.task_id,))
    of_task = sum(each.status == "CREATED" and each.task_id == one.task_id for each in made)
    assert (await book.catalog.reading.browse(by_both, cursor="", limit=3)).total == of_task
    assert (await book.catalog.reading.browse(ALL, cursor="", limit=3)).total is None


async def test_a_look_that_ends_early_says_how_far_it_went(book: Book) -> None:
    book.bounds = replace(book.bounds, sheet_rows_max=10)
    await book.reopen()
    made = await filled(book, 50)
    for order in Order:
        query = replace(path("Größe-3"), order=order)  # 3 of 1..9, and those in the thirties
        found: list[str] = []
        looked: list[int] = []
        sheet: Sheet | None = None
        while sheet is None or sheet.older:
            sheet = await book.catalog.reading.browse(query, cursor=sheet.older if sheet else "", limit=5)
            found += ids([sheet.items])
            if sheet.looked_to_ns is not None:
                looked.append(sheet.looked_to_ns)
                assert sheet.older
                assert (sheet.looked_status is None) == (order is Order.NEWEST)
        assert sorted(found) == sorted(one.sub_task_id for one in made if "Größe-3" in one.source)
        assert len(looked) >= 3
        if order is Order.NEWEST:
            assert looked == sorted(looked, reverse=True)
        back = [*found]
        while sheet.newer:
            sheet = await book.catalog.reading.browse(query, cursor=sheet.newer, limit=5)
            back += ids([sheet.items])
        assert set(back) == set(found)


async def test_a_cursor_fits_its_own_filters_only(book: Book) -> None:
    await filled(book, 20)
    sheet = await book.catalog.reading.browse(ALL, cursor="", limit=5)
    other = replace(ALL, order=Order.WORST)
    for query, cursor in ((other, sheet.older), (ALL, "x"), (ALL, sheet.older[:-2]), (ALL, sheet.older + "é")):
        with pytest.raises(InvalidNextTokenError):
            await book.catalog.reading.browse(query, cursor=cursor, limit=5)
    wider = replace(ALL, file_systems=(FS, "bmcpfs-new"))
    assert (await book.catalog.reading.browse(wider, cursor=sheet.older, limit=5)).items
