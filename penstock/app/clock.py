"""The time of a service: the system's, but it never goes back.

Whoever waits until a moment (a lease, a pause before the next attempt, a rhythm) would wait an hour longer when the system's
clock is put back by an hour. So this one goes on from where it was, at half the pace until the system's has caught up. No I/O but
the log.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from penstock import telemetry

NS_PER_S = 1_000_000_000
TOLD_FROM_NS = 2 * NS_PER_S
"""Smaller jumps are the daily business of time servers."""


class SteadyClock:
    """`now_ns` in UTC nanoseconds; may be called from any thread. `wall_ns` may jump, `monotonic_ns` only goes on."""

    def __init__(self, *, wall_ns: Callable[[], int], monotonic_ns: Callable[[], int]) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._lock = threading.Lock()
        self._passed_ns = monotonic_ns()
        self._last_wall_ns = self._now_ns = wall_ns()

    def now_ns(self) -> int:
        """The system's time, or a little more than last time while that is ahead."""
        with self._lock:
            passed_ns, wall_ns = self._monotonic_ns(), self._wall_ns()
            gone_ns = max(0, passed_ns - self._passed_ns)
            jump_ns = wall_ns - self._last_wall_ns - gone_ns
            self._passed_ns, self._last_wall_ns = passed_ns, wall_ns
            self._now_ns = max(wall_ns, self._now_ns + gone_ns // 2)
            ahead_ns = self._now_ns - wall_ns
        if abs(jump_ns) >= TOLD_FROM_NS:
            telemetry.event(
                "clock.jumped",
                level=telemetry.Level.WARNING,
                by_s=jump_ns / NS_PER_S,
                ahead_of_the_system_s=ahead_ns / NS_PER_S,
            )
        return self._now_ns
