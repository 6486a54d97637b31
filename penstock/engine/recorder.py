"""The recorder: has the catalog keep what movers say on the way: checkpoints (durable, answered) and progress (thinned).

Checkpoints go at once, all that wait in one commit, and each is answered to its mover. Progress is kept as the newest value of
each attempt and written in one unsynced batch a second. Settles nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from penstock import failpoints, telemetry
from penstock.catalog.catalog import Catalog
from penstock.catalog.verbs import ProgressUpdate
from penstock.engine.checkpoints import written
from penstock.engine.executor import Attempt, Executor
from penstock.engine.flights import Flights
from penstock.engine.loops import FOREVER_S
from penstock.engine.messages import CheckpointRequest, Control
from penstock.engine.options import NS_PER_S, to_ns
from penstock.errors import CatalogUnavailableError, FencedError, PenstockError
from penstock.transfer.transfer import Progress

Asked = tuple[str, CheckpointRequest]


class Recorder:
    """Keeps progress and checkpoints; `wake_*` are called when there is something for the respective step."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        executor: Executor,
        flights: Flights,
        progress_every_s: float,
        now_ns: Callable[[], int],
        wake_progress: Callable[[], None],
        wake_checkpoints: Callable[[], None],
    ) -> None:
        self._catalog = catalog
        self._executor = executor
        self._flights = flights
        self._progress_every_ns = to_ns(progress_every_s)
        self._now_ns = now_ns
        self._wake_progress = wake_progress
        self._wake_checkpoints = wake_checkpoints
        self._progress: dict[Attempt, Progress] = {}
        self._progress_due_ns = 0
        self._asked: list[Asked] = []

    def add_progress(self, progress: Progress) -> None:
        """The newest numbers of an attempt replace older ones that were not written yet."""
        self._progress[progress.sub_task_id, progress.attempt] = progress
        self._wake_progress()

    def add_checkpoint(self, mover: str, request: CheckpointRequest) -> None:
        """A mover waits for this record to be durable."""
        self._asked.append((mover, request))
        self._wake_checkpoints()

    def forget(self, attempt: Attempt) -> None:
        """The attempt has ended: its outcome says it all."""
        self._progress.pop(attempt, None)

    async def progress_step(self) -> float:
        """Write all new numbers, at most once in `progress_every_s`."""
        if not self._progress:
            return FOREVER_S
        now_ns = self._now_ns()
        if now_ns < self._progress_due_ns:
            return (self._progress_due_ns - now_ns) / NS_PER_S
        updates = [_update(progress) for progress in self._progress.values()]
        self._progress = {}
        self._progress_due_ns = now_ns + self._progress_every_ns
        await self._catalog.record_progress(updates)
        return self._progress_every_ns / NS_PER_S

    async def checkpoint_step(self) -> float:
        """Make all waiting records durable and answer their movers. Those the catalog cannot take now wait on."""
        if not self._asked:
            return FOREVER_S
        asked, self._asked = self._asked, []
        answers = await asyncio.gather(
            *(self._keep(mover, request) for mover, request in asked), return_exceptions=True
        )
        trouble: BaseException | None = None
        for one, answer in zip(asked, answers, strict=True):
            if isinstance(answer, BaseException):
                trouble = answer
                self._asked.append(one)
        if trouble is not None:
            raise trouble
        return 0.0 if self._asked else FOREVER_S

    async def _keep(self, mover: str, request: CheckpointRequest) -> None:
        flight = self._flights.find((request.sub_task_id, request.attempt))
        if flight is None or flight.mover != mover:
            self._executor.control(mover, Control(refused=(request.sequence,)))
            return
        failpoints.passing("checkpoint.keep")
        try:
            await self._catalog.checkpoint(request.sub_task_id, request.attempt, written(request.record))
        except CatalogUnavailableError:
            raise
        except (FencedError, PenstockError) as error:
            telemetry.failure("engine.checkpoint_refused", error, sub_task_id=request.sub_task_id)
            self._executor.control(mover, Control(refused=(request.sequence,)))
            return
        failpoints.passing("checkpoint.kept")
        flight.checkpoint = request.record
        self._executor.control(mover, Control(checkpointed=(request.sequence,)))


def _update(progress: Progress) -> ProgressUpdate:
    return ProgressUpdate(
        sub_task_id=progress.sub_task_id,
        attempt=progress.attempt,
        bytes_total=progress.bytes_total,
        bytes_done=progress.bytes_done,
        actual_bytes=progress.actual_bytes,
        moving_ns=progress.moving_ns,
        detail=progress.detail,
    )
