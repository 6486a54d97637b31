"""Are lists complete, newest first, answered by indexes, and do their pages fit together?"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import product

import pytest

from penstock.catalog.verbs import Changes, DataFlowQuery, Page, Settling, SubTaskQuery, TaskQuery
from penstock.errors import InvalidNextTokenError
from penstock.model import SubTask, SubTaskStatus, Task, TaskAction
from tests.fixtures.ledger import FS, SECOND_NS, Book

pytestmark = pytest.mark.anyio
EVERYTHING = SubTaskQuery(file_system_id=FS)
ENDINGS = (Settling.COMPLETE, Settling.FAILED, Settling.RETRY)


async def all_pages(read: Callable[[str], Awaitable[Page[SubTask]]], *, limit: int) -> list[SubTask]:
    found: list[SubTask] = []
    token = ""
    while True:
        page = await read(token)
        assert len(page.items) <= limit
        found += page.items
        token = page.next_token
        if not token:
            return found


async def listed(book: Book, query: SubTaskQuery, *, limit: int = 20) -> list[SubTask]:
    return await all_pages(lambda token: book.catalog.sub_tasks(query, next_token=token, limit=limit), limit=limit)


async def many(book: Book) -> list[SubTask]:
    """Sub-tasks of two dataflows and four tasks in many statuses; sources and targets are shared by several."""
    for number in range(2):
        flow = await book.flow(f"/{number}/", f"b{number}")
        for _ in range(2):
            task = await book.stream(flow)
            for file in range(30):
                await book.file(flow, task, f"{file % 10}", source=f"/train/{file % 7}", target_name=f"{task}{file}")
            claimed = await book.claim(task, limit=12)
            for row, settling in zip(claimed[:9], ENDINGS * 3, strict=True):
                await book.settle(row, settling)
            for row in claimed[8:11]:
                await book.cancel(flow, task, row.sub_task.sub_task_id)
            waiting = await listed(book, replace(EVERYTHING, task_ids=[task], statuses=[SubTaskStatus.CREATED]))
            for sub_task in waiting[:3]:
                await book.cancel(flow, task, sub_task.sub_task_id)
    rows = await listed(book, EVERYTHING, limit=100)
    assert len(rows) == 120
    assert len({row.status for row in rows}) == 6
    return rows


def wanted(row: SubTask, query: SubTaskQuery) -> bool:
    return (
        (query.data_flow_ids is None or row.data_flow_id in query.data_flow_ids)
        and (query.task_ids is None or row.task_id in query.task_ids)
        and (query.sub_task_ids is None or row.sub_task_id in query.sub_task_ids)
        and (query.statuses is None or row.status in query.statuses)
        and (query.sources is None or row.source in query.sources)
        and (query.targets is None or row.target in query.targets)
    )


async def test_every_combination_of_filters_answers_what_plain_filtering_would(book: Book) -> None:
    rows = await many(book)
    assert [row.sub_task_id for row in rows] == sorted((row.sub_task_id for row in rows), reverse=True)
    tasks = sorted({row.task_id for row in rows})
    flows = sorted({row.data_flow_id for row in rows})
    some = [rows[5].sub_task_id, rows[80].sub_task_id, rows[5].sub_task_id, "subTaskId-unknown"]
    for flow, task, ids, status, source, target in product(
        (None, flows[:1], [*flows, "df-unknown"]),
        (None, [tasks[0]], [tasks[1], tasks[3], tasks[1]]),
        (None, some),
        (None, [SubTaskStatus.CREATED], [SubTaskStatus.RUNNING, SubTaskStatus.FAILED, SubTaskStatus.CANCELED]),
        (None, ["/train/3"], ["/train/1", "/train/2", "/train/none"]),
        (None, ["/data/4", "/data/5"]),
    ):
        query = SubTaskQuery(
            file_system_id=FS,
            data_flow_ids=flow,
            task_ids=task,
            sub_task_ids=ids,
            statuses=status,
            sources=source,
            targets=target,
        )
        assert await listed(book, query) == [row for row in rows if wanted(row, query)], query


async def test_other_file_systems_see_nothing(book: Book) -> None:
    await many(book)
    assert await listed(book, SubTaskQuery(file_system_id="bmcpfs-other")) == []


async def test_pages_fit_together_while_rows_come_and_change(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    ids = [await book.file(flow, task, f"{number}") for number in range(60)]
    page = await book.catalog.sub_tasks(EVERYTHING, next_token="", limit=20)
    await book.file(flow, task, "newer")
    await book.claim(task, limit=50)
    more = await book.catalog.sub_tasks(EVERYTHING, next_token=page.next_token, limit=20)
    last = await book.catalog.sub_tasks(EVERYTHING, next_token=more.next_token, limit=20)
    assert [row.sub_task_id for row in (*page.items, *more.items, *last.items)] == ids[::-1]
    assert last.next_token == ""


async def test_a_next_token_fits_only_its_filters(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    for number in range(25):
        await book.file(flow, task, f"{number}")
    token = (await book.catalog.sub_tasks(EVERYTHING, next_token="", limit=20)).next_token
    others = (
        replace(EVERYTHING, statuses=[SubTaskStatus.CREATED]),
        replace(EVERYTHING, file_system_id="bmcpfs-other"),
        replace(EVERYTHING, data_flow_ids=[flow]),
    )
    for other in others:
        with pytest.raises(InvalidNextTokenError, match="other filters"):
            await book.catalog.sub_tasks(other, next_token=token, limit=20)
    with pytest.raises(InvalidNextTokenError):
        await book.catalog.tasks(TaskQuery(file_system_id=FS), next_token=token, limit=20)
    for broken in (token[:-1], token + "A", "A" * 32, "é" * 32, "=", " ", token[:-1] + "="):
        with pytest.raises(InvalidNextTokenError):
            await book.catalog.sub_tasks(EVERYTHING, next_token=broken, limit=20)


async def test_filters_that_no_index_answers_walk_a_bounded_number_of_rows(book: Book) -> None:
    """Many sub-tasks of one source, few in the wanted status: pages may be short, even empty, but never lose one."""
    await book.close()
    book.bounds = replace(book.bounds, page_rows_max=50)
    await book.open()
    flow = await book.flow()
    task = await book.stream(flow)
    ids = [await book.file(flow, task, f"{number}", source="/train/same") for number in range(200)]
    for sub_task in ids[3], ids[150]:
        await book.cancel(flow, task, sub_task)
    query = replace(EVERYTHING, sources=["/train/same"], statuses=[SubTaskStatus.CANCELED])
    first = await book.catalog.sub_tasks(query, next_token="", limit=20)
    assert [row.sub_task_id for row in first.items] == [ids[150]]
    assert first.next_token
    assert [row.sub_task_id for row in await listed(book, query)] == [ids[150], ids[3]]


async def test_long_paths_that_begin_alike_are_told_apart(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    long = "/目" * 400
    for name in ("a", "b"):
        await book.file(flow, task, name, source=f"{long}/{name}")
    (found,) = await listed(book, replace(EVERYTHING, sources=[f"{long}/b"]))
    assert found.source == f"{long}/b"


async def test_a_deleted_dataflow_takes_its_history_along(book: Book) -> None:
    flow, other = await book.flow("/a/", "a"), await book.flow("/b/", "b")
    task, kept = await book.stream(flow), await book.stream(other)
    gone, stays = await book.file(flow, task), await book.file(other, kept)
    await book.cancel(flow, task, gone)
    await book.catalog.cancel_task(book.call(), FS, flow, task)
    await book.catalog.delete_data_flow(book.call(), FS, flow)
    for query in (
        EVERYTHING,
        replace(EVERYTHING, sub_task_ids=[gone, stays]),
        replace(EVERYTHING, task_ids=[task, kept]),
    ):
        assert [row.sub_task_id for row in await listed(book, query)] == [stays]
    tasks = await book.catalog.tasks(TaskQuery(file_system_id=FS), next_token="", limit=20)
    assert [found.task_id for found in tasks.items] == [kept]
    by_id = await book.catalog.tasks(TaskQuery(file_system_id=FS, task_ids=[task]), next_token="", limit=20)
    assert by_id.items == ()


async def test_dataflows_are_filtered_exactly_and_by_parts(book: Book) -> None:
    flows = [await book.flow(f"/data/{name}/", f"b-{name}") for name in ("one", "two", "three")]
    await book.catalog.modify_data_flow(book.call(), FS, flows[1], Changes(description="the 100% _second_"))
    await book.catalog.stop_data_flow(book.call(), FS, flows[2])
    every = DataFlowQuery(file_system_id=FS)

    async def found(query: DataFlowQuery) -> list[int]:
        page = await book.catalog.data_flows(query, next_token="", limit=20)
        return [flows.index(flow.data_flow_id) for flow in page.items]

    assert await found(every) == [2, 1, 0]
    assert await found(replace(every, data_flow_ids=[flows[0], flows[2]])) == [2, 0]
    assert await found(replace(every, source_storages=["oss://b-one", "oss://b"])) == [0]
    assert await found(replace(every, statuses=["Stopped"])) == [2]
    assert await found(replace(every, file_system_path_part="/t")) == [2, 1]
    assert await found(replace(every, file_system_path_part="/T")) == []
    assert await found(replace(every, description_part="% _")) == [1]
    assert await found(replace(every, description_part="%")) == [1]
    assert await found(replace(every, file_system_path_part="_")) == []
    assert await found(replace(every, source_storage_path_part="/")) == [2, 1, 0]
    assert await found(replace(every, fset_ids=["fset-0000000000000000"])) == []
    first = await book.catalog.data_flows(every, next_token="", limit=2)
    second = await book.catalog.data_flows(every, next_token=first.next_token, limit=2)
    assert [flows.index(flow.data_flow_id) for flow in second.items] == [0]
    assert second.next_token == ""


async def test_tasks_are_filtered_by_ids_words_and_times(book: Book) -> None:
    flow, other = await book.flow("/a/", "a"), await book.flow("/b/", "b")
    tasks: list[str] = []
    start_ns = book.clock.ns
    for number in range(6):
        action = (TaskAction.STREAM_IMPORT, TaskAction.STREAM_EXPORT, TaskAction.EXPORT)[number % 3]
        tasks.append(await book.stream(flow if number < 4 else other, action))
        book.clock.pass_s(60)
    await book.catalog.cancel_task(book.call(), FS, flow, tasks[0])
    every = TaskQuery(file_system_id=FS)

    async def found(query: TaskQuery) -> list[int]:
        items: list[Task] = []
        token = ""
        while True:
            page = await book.catalog.tasks(query, next_token=token, limit=2)
            items += page.items
            token = page.next_token
            if not token:
                return [tasks.index(task.task_id) for task in items]

    assert await found(every) == [5, 4, 3, 2, 1, 0]
    assert await found(replace(every, data_flow_ids=[other])) == [5, 4]
    assert await found(replace(every, task_ids=[tasks[1], tasks[4], "task-unknown"])) == [4, 1]
    assert await found(replace(every, task_ids=[tasks[1], tasks[4]], data_flow_ids=[flow])) == [1]
    assert await found(replace(every, statuses=["Canceled", "Pending"])) == [5, 2, 0]
    assert await found(replace(every, actions=["StreamExport"], statuses=["Executing"])) == [4, 1]
    assert await found(replace(every, originators=["System"])) == []
    assert await found(replace(every, data_types=["MetaAndData"], originators=["User"])) == [5, 4, 3, 2, 1, 0]
    minute_ns = 60 * SECOND_NS
    assert await found(
        replace(every, created_from_ns=start_ns + minute_ns, created_until_ns=start_ns + 3 * minute_ns)
    ) == [2, 1]
    assert await found(replace(every, started_from_ns=0)) == [4, 3, 1, 0]  # the pending ones have not started
    assert await found(replace(every, ended_from_ns=0)) == [0]
    assert await found(replace(every, ended_until_ns=start_ns)) == []
