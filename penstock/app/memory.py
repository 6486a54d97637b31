"""Gives memory back to the system when a crowd of connections has gone.

glibc keeps what is freed between blocks that are in use: after each crowd of TLS connections, which take 80 KiB and more each,
another part of a large heap would stay resident. Called by `web`; does nothing where the C library has no such call.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable

CROWD_MIN = 128
"""What fewer took, at most 10 MiB, may stay: a crowd may go in several looks, and the rest of one counts by itself."""


def trim() -> None:
    """Return free pages, also those in the heap's midst; takes 4 ms after 128 connections, 0.2 s after 4,096.

    What waits for the collector goes first: the service has it look seldom, and a broken connection leaves cycles behind.
    """
    gc.collect()
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(ctypes.c_size_t(0))


LOOKS_UNTIL_CALM = 10
"""So many looks after the last of a crowd has gone: what its timers held is free by then, too."""


class AfterCrowds:
    """Calls `give_back` when more than half of a crowd has gone, and once more when it has been calm for a while."""

    def __init__(self, give_back: Callable[[], None] = trim) -> None:
        self._give_back = give_back
        self._most = 0
        self._looks_left = 0

    def look(self, count: int) -> None:
        """So many connections are open now."""
        self._most = max(self._most, count)
        if self._most >= CROWD_MIN and count * 2 < self._most:
            self._most = count
            self._looks_left = LOOKS_UNTIL_CALM
            self._give_back()
        elif self._looks_left:
            self._looks_left -= 1
            if not self._looks_left:
                self._give_back()
