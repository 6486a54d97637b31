"""The throttle of a mover: a pacer for each bucket, and who may begin, so that one slow or strict bucket harms no other.

What is paced are requests (see `pacer`). Files are only kept from beginning while their bucket could not serve them, and a
bucket never holds all places of a lane. Each mover learns by itself: a refusal costs it one request, a message about it would
come later than that. Thread-safe.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping

from penstock.engine.messages import BucketFigures, Lane
from penstock.engine.pacer import BucketPacer
from penstock.transfer.transfer import Outcome

SPARE_FRACTION = 5  # one place in so many is left to other buckets
CONNECTIONS_MAX = 64


class Throttle:
    """The pace of each bucket. Withdrawals and tidying may always begin."""

    def __init__(
        self,
        *,
        threads: Mapping[Lane, int],
        clock_s: Callable[[], float],
        connections_max: int = CONNECTIONS_MAX,
    ) -> None:
        self._most = {lane: max(1, count - count // SPARE_FRACTION) for lane, count in threads.items()}
        self._connections_max = connections_max
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._pacers: dict[str, BucketPacer] = {}
        self._running = defaultdict[str, Counter[Lane]](Counter)

    def pacer(self, bucket: str) -> BucketPacer:
        """The bucket's: the same one however often its store is opened."""
        with self._lock:
            return self._pacer(bucket)

    def admit(self, bucket: str, lane: Lane) -> bool:
        """Whether a file of this bucket may begin now; if so it counts as under way until `ended`."""
        if lane is Lane.SWEEP:
            return True
        with self._lock:
            running = self._running[bucket]
            if running[lane] >= self._most[lane]:
                return False
            pacer = self._pacer(bucket)
            if not pacer.has_room and running[lane] >= pacer.window:
                return False
            running[lane] += 1
            return True

    def ended(self, bucket: str, lane: Lane, outcome: Outcome) -> None:  # noqa: ARG002  (what it says, the pacer heard)
        """A file that was admitted has ended so."""
        if lane is not Lane.SWEEP:
            with self._lock:
                self._running[bucket][lane] -= 1

    def figures(self) -> tuple[BucketFigures, ...]:
        """The figures of all buckets that were touched."""
        with self._lock:
            pacers = list(self._pacers.values())
        return tuple(pacer.figures() for pacer in pacers)

    def _pacer(self, bucket: str) -> BucketPacer:
        pacer = self._pacers.get(bucket)
        if pacer is None:
            pacer = self._pacers[bucket] = BucketPacer(bucket, most=self._connections_max, clock_s=self._clock_s)
        return pacer
