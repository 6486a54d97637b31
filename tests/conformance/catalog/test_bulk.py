"""Many sub-tasks in one call: are they as if made one by one, once, as far as there are places, and beside other calls?"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from penstock.catalog.verbs import NewFile, NewSubTasks
from penstock.errors import (
    DataFlowNotFoundError,
    InvalidStateError,
    NonceUsedError,
    TaskNotFoundError,
    TokenMismatchError,
    TooManyWaitingError,
)
from penstock.model import Condition
from tests.fixtures.bulkvictim import COUNT, TOKEN
from tests.fixtures.ledger import FS, Book, recount

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).resolve().parents[3]


async def test_a_row_of_a_bulk_is_the_row_of_one_call(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    files = [
        NewFile("/train/é", "/data/b", "/train/train/é", "name", Condition(modify_time_ns=-5, size_bytes=7)),
        NewFile("/train/c", "/data/d", "", "n" * 300, Condition()),
    ]
    one_by_one = [
        await book.catalog.create_sub_task(
            book.call(),
            msgspec.structs.replace(
                book.new_file(flow, task), source=file.source, target=file.target, rival=file.rival,
                target_name=f"other{file.target_name}", condition=file.condition,
            ),
        )
        for file in files
    ]  # fmt: skip
    new = NewSubTasks(file_system_id=FS, data_flow_id=flow, task_id=task, files=files, remark="")
    made = await book.catalog.create_sub_tasks(book.call(), new)
    for single, bulk in zip(one_by_one, made.sub_task_ids, strict=True):
        first, second = await book.sub_task(single), await book.sub_task(bulk)
        assert replace(second, sub_task_id=single) == first
    claimed = {row.sub_task.sub_task_id: row for row in await book.claim(task)}
    for single, bulk in zip(one_by_one, made.sub_task_ids, strict=True):
        assert claimed[bulk]._replace(sub_task=claimed[single].sub_task) == claimed[single]


async def test_ids_are_in_order_and_numbers_go_on_behind_them(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    made: list[str] = []
    for count in (1, 1000, 37):  # the clock stands still
        made += (await book.files(flow, task, count, stem=f"{count}-")).sub_task_ids
        made.append(await book.file(flow, task, f"single{count}"))
    assert len(set(made)) == 1041
    assert made == sorted(made)
    await book.reopen()
    assert await book.file(flow, task, "last") > made[-1]
    assert (await book.counters(flow, task)).created == 1042


async def test_one_live_sub_task_a_target_within_a_bulk_and_beside_others(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    earlier = await book.file(flow, task, "0001")
    first = (await book.files(flow, task, 3)).sub_task_ids
    second = (await book.files(flow, task, 3)).sub_task_ids
    assert {row.sub_task.sub_task_id for row in await book.claim(task)} == {earlier, first[0], first[2]}
    assert len({*first, *second}) == 6


async def test_places_are_given_to_the_first(book: Book) -> None:
    await book.close()
    book.bounds = replace(book.bounds, waiting_max=10)
    await book.open()
    flow = await book.flow()
    task = await book.stream(flow)
    rehearsed = await book.files(flow, task, 14, dry=True)
    assert (len(rehearsed.sub_task_ids), rehearsed.asked) == (10, 14)
    assert (await book.counters(flow, task)).accepted == 0
    found = await asyncio.gather(*(book.files(flow, task, 4, stem=f"{i}-") for i in range(4)), return_exceptions=True)
    assert [len(one.sub_task_ids) for one in found if not isinstance(one, BaseException)] == [4, 4, 2]
    assert isinstance(found[3], TooManyWaitingError)
    assert (await book.counters(flow, task)).created == 10
    assert (await book.files(flow, task, 0)).asked == 0  # needs no place


async def test_what_concerns_all_refuses_all_and_uses_the_nonce(book: Book) -> None:
    flow, other = await book.flow(), await book.flow("/other/", "b2")
    task = await book.stream(flow)
    with pytest.raises(TaskNotFoundError):
        await book.files(other, task, 2)
    with pytest.raises(DataFlowNotFoundError):
        await book.files("df-0000000000000000", task, 2)
    await book.catalog.stop_data_flow(book.call(), FS, flow)
    for count in (0, 2):
        with pytest.raises(InvalidStateError):
            await book.files(flow, task, count, token="t")
    await book.catalog.start_data_flow(book.call(), FS, flow)
    call, new = book.call(), NewSubTasks(file_system_id=FS, data_flow_id=flow, task_id=task, files=[], remark="")
    await book.catalog.create_sub_tasks(call, new)
    with pytest.raises(NonceUsedError):
        await book.catalog.create_sub_tasks(call, new)
    assert len((await book.files(flow, task, 2, token="t")).sub_task_ids) == 2


async def test_a_token_answers_again_what_was_answered_with_its_remark(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    first = await book.files(flow, task, 5, token="t", remark='["a b", "ü"]')
    assert first.remark == '["a b", "ü"]'
    for _ in range(2):
        assert await book.files(flow, task, 5, token="t", remark="another") == first
        assert await book.files(flow, task, 5, token="t", dry=True) == first
        await book.reopen()
    with pytest.raises(TokenMismatchError):
        await book.files(flow, task, 5, token="t", stem="other")
    found = await asyncio.gather(*(book.files(flow, task, 3, token="u") for _ in range(8)))
    assert len({tuple(one.sub_task_ids) for one in found}) == 1
    assert (await book.counters(flow, task)).accepted == 8


async def test_other_calls_find_their_place_between_two_bulks(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    ended: list[str] = []

    async def bulk(number: int) -> None:
        await book.files(flow, task, 1000, stem=f"{number}-")
        ended.append("bulk")

    async def single() -> None:
        await book.file(flow, task, "single")
        ended.append("single")

    await asyncio.gather(*(bulk(number) for number in range(6)), single())
    assert ended.index("single") <= 2, ended


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_killed_at_the_commit_a_repeated_call_makes_each_file_once(tmp_path: Path, moment: str) -> None:
    path = tmp_path / "catalog.db"
    book = await Book(path).open()
    flow = await book.flow()
    task = await book.stream(flow)
    await book.close()
    command = [sys.executable, "-m", "tests.fixtures.bulkvictim", str(path), flow, task, moment]
    victim = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stderr=asyncio.subprocess.PIPE)
    _, said = await asyncio.wait_for(victim.communicate(), 60)
    assert victim.returncode == -9, said.decode()
    recount(path)
    assert book.count("sub_tasks") == (COUNT if moment == "after" else 0)
    await book.open()
    try:
        made = (await book.files(flow, task, COUNT, token=TOKEN)).sub_task_ids
        assert (await book.files(flow, task, COUNT, token=TOKEN)).sub_task_ids == made
        assert len(set(made)) == book.count("sub_tasks") == COUNT
        assert {(await book.sub_task(made[number])).source for number in (0, COUNT - 1)} == {
            "/train/0000", f"/train/{COUNT - 1:04}",
        }  # fmt: skip
    finally:
        await book.close()
    recount(path)
