"""Takes the pulse once a second, for as long as somebody has looked at the overview lately.

One task for all visitors, begun by the first. What it keeps is `pulse`'s business.
"""

from __future__ import annotations

import asyncio
import contextlib
import time

from penstock.catalog.live import EngineView
from penstock.console.pulse import Pulse, Sample, Totals
from penstock.console.reach import Reach
from penstock.errors import CatalogError

BEAT_S = 1.0
WITHOUT_VISITORS_S = 900.0


class Heart:
    """The pulse of the service, and the task that takes it."""

    def __init__(self) -> None:
        self.pulse = Pulse()
        self._task: asyncio.Task[None] | None = None
        self._asked_s = 0.0

    def beat_on(self, reach: Reach) -> None:
        """Somebody looks: go on, or begin."""
        self._asked_s = time.monotonic()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._beat(reach), name="console pulse")

    async def _beat(self, reach: Reach) -> None:
        while not reach.ending.is_set() and time.monotonic() - self._asked_s < WITHOUT_VISITORS_S:
            with contextlib.suppress(CatalogError):  # a gap in the graph says it
                engine = await reach.seeing.pulse(tuple(reach.registry().file_systems))
                if engine is not None:
                    self.pulse.take(_sample(engine))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reach.ending.wait(), BEAT_S)


def _sample(engine: EngineView) -> Sample:
    flows = {
        each.data_flow_id: Totals(in_bytes=each.moved.bytes_in, out_bytes=each.moved.bytes_out)
        for each in engine.flows.values()
    }
    return Sample(at_ns=engine.as_of_ns, flows=flows)
