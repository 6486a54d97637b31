"""What a reset exchanges: a catalog with its engine, which together are one life of a stand-in. And who leads one to the next.

To the service all lives are one engine that runs until it has drained. Movers, listeners and the bucket server outlive them.
Calls catalog and engine; what lies on disks is exchanged in between by whoever asks for the next life.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from penstock.app.standin.executor import StandInExecutor
from penstock.app.working import Keeping
from penstock.catalog.catalog import Catalog
from penstock.catalog.live import Seeing
from penstock.engine.engine import Engine
from penstock.model import SubTaskStatus

QUIET_S = 5.0
LOOK_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One catalog, the engine that works on it, the sight of both, and a loop beside the engine."""

    catalog: Catalog
    engine: Engine
    seeing: Seeing
    keeping: Keeping


class Lives:
    """One after another. `begin` opens the next one, over whatever catalog lies in HOME then."""

    def __init__(self, begin: Callable[[], Awaitable[Life]], executor: StandInExecutor) -> None:
        self._begin = begin
        self._executor = executor
        self._life: Life | None = None
        self._running: asyncio.Task[None] | None = None
        self._exchanged = asyncio.Event()
        self._is_over = False

    @property
    def now(self) -> Life:
        """The present one."""
        assert self._life is not None
        return self._life

    async def first(self) -> Life:
        """Begin."""
        self._life = await self._begin()
        return self._life

    async def close(self) -> None:
        """The last one's catalog."""
        if self._life is not None:
            await self._life.catalog.close()

    async def run(self) -> None:
        """The engine of each life, until the last one has drained. Raises what ends an engine."""
        while not self._is_over:
            self._exchanged.clear()
            self._running = asyncio.create_task(_led(self.now), name="engine of a life")
            await self._running
            if not self._is_over:
                await self._exchanged.wait()

    async def drain(self, *, deadline_s: float = 20.0) -> None:
        """The end of all lives."""
        self._is_over = True
        self._exchanged.set()
        await self.now.engine.drain(deadline_s=deadline_s)

    async def next(self, exchange: Callable[[], Awaitable[None]]) -> Life:
        """End everything of this life, have the disks exchanged, and begin anew."""
        life = self.now
        life.engine.runner.close()
        await self._executor.emptied()
        life.engine.stop()
        if self._running is not None:
            await asyncio.wait({self._running})
        await self._executor.emptied()  # what was on its way to a mover when the runner was closed
        await life.catalog.close()
        await exchange()
        self._life = await self._begin()
        self._exchanged.set()
        return self._life

    async def is_quiet(self) -> bool:
        """Whether no file is under way or waits for its turn, soon at least. Where a dataflow is stopped none does."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + QUIET_S
        while await self._has_work():
            if self._executor.is_holding or loop.time() > end_s:
                return False
            await asyncio.sleep(LOOK_S)
        return True

    async def _has_work(self) -> bool:
        """Between queue and engine a file is in the catalog alone. It goes from waiting to moving: hence the order."""
        engine, catalog = self.now.engine, self.now.catalog
        if len(engine.flights) or engine.settler.unsettled or await catalog.oldest_waiting_ns():
            return True
        live = await catalog.live_sub_tasks()
        return bool(live[SubTaskStatus.RUNNING] or live[SubTaskStatus.CANCELING])


async def _led(life: Life) -> None:
    """Its engine to the end, and what runs beside it as long. Raises what ends the engine unasked."""
    beside = asyncio.create_task(life.keeping(), name="beside the engine of a life")
    try:
        await life.engine.run()
    finally:
        beside.cancel()
        await asyncio.wait({beside})
