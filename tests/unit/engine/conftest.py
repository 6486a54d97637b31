"""An engine whose loops nobody runs: a real catalog on a clock that stands still, and movers that do what tests say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from penstock.engine.engine import Engine
from penstock.engine.options import EngineOptions
from penstock.errors import FailureCode
from penstock.model import Bucket, FileDetail, FileSystem, Registry, SubTask, TaskAction
from penstock.stores.base import Store
from penstock.transfer.transfer import Checkpoint, Transfer
from tests.fixtures.fakeexecutor import FakeExecutor
from tests.fixtures.ledger import FS, Book
from tests.fixtures.memorystore import MemoryStore
from tests.fixtures.registered import registered_bucket

BUCKET = registered_bucket("bucket")
REGISTRY = Registry(
    file_systems={FS: FileSystem(file_system_id=FS, root="/mnt")}, buckets={"bucket": BUCKET}, access_keys={}
)
RECORD = Checkpoint(key="data/a", intent_ns=5, upload_id="u-1")
DETAIL = FileDetail(modify_time_ns=1, size_bytes=100)
TROUBLE: dict[str, Any] = {"code": FailureCode.CHECKSUM_MISMATCH, "message": "bytes differ"}


@dataclass(slots=True)
class Rig:
    """An engine to turn by hand."""

    book: Book
    executor: FakeExecutor
    engine: Engine
    registry: Registry
    stores: dict[str, MemoryStore]

    async def turn(self, times: int = 1) -> None:
        """Every loop steps once (or more often)."""
        for _ in range(times):
            await self.engine.canceler.step()
            await self.engine.recorder.checkpoint_step()
            await self.engine.recorder.progress_step()
            await self.engine.settler.step()
            await self.engine.runner.step()
            await self.engine.settler.step()

    async def pass_s(self, seconds: float) -> None:
        """Let time pass, then turn."""
        self.book.clock.pass_s(seconds)
        await self.turn(2)

    async def row(self, sub_task: str) -> SubTask:
        return await self.book.sub_task(sub_task)

    def moved(self) -> list[Transfer]:
        """All transfers in the order in which they were submitted."""
        return [transfer for _, lease in self.executor.leases for transfer in lease.transfers]

    async def restart(
        self,
        *,
        executor: FakeExecutor | None = None,
        options: EngineOptions | None = None,
        jitter: Callable[[], float] = lambda: 0.5,
    ) -> None:
        """A new engine over the same catalog, as after a crash (or with other options, or dice)."""
        self.executor = executor or FakeExecutor()
        self.engine = Engine(
            catalog=self.book.catalog,
            executor=self.executor,
            registry=lambda: self.registry,
            open_bucket=self._open,
            options=options or EngineOptions(),
            now_ns=self.book.clock,
            jitter=jitter,
        )
        await self.engine.start()

    def without_bucket(self) -> None:
        """The bucket is not registered any more."""
        self.registry = replace(self.registry, buckets={})

    def _open(self, bucket: Bucket) -> Store:
        return self.stores[bucket.name]


async def one(rig: Rig, name: str = "a", action: TaskAction = TaskAction.STREAM_IMPORT) -> str:
    """A sub-task of a dataflow of its own; its id."""
    flow = await rig.book.flow()
    return await rig.book.file(flow, await rig.book.stream(flow, action), name)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def rig(memory_path: Path, anyio_backend: str) -> AsyncIterator[Rig]:
    book = await Book(memory_path / "catalog.db").open()
    memory = MemoryStore(bucket="bucket")
    rig = Rig(book, FakeExecutor(), None, REGISTRY, {"bucket": memory})  # type: ignore[arg-type]
    await rig.restart()
    try:
        yield rig
    finally:
        await book.close()
