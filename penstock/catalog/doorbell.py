"""The bells that say "look again": they only make things quick, looking is what finds the work.

Belongs to one event loop. Knows nothing of the catalog.
"""

from __future__ import annotations

import asyncio
from enum import Flag, auto


class News(Flag):
    """What a commit has brought for those who wait: something to claim, something to withdraw, a batch to look at."""

    NONE = 0
    WORK = auto()
    CANCELED = auto()
    BATCH = auto()


class Doorbell:
    """Rings are not counted: any number of them since the last wait end one wait."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake who waits, or whoever waits next. Called on the loop's own thread."""
        self._rung.set()

    async def wait(self, timeout_s: float) -> bool:
        """Return True when it rang, False when `timeout_s` seconds have passed without."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._rung.wait()
        except TimeoutError:
            return False
        self._rung.clear()
        return True
