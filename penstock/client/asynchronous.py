"""`AsyncPenstock`: the service for programs on asyncio. No thread, a few connections; many tasks of one event loop may share it.

Drives the same steps as `blocking`; decides nothing by itself.

    async with AsyncPenstock("http://127.0.0.1:8680", access_key_id=KEY, access_key_secret=SECRET) as penstock:
        flow = await penstock.flow("/train/", "oss://bucket/run-7/")
        async with await flow.export_stream() as stream:
            await stream.submit("step-100.pt")
            async for done in stream.finished():
                print(done.name, done.status, done.checksum)
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from penstock.client import finding, requests
from penstock.client.async_wire import AsyncClient
from penstock.client.bulk import FileToMove, Source, file_of
from penstock.client.feed import Feed
from penstock.client.finding import FlowWish, StreamWish, as_directory, storage_parts
from penstock.client.places import place_from_environment
from penstock.client.signing import ClientOptions, Parameter
from penstock.client.steps import Ground, Pause, Steps, ask, rest
from penstock.client.values import FlowFacts, Refused, StreamFacts, SubTask
from penstock.client.window import IN_FLIGHT_MAX, Moving, Window, refusal_of
from penstock.model import ConflictPolicy, Direction

Result = TypeVar("Result")
OVERWRITE = ConflictPolicy.OVERWRITE_EXISTING


def _nothing(_: object) -> None:
    """For those who want to be told nothing."""


class AsyncPenstock:
    """A service, and one of its file systems. What its methods do and raise stands with those of `Penstock`."""

    def __init__(
        self,
        endpoint: str,
        *,
        access_key_id: str,
        access_key_secret: str,
        file_system_id: str = "",
        ca_file: str = "",
        timeout_s: float = 30.0,
        silence_max_s: float = 60.0,
        on_wait: Callable[[str], None] = _nothing,
    ) -> None:
        """As `Penstock`."""
        self._client = AsyncClient(
            ClientOptions(
                endpoint=endpoint,
                access_key_id=access_key_id,
                access_key_secret=access_key_secret,
                ca_file=ca_file,
                timeout_s=timeout_s,
            )
        )
        self._ground = Ground(
            file_system_id=file_system_id,
            silence_max_s=silence_max_s,
            on_wait=on_wait,
            clock=time.monotonic,
            entropy=os.urandom,
        )

    @classmethod
    def from_environment(cls, *, on_wait: Callable[[str], None] = _nothing) -> Self:
        """As `Penstock.from_environment`."""
        place = place_from_environment(os.environ)
        return cls(
            place.endpoint,
            access_key_id=place.access_key_id,
            access_key_secret=place.access_key_secret,
            file_system_id=place.file_system_id,
            ca_file=place.ca_file,
            on_wait=on_wait,
        )

    async def ground(self) -> Ground:
        """What steps stand on; the file system is looked for at the first need. Raises NotReadyError where it is unclear."""
        if not self._ground.file_system_id:
            found = await self.run(requests.only_file_system(self._ground))
            self._ground = dataclasses.replace(self._ground, file_system_id=found)
        return self._ground

    async def run(self, steps: Steps[Result]) -> Result:
        """Carry out steps; for what this class has no words for."""
        try:
            step = next(steps)
            while True:
                try:
                    if isinstance(step, Pause):
                        await asyncio.sleep(step.seconds)
                        answer: Mapping[str, Any] = {}
                    else:
                        answer = await self._client.call(step)
                except Exception as error:  # noqa: BLE001  the steps decide what it means
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        finally:
            steps.close()

    async def call(self, action: str, **parameters: Parameter | None) -> Mapping[str, Any]:
        """As `Penstock.call`."""
        return await self.run(ask(await self.ground(), action, **parameters))

    async def flow(self, path: str, storage: str) -> AsyncFlow:
        """As `Penstock.flow`: found, or made."""
        bucket, prefix = storage_parts(storage)
        wish = FlowWish(path=as_directory(path), storage=bucket, prefix=prefix)
        return AsyncFlow(self, await self.run(finding.make_flow(await self.ground(), wish)))

    async def flows(self) -> Sequence[FlowFacts]:
        """The dataflows of the file system, newest first."""
        return await self.run(finding.flows(await self.ground()))

    async def stream(self, task_id: str, *, in_flight_max: int = IN_FLIGHT_MAX) -> AsyncStream:
        """An open stream by its id. Raises NotReadyError where there is none."""
        ground = await self.ground()
        facts = await self.run(finding.stream_of(ground, task_id))
        return AsyncStream(self, ground, facts, in_flight_max)

    async def sub_task(self, sub_task_id: str) -> SubTask:
        """What is known of a sub-task, whoever made it. Raises SubTaskGoneError."""
        return await self.run(requests.sub_task(await self.ground(), sub_task_id))

    async def close(self) -> None:
        """Closes the connections; the next call opens another."""
        await self._client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class AsyncFlow:
    """A dataflow that is Running. `facts` are what it binds."""

    def __init__(self, penstock: AsyncPenstock, facts: FlowFacts) -> None:
        self._penstock = penstock
        self.facts = facts

    async def import_stream(
        self,
        directory: str = "/",
        *,
        target_directory: str | None = None,
        policy: ConflictPolicy = OVERWRITE,
        in_flight_max: int = IN_FLIGHT_MAX,
    ) -> AsyncStream:
        """As `Flow.import_stream`."""
        return await self._stream(Direction.IMPORT, directory, target_directory, policy, in_flight_max)

    async def export_stream(
        self,
        directory: str = "/",
        *,
        target_directory: str | None = None,
        policy: ConflictPolicy = OVERWRITE,
        in_flight_max: int = IN_FLIGHT_MAX,
    ) -> AsyncStream:
        """As `Flow.export_stream`."""
        return await self._stream(Direction.EXPORT, directory, target_directory, policy, in_flight_max)

    async def _stream(
        self, direction: Direction, directory: str, target: str | None, policy: ConflictPolicy, in_flight_max: int
    ) -> AsyncStream:
        wish = StreamWish(
            flow_id=self.facts.flow_id,
            direction=direction,
            directory=as_directory(directory),
            target_directory=as_directory(directory if target is None else target),
            policy=policy,
        )
        ground = await self._penstock.ground()
        return AsyncStream(
            self._penstock, ground, await self._penstock.run(finding.make_stream(ground, wish)), in_flight_max
        )


class AsyncStream:
    """An open stream, and what was submitted to it here. Many tasks may submit and wait at once; one iterates.

    As a context manager it waits at the end, as `Stream` does.
    """

    def __init__(self, penstock: AsyncPenstock, ground: Ground, facts: StreamFacts, in_flight_max: int) -> None:
        self._penstock = penstock
        self._ground = ground
        self.facts = facts
        self.window = Window(ground, facts, in_flight_max=in_flight_max)

    async def submit(
        self,
        source: Source,
        target: Source | None = None,
        *,
        size_bytes: int | None = None,
        modify_time_ns: int | None = None,
        client_token: str | None = None,
    ) -> AsyncSubmission:
        """As `Stream.submit`. Cancelled while it waits for an answer, it leaves in doubt whether the file was accepted."""
        file = file_of(source, target, size_bytes=size_bytes, modify_time_ns=modify_time_ns)
        (came,) = await self._penstock.run(self.window.hand_over([file], client_token=client_token))
        if isinstance(came, Refused):
            raise refusal_of(came)
        return AsyncSubmission(self._penstock, self, came)

    async def submit_many(
        self, files: Iterable[FileToMove | Source] | AsyncIterable[FileToMove | Source]
    ) -> AsyncGenerator[AsyncSubmission | Refused, None]:
        """As `Stream.submit_many`; files may come from an asynchronous iterator, and wait for no others then."""
        async with contextlib.aclosing(Feed(files).pages(self.window.most)) as pages:
            async for page in pages:
                for came in await self._penstock.run(self.window.hand_over(page)):
                    yield came if isinstance(came, Refused) else AsyncSubmission(self._penstock, self, came)

    async def finished(self) -> AsyncGenerator[SubTask, None]:
        """As `Stream.finished`; what is submitted meanwhile is among them."""
        self.window.takers += 1
        try:
            looks = 0
            while True:
                done = self.window.taken()
                if done is not None:
                    looks = 0
                    yield done
                elif self.window.under_way:
                    looks = await self._look(looks)
                else:
                    return
        finally:
            self.window.takers -= 1

    async def move(
        self, files: Iterable[FileToMove | Source] | AsyncIterable[FileToMove | Source]
    ) -> AsyncGenerator[SubTask | Refused, None]:
        """As `Stream.move`; files may come from an asynchronous iterator, and what ends meanwhile is yielded meanwhile."""
        feed = Feed(files)
        self.window.takers += 1
        try:
            looks = 0
            async with contextlib.aclosing(feed):
                while not feed.is_over or self.window.under_way or self.window.ended:
                    done = self.window.taken()
                    if done is not None:
                        looks = 0
                        yield done
                        continue
                    if page := feed.ready(self.window.room):
                        for came in await self._penstock.run(self.window.submit(page)):
                            if isinstance(came, Refused):
                                yield came
                    elif self.window.under_way:
                        looks = await self._look(looks)
                    else:
                        await feed.some()
        finally:
            self.window.takers -= 1

    async def wait(self) -> None:
        """As `Stream.wait`."""
        await self._penstock.run(self.window.settle())

    async def withdraw(self) -> None:
        """As `Stream.withdraw`."""
        await self._penstock.run(requests.withdraw(self._ground, self.window))

    async def cancel(self) -> None:
        """As `Stream.cancel`."""
        await self._penstock.run(requests.cancel_stream(self._ground, self.facts.flow_id, self.facts.task_id))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self.wait()

    async def _look(self, looks: int) -> int:
        """A look; where it finds nothing that ended, a pause. How many looks in a row found nothing."""
        await self._penstock.run(self.window.look())
        if self.window.ended or not self.window.under_way:
            return 0
        await self._penstock.run(rest(looks))
        return looks + 1


class AsyncSubmission:
    """A file that was accepted. `sub_task_id` is its id."""

    def __init__(self, penstock: AsyncPenstock, stream: AsyncStream, moving: Moving) -> None:
        self._penstock = penstock
        self._stream = stream
        self._moving = moving
        self.sub_task_id = moving.sub_task_id
        self.file = moving.file

    @property
    def latest(self) -> SubTask | None:
        """What was last seen of it; None before the first look."""
        return self._moving.latest

    async def wait(self, timeout_s: float | None = None, on_progress: Callable[[SubTask], None] = _nothing) -> SubTask:
        """As `Submission.wait`. A wait that is cancelled leaves the file moving."""
        ground = await self._penstock.ground()
        return await self._penstock.run(
            requests.wait_for(ground, self._stream.window, self._moving, timeout_s=timeout_s, on_progress=on_progress)
        )

    async def cancel(self) -> None:
        """As `Submission.cancel`."""
        facts = self._stream.facts
        ground = await self._penstock.ground()
        await self._penstock.run(requests.cancel_sub_task(ground, facts.flow_id, facts.task_id, self.sub_task_id))
