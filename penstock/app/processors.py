"""How busy the machine's processors are, as the kernel counts it, over the last second or more. Calls `telemetry` only."""

from __future__ import annotations

from collections.abc import Callable

from penstock.telemetry.footprint import processor_ticks

LEAST_S = 1.0
MOST_S = 10.0


class Processors:
    """`idle` is asked now and then; what is between two askings that lie neither close nor far apart is what it tells of."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._since_s = clock_s()
        self._since = processor_ticks()
        self._idle: float | None = None

    def idle(self) -> float | None:
        """The part of all processors' time that nobody used, 0 to 1; None while nothing is known."""
        now_s = self._clock_s()
        took_s = now_s - self._since_s
        if took_s < LEAST_S:
            return self._idle
        ticks = processor_ticks()
        idle, every = (now - before for now, before in zip(ticks, self._since, strict=True))
        self._since_s, self._since = now_s, ticks
        self._idle = idle / every if every > 0 and took_s < MOST_S else None
        return self._idle
