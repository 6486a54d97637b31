"""The throttle: how many files of one bucket a mover has under way, so that one slow or strict bucket harms no other.

A bucket never holds all threads of a lane. A store that asks to slow down gets a pause and half as many files at once, for
all of its files and not just for the refused one; every file that ends well brings a part of that back. Thread-safe.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping

from penstock.engine.messages import Lane
from penstock.errors import FailureCode
from penstock.transfer.transfer import Outcome, Verdict

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
CUT_EVERY_S = 0.5  # refusals that come together are one wish
SPARE_FRACTION = 5  # one thread in so many is left to other buckets


class _Pace:
    """One bucket's. `allowed` grows by about one for each round of files that end well."""

    __slots__ = ("allowed", "cut_s", "pause_s", "running", "until_s")

    def __init__(self, allowed: float) -> None:
        self.allowed = allowed
        self.until_s = 0.0
        self.pause_s = FIRST_PAUSE_S
        self.cut_s = -CUT_EVERY_S
        self.running: Counter[Lane] = Counter()


class Throttle:
    """The pace of each bucket. Withdrawals and tidying are never held up."""

    def __init__(self, *, threads: Mapping[Lane, int], clock_s: Callable[[], float]) -> None:
        self._most = {lane: max(1, count - count // SPARE_FRACTION) for lane, count in threads.items()}
        self._ceiling = float(sum(self._most.values()))
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._paces: dict[str, _Pace] = {}

    def admit(self, bucket: str, lane: Lane) -> bool:
        """Whether a file of this bucket may begin now; if so it counts as under way until `ended`."""
        if lane is Lane.SWEEP:
            return True
        with self._lock:
            pace = self._pace(bucket)
            if self._clock_s() < pace.until_s or pace.running[lane] >= self._most[lane]:
                return False
            if pace.running.total() >= pace.allowed:
                return False
            pace.running[lane] += 1
            return True

    def ended(self, bucket: str, lane: Lane, outcome: Outcome) -> None:
        """A file that was admitted has ended so."""
        if lane is Lane.SWEEP:
            return
        with self._lock:
            pace = self._pace(bucket)
            under_way = pace.running.total()
            pace.running[lane] -= 1
            if outcome.code is FailureCode.STORE_THROTTLED:
                self._cut(pace, under_way / 2, outcome.retry_after_s)
            elif outcome.verdict in {Verdict.COMPLETE, Verdict.SKIPPED}:
                pace.allowed = min(self._ceiling, pace.allowed + 1 / pace.allowed)
                pace.pause_s = FIRST_PAUSE_S

    def held_back(self, bucket: str, delay_s: float) -> None:
        """The store did what it was asked, and says that it held the request back on purpose."""
        with self._lock:
            pace = self._pace(bucket)
            if delay_s > 0 and self._clock_s() >= pace.cut_s + CUT_EVERY_S:
                pace.cut_s = self._clock_s()
                pace.allowed = max(1.0, min(pace.allowed, float(pace.running.total())) - 1)

    def _cut(self, pace: _Pace, allowed: float, retry_after_s: float | None) -> None:
        now_s = self._clock_s()
        if now_s < pace.cut_s + CUT_EVERY_S:
            return
        pace.cut_s = now_s
        pace.allowed = max(1.0, min(pace.allowed, allowed))
        pace.until_s = now_s + min(LONGEST_PAUSE_S, max(pace.pause_s, retry_after_s or 0.0))
        pace.pause_s = min(LONGEST_PAUSE_S, pace.pause_s * 2)

    def _pace(self, bucket: str) -> _Pace:
        pace = self._paces.get(bucket)
        if pace is None:
            pace = self._paces[bucket] = _Pace(self._ceiling)
        return pace
