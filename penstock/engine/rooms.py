"""How much work each mover may hold, and which mover gets what: windows, reserved places, spreading.

Small files are handed over ahead of their turn, as many as a mover has lately done in half a second, so that it never idles
and yet nothing waits long inside of it. Large files get exactly a place each. Reads the executor's list and the flights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from penstock.catalog.verbs import ClaimLane
from penstock.engine.executor import Executor, MoverPurpose, MoverRoom
from penstock.engine.fair import Floor, Kept
from penstock.engine.flights import Flight, Flights
from penstock.engine.messages import Lane
from penstock.engine.options import NS_PER_S, ClaimOptions
from penstock.engine.throttle import SPARE_FRACTION

RATE_MEMORY_S = 0.5
NEWCOMERS = 4
"""Small files of a task whose bucket is not known: what they turn out to be decides on the rest."""


class Pace:
    """Files a second that one mover has lately ended, remembered for about RATE_MEMORY_S."""

    __slots__ = ("_at_ns", "_rate")

    def __init__(self) -> None:
        self._rate = 0.0
        self._at_ns = 0

    def ended(self, count: int, now_ns: int) -> None:
        """`count` files have ended now."""
        self._rate = self.files_per_s(now_ns) + count / RATE_MEMORY_S
        self._at_ns = now_ns

    def files_per_s(self, now_ns: int) -> float:
        """The rate as it is now; it fades while nothing ends."""
        return self._rate * math.exp(-max(0, now_ns - self._at_ns) / (RATE_MEMORY_S * NS_PER_S))


class Rooms:
    """The places of all movers by lane."""

    def __init__(self, *, executor: Executor, flights: Flights, options: ClaimOptions) -> None:
        self._executor = executor
        self._flights = flights
        self._options = options
        self._paces: dict[str, Pace] = {}

    def ended(self, mover: str, count: int, now_ns: int) -> None:
        """A mover has brought `count` outcomes."""
        self._paces.setdefault(mover, Pace()).ended(count, now_ns)

    def died(self, mover: str) -> None:
        """Forget a mover."""
        self._paces.pop(mover, None)

    def floor(self, lane: ClaimLane, now_ns: int) -> Floor:
        """All free places of the lane; a share of all places is kept for tasks that have little under way."""
        movers = self._working()
        if lane is ClaimLane.LARGE:
            total = sum(mover.large_files for mover in movers)
            return Floor(free=sum(self._free(mover, lane, now_ns) for mover in movers), reserved=total // 2)
        free = sum(self._free(mover, lane, now_ns) for mover in movers)
        reserved = sum(self._window(mover, now_ns) for mover in movers) // 4
        kept = self._kept(movers)
        if free > reserved or free >= kept:
            return Floor(free=free, reserved=reserved)
        return Floor(free=kept, reserved=max(reserved, kept))

    def kept(self, lane: ClaimLane) -> Kept:
        """Places for buckets that have little under way while others hold all: a quarter of the least window of small files,
        and those large files that a mover leaves to other buckets (see `throttle`)."""
        movers = self._working()
        under_way = self._flights.by_ends(lane)
        if lane is ClaimLane.LARGE:
            each = sum(mover.large_files // SPARE_FRACTION for mover in movers)
            most, newcomer = sum(mover.large_files for mover in movers) + each, min(1, each)
        else:
            each = sum(mover.small_threads for mover in movers) // 2
            most, newcomer = 2 * self._options.window_files_max * len(movers), min(NEWCOMERS, each)
        return Kept(
            free=max(0, most - sum(under_way.values())),
            each=each,
            newcomer=newcomer,
            under_way=under_way,
            ends_of=self._flights.ends_of,
        )

    def places(self, mover: MoverRoom, now_ns: int) -> int:
        """How many small files a mover is given at most, now."""
        return self._window(mover, now_ns)

    def spread(self, flights: Sequence[Flight], lane: ClaimLane, now_ns: int) -> Mapping[str, list[Flight]]:
        """Give each flight to the mover with the largest part of its places free; empty when no mover takes work."""
        movers = self._working()
        if not movers:
            return {}
        size = {mover.mover: max(1, self._size(mover, lane, now_ns)) for mover in movers}
        place = _place(lane)  # below 0 where more is under way than there are places: such a mover comes last
        free = {mover.mover: size[mover.mover] - self._flights.count_at(mover.mover, place) for mover in movers}
        given: dict[str, list[Flight]] = {}
        for flight in flights:
            best = max(free, key=lambda name: free[name] / size[name])
            free[best] -= 1
            given.setdefault(best, []).append(flight)
        return given

    def quarantine(self, now_ns: int) -> str:
        """The mover that takes a suspect now; empty when none does (yet)."""
        for mover in self._executor.movers():
            if mover.purpose is MoverPurpose.QUARANTINE:
                acquitted_ns = now_ns - int(self._options.acquit_s * NS_PER_S)
                if all(flight.since_ns <= acquitted_ns for flight in self._flights.at(mover.mover)):
                    return mover.mover
        return ""

    def _kept(self, movers: Sequence[MoverRoom]) -> int:
        """Places for tasks with little under way that no other task can hold, however far the windows have shrunk: those
        shrink to less than what is under way when a store falls silent. What tasks with little under way hold is off."""
        size = sum(2 * mover.small_threads for mover in movers)
        held = sum(count for count in self._flights.by_task(ClaimLane.SMALL).values() if count < size)
        under_way = sum(self._flights.count_at(mover.mover, Lane.SMALL) for mover in movers)
        most = 2 * self._options.window_files_max * len(movers)
        return max(0, min(size - held, most - under_way))

    def _working(self) -> list[MoverRoom]:
        return [mover for mover in self._executor.movers() if mover.purpose is MoverPurpose.WORK]

    def _size(self, mover: MoverRoom, lane: ClaimLane, now_ns: int) -> int:
        return mover.large_files if lane is ClaimLane.LARGE else self._window(mover, now_ns)

    def _free(self, mover: MoverRoom, lane: ClaimLane, now_ns: int) -> int:
        return max(0, self._size(mover, lane, now_ns) - self._flights.count_at(mover.mover, _place(lane)))

    def _window(self, mover: MoverRoom, now_ns: int) -> int:
        pace = self._paces.get(mover.mover)
        ahead = 0 if pace is None else int(pace.files_per_s(now_ns) * self._options.window_s)
        return max(2 * mover.small_threads, min(self._options.window_files_max, ahead))


def _place(lane: ClaimLane) -> Lane:
    return Lane.LARGE if lane is ClaimLane.LARGE else Lane.SMALL
