"""The clock of a stand-in: goes as the system's, but can be advanced and stopped; what callers sign is compared with another one.

Three times are told. The service's, which all waiting, expiry and forgetting go by, is never put back but by a reset. That of
ids moves by advances alone where ids are to be the same each time. Callers' clocks are not ours to move: their signatures are
compared with the system's time and a skew. No I/O.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from penstock.api.operations.standin import ClockView, ClockWish

NS_PER_S = 1_000_000_000
SEEDED_BEGIN_NS = 1_767_225_600 * NS_PER_S
"""When the time of a stand-in with a seed begins: 2026-01-01T00:00:00Z."""


class StandInClock:
    """May be asked from any thread. `wall_ns` is the system's time, `passed_ns` only goes on."""

    def __init__(self, *, wall_ns: Callable[[], int], passed_ns: Callable[[], int], begin_ns: int | None) -> None:
        """`begin_ns` is when time begins, at the start and at each reset; None: now."""
        self._wall_ns = wall_ns
        self._passed_ns = passed_ns
        self._begin_ns = begin_ns
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """As at the beginning."""
        with self._lock:
            self._began_ns = self._wall_ns() if self._begin_ns is None else self._begin_ns
            self._since_ns = self._passed_ns()
            self._stood_ns = 0  # how long it stood still
            self._stopped_ns: int | None = None  # since when it stands still
            self._advanced_s = 0
            self._skew_s = 0

    def go_on_after(self, now_ns: int, advanced_s: int) -> None:
        """What comes back was kept at that moment: no time has passed since, and none before it comes again."""
        with self._lock:
            self._began_ns += max(0, now_ns - self._now_ns())
            self._advanced_s = advanced_s

    def now_ns(self) -> int:
        """The service's time."""
        with self._lock:
            return self._now_ns()

    def numbers_ns(self) -> int:
        """The time that ids are made of: with a seed it moves by advances alone, so that calls alone make ids."""
        if self._begin_ns is None:
            return self.now_ns()
        with self._lock:
            return self._begin_ns + self._advanced_s * NS_PER_S

    def callers_ns(self) -> int:
        """The time that signatures are compared with."""
        return self._wall_ns() + self._skew_s * NS_PER_S

    def set(self, wish: ClockWish) -> ClockView:
        """How it stands now."""
        with self._lock:
            self._advanced_s += wish.advance_s
            self._began_ns += wish.advance_s * NS_PER_S
            if wish.skew_s is not None:
                self._skew_s = wish.skew_s
            if wish.frozen is True and self._stopped_ns is None:
                self._stopped_ns = self._passed_ns()
            elif wish.frozen is False and self._stopped_ns is not None:
                self._stood_ns += self._passed_ns() - self._stopped_ns
                self._stopped_ns = None
        return self.view()

    def view(self) -> ClockView:
        """How it stands."""
        with self._lock:
            return ClockView(
                now_ns=self._now_ns(),
                advanced_s=self._advanced_s,
                skew_s=self._skew_s,
                is_frozen=self._stopped_ns is not None,
            )

    def _now_ns(self) -> int:
        until_ns = self._passed_ns() if self._stopped_ns is None else self._stopped_ns
        return self._began_ns + until_ns - self._since_ns - self._stood_ns
