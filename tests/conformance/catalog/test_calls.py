"""Nonces, ClientTokens and dry runs: is a call done once, remembered for whom, and rehearsed without a trace?"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import msgspec
import pytest

from penstock.catalog.verbs import Changes, SubTaskQuery
from penstock.errors import (
    CatalogError,
    DependencyViolationError,
    InvalidStateError,
    NonceUsedError,
    TaskNotFoundError,
    TokenMismatchError,
    TooManyWaitingError,
)
from penstock.model import SubTaskStatus
from tests.fixtures.ledger import FS, SECOND_NS, Book

pytestmark = pytest.mark.anyio
MINUTES_31_NS = 31 * 60 * SECOND_NS


async def everything(book: Book) -> int:
    return len((await book.catalog.sub_tasks(SubTaskQuery(file_system_id=FS), next_token="", limit=100)).items)


async def test_a_nonce_is_refused_twice_also_after_a_restart(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    call = book.call()
    await book.catalog.create_sub_task(call, book.new_file(flow, task, "a"))
    for _ in range(2):
        with pytest.raises(NonceUsedError):
            await book.catalog.create_sub_task(call, book.new_file(flow, task, "b"))
        await book.reopen()
    assert await everything(book) == 1


async def test_a_read_nonce_is_refused_twice_also_after_a_restart(book: Book) -> None:
    await book.catalog.use_nonce("n1")
    with pytest.raises(NonceUsedError):
        await book.catalog.use_nonce("n1")
    await book.reopen()
    with pytest.raises(NonceUsedError):
        await book.catalog.use_nonce("n1")
    await book.catalog.use_nonce("n2")


async def test_of_one_nonce_sent_many_times_at_once_one_is_done(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    call = book.call()
    answers = await asyncio.gather(
        *(book.catalog.create_sub_task(call, book.new_file(flow, task, f"{i}")) for i in range(20)),
        *(book.catalog.use_nonce("read") for _ in range(20)),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, str) for answer in answers) == 1
    assert sum(answer is None for answer in answers) == 1
    assert sum(isinstance(answer, NonceUsedError) for answer in answers) == 38
    assert await everything(book) == 1


async def test_a_refused_call_has_used_its_nonce(book: Book) -> None:
    flow = await book.flow()
    call, early = book.call(), book.call()
    with pytest.raises(InvalidStateError):
        await book.catalog.start_data_flow(call, FS, flow)
    await book.catalog.refuse(early)
    for used in (call, early):
        with pytest.raises(NonceUsedError):
            await book.catalog.stop_data_flow(used, FS, flow)


async def test_a_nonce_is_one_for_reads_and_writes_also_after_a_restart(book: Book) -> None:
    flow = await book.flow()
    written, refused, early = book.call(), book.call(), book.call()
    await book.catalog.stop_data_flow(written, FS, flow)
    with pytest.raises(InvalidStateError):
        await book.catalog.stop_data_flow(refused, FS, flow)
    await book.catalog.refuse(early)
    read = book.call()
    await book.catalog.use_nonce(read.nonce)
    for _ in range(2):
        for used in (written, refused, early):
            with pytest.raises(NonceUsedError):
                await book.catalog.use_nonce(used.nonce)
        with pytest.raises(NonceUsedError):
            await book.catalog.start_data_flow(read, FS, flow)
        with pytest.raises(NonceUsedError):
            await book.catalog.refuse(read)
        await book.reopen()
    await book.catalog.use_nonce(book.call().nonce)
    await book.catalog.start_data_flow(book.call(), FS, flow)


async def test_of_a_read_and_a_write_with_one_nonce_at_once_one_is_done(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    for _ in range(20):
        call = book.call()
        answers = await asyncio.gather(
            book.catalog.create_sub_task(call, book.new_file(flow, task)),
            book.catalog.use_nonce(call.nonce),
            return_exceptions=True,
        )
        assert sum(isinstance(answer, NonceUsedError) for answer in answers) == 1


async def test_nonces_are_known_for_31_minutes_and_forgotten_some_time_later(book: Book) -> None:
    async def prune() -> None:
        await book.catalog.prune(
            sub_tasks_before_ns=0, tokens_before_ns=0, nonces_before_ns=book.clock.ns - MINUTES_31_NS, limit=100
        )

    await prune()
    flow = await book.flow()
    call = book.call()
    await book.catalog.stop_data_flow(call, FS, flow)
    await book.catalog.use_nonce("read")
    for _ in range(30):
        book.clock.pass_s(60)
        await prune()
        with pytest.raises(NonceUsedError):
            await book.catalog.start_data_flow(call, FS, flow)
        with pytest.raises(NonceUsedError):
            await book.catalog.use_nonce("read")
    for _ in range(35):
        book.clock.pass_s(60)
        await prune()
    await book.catalog.start_data_flow(call, FS, flow)
    await book.catalog.use_nonce("read")


async def test_a_token_answers_the_first_result_also_after_a_restart(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    new = book.new_file(flow, task)
    assert await book.catalog.remembered(book.call("Create", token="t")) is None
    first = await book.catalog.create_sub_task(book.call("Create", token="t"), new)
    assert await book.catalog.create_sub_task(book.call("Create", token="t"), new) == first
    await book.reopen()
    assert await book.catalog.create_sub_task(book.call("Create", token="t"), new) == first
    await book.cancel(flow, task, first)  # the answer stays the same, whatever became of it
    assert await book.catalog.create_sub_task(book.call("Create", token="t"), new) == first
    assert await book.catalog.remembered(book.call("Create", token="t")) == first
    assert await everything(book) == 1


async def test_a_token_with_other_parameters_or_another_action_is_refused(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    new = book.new_file(flow, task)
    await book.catalog.create_sub_task(book.call("Create", token="t"), new)
    with pytest.raises(TokenMismatchError):
        await book.catalog.create_sub_task(book.call("Create", token="t", fingerprint="other"), new)
    with pytest.raises(TokenMismatchError):
        await book.catalog.stop_data_flow(book.call("Stop", token="t"), FS, flow)
    with pytest.raises(TokenMismatchError):
        await book.catalog.remembered(book.call("Stop", token="t"))
    others = msgspec.structs.replace(book.call("Create", token="t", fingerprint="other"), access_key_id="another key")
    await book.catalog.create_sub_task(others, new)
    await book.catalog.create_sub_task(book.call("Create", token="T", fingerprint="other"), new)
    assert await everything(book) == 3


async def test_a_token_on_a_step_answers_success_without_doing_it_again(book: Book) -> None:
    flow = await book.flow()
    await book.catalog.stop_data_flow(book.call("Stop", token="t"), FS, flow)
    await book.catalog.start_data_flow(book.call("Start"), FS, flow)
    await book.catalog.stop_data_flow(book.call("Stop", token="t"), FS, flow)
    assert (await book.catalog.data_flow(FS, flow)).status == "Running"
    await book.catalog.delete_data_flow(book.call("Delete", token="d"), FS, flow)
    await book.catalog.delete_data_flow(book.call("Delete", token="d"), FS, flow)


async def test_a_refused_call_does_not_keep_its_token(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    await book.catalog.stop_data_flow(book.call(), FS, flow)
    with pytest.raises(InvalidStateError):
        await book.catalog.create_sub_task(book.call(token="t"), book.new_file(flow, task))
    await book.catalog.start_data_flow(book.call(), FS, flow)
    await book.catalog.create_sub_task(book.call(token="t", fingerprint="other"), book.new_file(flow, task))


async def test_one_token_sent_many_times_at_once_makes_one_thing(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    new = book.new_file(flow, task)
    answers = await asyncio.gather(*(book.catalog.create_sub_task(book.call(token="t"), new) for _ in range(20)))
    assert len(set(answers)) == 1
    assert await everything(book) == 1


async def test_tokens_are_forgotten_when_they_are_old_enough(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    new = book.new_file(flow, task)
    await book.catalog.create_sub_task(book.call(token="old"), new)
    book.clock.pass_s(10)
    middle_ns = book.clock.ns
    await book.catalog.create_sub_task(book.call(token="young"), new)

    async def prune() -> int:
        return await book.catalog.prune(
            sub_tasks_before_ns=0, tokens_before_ns=middle_ns, nonces_before_ns=0, limit=100
        )

    assert [await prune(), await prune()] == [1, 0]
    await book.catalog.create_sub_task(book.call(token="old"), new)
    await book.catalog.create_sub_task(book.call(token="young"), new)
    assert await everything(book) == 3


async def test_a_dry_run_checks_everything_and_leaves_only_its_nonce(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    new = book.new_file(flow, task)
    call = book.call(dry=True, token="t")
    assert await book.catalog.create_sub_task(call, new) == ""
    assert await book.catalog.create_data_flow(book.call(dry=True), book.new_flow("/x/", "x")) == ""
    assert await book.catalog.create_task(book.call(dry=True), book.new_stream(flow)) == ""
    await book.catalog.stop_data_flow(book.call(dry=True), FS, flow)
    with pytest.raises(NonceUsedError):
        await book.catalog.create_sub_task(call, new)
    assert await everything(book) == 0
    assert (await book.catalog.data_flow(FS, flow)).status == "Running"
    assert (await book.counters(flow, task)).accepted == 0
    with pytest.raises(TaskNotFoundError):
        await book.catalog.cancel_task(book.call(dry=True), FS, flow, "task-0000000000000000")
    sub_task = await book.catalog.create_sub_task(book.call(token="t", fingerprint="other"), new)
    with pytest.raises(DependencyViolationError):
        await book.catalog.cancel_task(book.call(dry=True), FS, flow, task)
    await book.catalog.cancel_sub_task(book.call(dry=True), FS, flow, task, sub_task)
    assert await book.status(sub_task) is SubTaskStatus.CREATED


async def test_a_dry_run_with_a_known_token_passes_or_is_refused_like_the_call(book: Book) -> None:
    flow = await book.flow()
    task = await book.stream(flow)
    new = book.new_file(flow, task)
    await book.catalog.create_sub_task(book.call("Create", token="t"), new)
    assert await book.catalog.create_sub_task(book.call("Create", token="t", dry=True), new) == ""
    with pytest.raises(TokenMismatchError):
        await book.catalog.create_sub_task(book.call("Create", token="t", fingerprint="o", dry=True), new)


async def test_callers_of_one_commit_do_not_disturb_each_other(book: Book) -> None:
    """Good calls, refused ones, replays, dry runs and bad values, all at once: each gets what it would get alone."""
    flow = await book.flow()
    task, closed = await book.stream(flow), await book.stream(flow)
    await book.catalog.cancel_task(book.call(), FS, flow, closed)
    used = book.call()
    await book.catalog.modify_data_flow(used, FS, flow, Changes(description="words"))
    bad_text = msgspec.structs.replace(book.new_file(flow, task, "bad"), source="\ud800")
    answers = await asyncio.gather(
        *(book.file(flow, task, f"good{i}") for i in range(30)),
        book.file(flow, closed),
        book.catalog.create_sub_task(used, book.new_file(flow, task, "replayed")),
        book.catalog.create_sub_task(book.call(dry=True), book.new_file(flow, task, "dry")),
        book.catalog.create_sub_task(book.call(), bad_text),
        *(book.file(flow, task, f"fine{i}") for i in range(30)),
        return_exceptions=True,
    )
    good = [*answers[:30], *answers[34:]]
    assert all(isinstance(answer, str) and answer for answer in good)
    assert good == sorted(good, key=str)  # ids in the order of the calls
    assert isinstance(answers[30], InvalidStateError)
    assert isinstance(answers[31], NonceUsedError)
    assert answers[32] == ""
    assert isinstance(answers[33], UnicodeEncodeError)
    assert (await book.counters(flow, task)).created == 60


async def test_the_bound_on_waiting_sub_tasks_holds_exactly(book: Book) -> None:
    await book.close()
    book.bounds = replace(book.bounds, waiting_max=10)
    await book.open()
    flow = await book.flow()
    task = await book.stream(flow)
    answers = await asyncio.gather(*(book.file(flow, task, f"{i}") for i in range(25)), return_exceptions=True)
    assert sum(isinstance(answer, str) for answer in answers) == 10
    assert sum(isinstance(answer, TooManyWaitingError) for answer in answers) == 15
    await book.claim(task, limit=3)
    answers = await asyncio.gather(*(book.file(flow, task, f"more{i}") for i in range(5)), return_exceptions=True)
    assert sum(isinstance(answer, CatalogError) for answer in answers) == 2
