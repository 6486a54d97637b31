"""Does the client on asyncio do the same without a thread, for many tasks at once, and let go when it is cancelled?"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from penstock.client import ApiUnreachableError, AsyncStream, NotMovedError, Refused, SubTask
from penstock.client.async_wire import AsyncClient
from penstock.client.signing import Call, ClientOptions
from penstock.errors import ApiRefusedError
from tests.e2e.client.conftest import Spot
from tests.fixtures.holdproxy import HoldProxy
from tests.fixtures.scriptedserver import Peer, ScriptedServer
from tests.fixtures.waiting import seen_until

pytestmark = pytest.mark.anyio


async def test_many_tasks_submit_and_wait_at_once(spot: Spot) -> None:
    names = spot.write(200)
    before = threading.active_count()
    async with spot.asynchronous() as penstock:
        flow = await penstock.flow(spot.path, spot.storage)
        assert (await penstock.flow(spot.path, spot.storage)).facts == flow.facts
        async with await flow.export_stream() as stream:
            submissions = await asyncio.gather(*(stream.submit(name) for name in names))
            done = await asyncio.gather(*(submission.wait(60) for submission in submissions))
        assert [each.name for each in done] == names
        assert all(each.is_complete for each in done)
        assert not stream.window.ended
        assert threading.active_count() <= before  # those of tests before may end meanwhile
        assert (await penstock.sub_task(done[0].sub_task_id)).checksum == done[0].checksum
        assert flow.facts in await penstock.flows()


async def test_finished_ones_are_iterated_while_others_are_submitted(spot: Spot) -> None:
    names = spot.write(20)
    async with spot.asynchronous() as penstock:
        stream = await (await penstock.flow(spot.path, spot.storage)).export_stream()
        await stream.submit(names[0])
        left, came = names[1:], []
        async for done in stream.finished():
            came.append(done.name)
            if left:
                await stream.submit(left.pop())
        assert sorted(came) == names


async def test_files_come_from_an_asynchronous_source_and_end_meanwhile(spot: Spot) -> None:
    names = spot.write(40)
    first_ended = asyncio.Event()

    async def source() -> AsyncIterator[str]:
        yield names[0]
        await asyncio.wait_for(first_ended.wait(), 60)
        for name in [*names[1:], ".."]:
            yield name

    async with spot.asynchronous() as penstock:
        facts = (await (await penstock.flow(spot.path, spot.storage)).export_stream()).facts
        stream = await penstock.stream(facts.task_id, in_flight_max=7)
        came: list[SubTask | Refused] = []
        async for done in stream.move(source()):
            first_ended.set()
            came.append(done)
            assert len(stream.window.under_way) <= 7
        assert sorted(each.name for each in came if isinstance(each, SubTask)) == names
        assert [each.file.source for each in came if isinstance(each, Refused)] == [".."]
        assert sum([1 async for _ in stream.submit_many(names)]) == 40
        await stream.wait()


async def test_what_a_source_raises_is_raised_and_nothing_is_left_running(spot: Spot) -> None:
    async def source() -> AsyncIterator[str]:
        yield "missing"
        raise LookupError("the list broke off")

    before = asyncio.all_tasks()
    async with spot.asynchronous() as penstock:
        stream = await (await penstock.flow(spot.path, spot.storage)).export_stream()
        with pytest.raises(LookupError, match="broke off"):
            async for _ in stream.move(source()):
                pass
    assert asyncio.all_tasks() == before


async def test_whoever_is_cancelled_while_a_source_is_slow_leaves_no_task_behind(spot: Spot) -> None:
    taken = asyncio.Event()

    async def source() -> AsyncIterator[str]:
        yield "a\udcffb"
        taken.set()
        await asyncio.Event().wait()

    async def moving(stream: AsyncStream) -> None:
        async for came in stream.move(source()):
            assert isinstance(came, Refused)
            assert came.message.startswith("its name is not UTF-8")

    before = asyncio.all_tasks()
    async with spot.asynchronous() as penstock:
        stream = await (await penstock.flow(spot.path, spot.storage)).export_stream()
        task = asyncio.create_task(moving(stream))
        await asyncio.wait_for(taken.wait(), 60)
        await seen_until(lambda: len(asyncio.all_tasks() - before) == 3, 60, "it does not wait for the source")
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        await seen_until(lambda: asyncio.all_tasks() == before, 10, "a task is left behind")
        assert stream.window.room == stream.window.most


async def test_leaving_waits_and_raises_what_nobody_took(spot: Spot) -> None:
    async with spot.asynchronous() as penstock:
        flow = await penstock.flow(spot.path, spot.storage)
        with pytest.raises(NotMovedError, match="missing: FAILED"):
            async with await flow.export_stream() as stream:
                submission = await stream.submit("missing")
        assert submission.latest is not None
        assert submission.latest.error.startswith("SourceNotFound")
        await submission.cancel()  # it has ended, so that does nothing


async def test_a_wait_that_is_cancelled_leaves_the_client_usable(spot: Spot) -> None:
    (name,) = spot.write(1)
    with HoldProxy(spot.service.api) as proxy:
        async with spot.asynchronous(proxy.endpoint) as penstock:
            stream = await (await penstock.flow(spot.path, spot.storage)).export_stream()
            proxy.hold(down_bytes=0)
            asking = asyncio.create_task(stream.submit(name))
            await asyncio.to_thread(proxy.wait_held)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            proxy.release()
            assert (await (await stream.submit(name)).wait(60)).is_complete
            proxy.hold(down_bytes=0)
            again = asyncio.create_task(stream.submit(name))
            await asyncio.to_thread(proxy.wait_held)
            proxy.cut()  # the call was carried out, and its answer is lost
            proxy.release()
            assert (await (await again).wait(60)).is_complete
            told = await penstock.call(
                "DescribeDataFlowTasks", Filters=[{"Key": "TaskIds", "Value": stream.facts.task_id}]
            )
            assert told["TaskInfo"]["Task"][0]["FilesystemId"]


def scene(answer: bytes) -> ScriptedServer:
    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(answer)

    return ScriptedServer(play)


def client_of(server: ScriptedServer) -> AsyncClient:
    return AsyncClient(ClientOptions(endpoint=server.endpoint, access_key_id="AK", access_key_secret="SK"))


async def test_chunks_and_the_wish_to_wait_are_read() -> None:
    body = b'{"Code": "Throttling.User", "Message": "full", "RequestId": "R"}'
    head = b"HTTP/1.1 429 x\r\nRetry-After: 7\r\ntransfer-encoding: chunked\r\n\r\n"
    with scene(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)) as server:
        client = client_of(server)
        with pytest.raises(ApiRefusedError, match="full") as caught:
            await client.call(Call(action="DescribeDataFlows", parameters={}))
        assert (caught.value.retry_after_s, caught.value.request_id) == (7.0, "R")
        await client.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{",
        b"what is this\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]",
    ],
)
async def test_what_is_no_answer_is_said(answer: bytes) -> None:
    with scene(answer) as server:
        client = client_of(server)
        with pytest.raises(ApiUnreachableError, match=server.endpoint):
            await client.call(Call(action="DescribeDataFlows", parameters={}))
        await client.close()
