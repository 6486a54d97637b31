"""A loop: calls one step again and again, sleeps as long as the step says or until woken, and survives what a step raises.

Steps do the work and are called by tests directly; a loop only paces them. Every error is told to telemetry, the step is tried
again after a growing wait, and nothing is swallowed. Ends when `stop` is called, never in the middle of a step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from penstock import telemetry

FOREVER_S = float("inf")
"""What a step returns that has nothing to do until it is woken."""

Step = Callable[[], Awaitable[float]]
"""Does what there is to do; returns how long nothing has to be done, in seconds (0: there is more right now)."""


class Bell:
    """What wakes a loop. Rings are not counted: many of them make one step."""

    def __init__(self) -> None:
        self.rung = asyncio.Event()

    def ring(self) -> None:
        """Let the next step come now. Called on the event loop."""
        self.rung.set()


class Loop:
    """Runs one step on one event loop. `trouble_wait_s` are the waits after the first, second, ... error in a row.

    `gap_s` says how long two steps have to lie apart just now, however often the bell rings: under load a little waiting makes
    batches, and batches make fewer commits.
    """

    def __init__(
        self,
        name: str,
        step: Step,
        bell: Bell,
        *,
        trouble_wait_s: Sequence[float],
        gap_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._gap_s = gap_s
        self._name = name
        self._step = step
        self._woken = bell.rung
        self._trouble_wait_s = trouble_wait_s
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End after the step that runs."""
        self._stopping.set()
        self._woken.set()

    async def run(self) -> None:
        """Run until stopped."""
        troubles = 0
        while not self._stopping.is_set():
            self._woken.clear()
            try:
                pause_s = await self._step()
                troubles = 0
            except Exception as error:  # noqa: BLE001  (whatever a step raises is told and the step tried again)
                pause_s = 0.0
                troubles += 1
                telemetry.failure("engine.step_failed", error, step=self._name, in_a_row=troubles)
                await self._wait(self._stopping, self._trouble_wait_s[min(troubles, len(self._trouble_wait_s)) - 1])
            if pause_s > 0 and not self._stopping.is_set():
                await self._wait(self._woken, pause_s)
            await asyncio.sleep(self._gap_s())  # at least a turn for the others

    @staticmethod
    async def _wait(event: asyncio.Event, limit_s: float) -> None:
        if event.is_set():
            return
        try:
            async with asyncio.timeout(None if limit_s == FOREVER_S else limit_s):
                await event.wait()
        except TimeoutError:
            return
