"""Whether a body moves fast enough to be waited for: bytes against the time that was spent waiting, window by window.

Without it a peer that moves a byte now and then would keep a place for hours, and never exceed the time limit of a step. Only
what was waited counts: whoever is slow itself, at fetching or at bringing, gets the same from every peer. Pure.
"""

from __future__ import annotations

from penstock.stores.timeouts import Timeouts


class Tempo:
    """Of one body."""

    __slots__ = ("_least_bytes", "_moved_bytes", "_span_s", "_waited_s")

    def __init__(self, timeouts: Timeouts) -> None:
        self._least_bytes = timeouts.slow_bytes
        self._span_s = timeouts.slow_s
        self._moved_bytes = 0
        self._waited_s = 0.0

    def is_too_slow(self, moved_bytes: int, waited_s: float) -> bool:
        """After so many bytes more, and so much waiting for them: whether a whole window has brought too little."""
        self._moved_bytes += moved_bytes
        self._waited_s += waited_s
        if self._waited_s < self._span_s:
            return False
        is_too_slow = self._moved_bytes < self._least_bytes
        self._moved_bytes, self._waited_s = 0, 0.0
        return is_too_slow
