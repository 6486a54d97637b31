"""Events that strangers can cause at will: said so and so often in a while, then counted, so that nobody can fill the log.

Calls `event`'s own door only. One thread at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from penstock import telemetry


class Seldom:
    """Says `name` at most `most` times in `period_s` seconds; what was left out is told as `unsaid` with the next one said."""

    def __init__(self, name: str, *, most: int, period_s: float, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._most = most
        self._period_s = period_s
        self._clock_s = clock_s
        self._began_s = clock_s()
        self._said = 0
        self._unsaid = 0

    def event(self, *, level: telemetry.Level, **fields: object) -> None:
        """As `telemetry.event`, or nothing."""
        now_s = self._clock_s()
        if now_s - self._began_s >= self._period_s:
            self._began_s, self._said = now_s, 0
        if self._said == self._most:
            self._unsaid += 1
            return
        self._said += 1
        unsaid, self._unsaid = self._unsaid, 0
        telemetry.event(self._name, level=level, **fields, **({"unsaid": unsaid} if unsaid else {}))
