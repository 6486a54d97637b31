"""How many parts should move at once: as many as make it faster. A climb by trial over what was moved, a window at a time.

One connection carries what its latency and the store's share for it allow, and nobody tells either beforehand; a disk or a CPU
that is busy already gains nothing. So more are tried, and kept only if the bytes say so. Pure: time and counts come in.
"""

from __future__ import annotations

WINDOW_S = 1.0
GAIN = 1.15
"""Half as many parts more have to bring so much, else they are taken back."""
HOLD_S = 30.0
"""How long a width that was found is kept before more is tried again."""


class Width:
    """The number of parts at once, from `least` up to `most`."""

    def __init__(self, *, least: int, most: int) -> None:
        self._least = least
        self._most = max(least, most)
        self._width = least
        self._before = 0  # the width before the one that is on trial; 0: none is
        self._rate_before = 0.0
        self._hold_until_s = 0.0
        self._since_s: float | None = None
        self._since_bytes = 0

    @property
    def now(self) -> int:
        """How many parts may move at once."""
        return self._width

    @property
    def most(self) -> int:
        """How many may at best."""
        return self._most

    def rested(self) -> None:
        """There were fewer parts than might have moved: what was measured says nothing."""
        self._since_s = None

    def look(self, now_s: float, moved_bytes: int) -> bool:
        """All places are taken and more parts wait; `moved_bytes` have been moved ever. True when the width has changed.

        While nothing moves at all nothing is learned: who is silent would be given more and more places.
        """
        if self._since_s is None or moved_bytes == self._since_bytes:
            self._since_s, self._since_bytes = now_s, moved_bytes
            return False
        if now_s - self._since_s < WINDOW_S:
            return False
        rate = (moved_bytes - self._since_bytes) / (now_s - self._since_s)
        self._since_s, self._since_bytes = now_s, moved_bytes
        return self._judge(rate, now_s)

    def _judge(self, rate: float, now_s: float) -> bool:
        if self._before and rate < self._rate_before * GAIN:
            self._width, self._before = self._before, 0
            self._hold_until_s = now_s + HOLD_S
            return True
        self._before = 0
        wider = min(self._most, self._width + max(1, self._width // 2))
        if wider == self._width or now_s < self._hold_until_s:
            return False
        self._before, self._rate_before, self._width = self._width, rate, wider
        return True
