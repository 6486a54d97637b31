"""The throttle of a mover: a pacer for each bucket, and who may begin, so that one slow or strict bucket harms no other.

What is paced are requests (see `pacer`). Files are only kept from beginning while their bucket could not serve them, and a
bucket never holds all places of a lane, nor a file system all of those that its bucket may have. Each mover learns by itself: a
refusal costs it one request, a message about it would come later than that. Thread-safe.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping

from penstock.engine.journey import Ends
from penstock.engine.messages import BucketFigures, Lane
from penstock.engine.pacer import BucketPacer
from penstock.transfer.transfer import Outcome

SPARE_FRACTION = 5
"""One place in so many is left to other buckets."""
SPARE_LARGE_FRACTION = 6
"""Of large files' places one in so many, which are spare ones (`MoverLimits.large_places`), and as many more to other file
systems of the same bucket: one that hangs keeps what it has."""
SPARE_SWEEPS_FRACTION = 3  # of sweeps one in so many, for a sweep in vain holds its thread for a minute
SILENT_S = 5.0
"""A bucket that has answered nothing for so long, whatever was asked, may not answer at all."""
PROBE_EVERY_S = 10.0
"""So often a sweep finds out whether a silent bucket answers again."""
CONNECTIONS_MAX = 64


class Throttle:
    """The pace of each bucket. Withdrawals and tidying wait for no room in it, but for their bucket's share of threads."""

    def __init__(
        self,
        *,
        threads: Mapping[Lane, int],
        clock_s: Callable[[], float],
        connections_max: int = CONNECTIONS_MAX,
    ) -> None:
        small, large, sweeps = (threads.get(lane, 0) for lane in (Lane.SMALL, Lane.LARGE, Lane.SWEEP))
        spare = large // SPARE_LARGE_FRACTION
        self._most = {  # of a bucket
            Lane.SMALL: max(1, small - small // SPARE_FRACTION),
            Lane.LARGE: max(1, large - spare),
            Lane.SWEEP: max(1, sweeps - sweeps // SPARE_SWEEPS_FRACTION),
        }
        self._most_between = {  # of a bucket with one file system; the small lane sees to its own
            Lane.SMALL: self._most[Lane.SMALL],
            Lane.LARGE: max(1, large - 2 * spare),
            Lane.SWEEP: max(1, self._most[Lane.SWEEP] - 1),
        }
        self._probed_s: dict[str, float] = {}
        self._connections_max = connections_max
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._pacers: dict[str, BucketPacer] = {}
        self._running = defaultdict[str, Counter[Lane]](Counter)
        self._between = Counter[tuple[Ends, Lane]]()

    def pacer(self, bucket: str) -> BucketPacer:
        """The bucket's: the same one however often its store is opened."""
        with self._lock:
            return self._pacer(bucket)

    def admit(self, ends: Ends, lane: Lane) -> bool:
        """Whether a file between these may begin now; if so it counts as under way until `ended`."""
        with self._lock:
            running = self._running[ends[0]]
            pacer = self._pacer(ends[0])
            is_to_be_told = lane is Lane.SWEEP and pacer.silent_s >= SILENT_S  # by `silence`
            if not is_to_be_told:
                if running[lane] >= self._most[lane] or self._between[ends, lane] >= self._most_between[lane]:
                    return False
                if not _is_served(pacer, lane, running[lane]):
                    return False
            running[lane] += 1
            self._between[ends, lane] += 1
            return True

    def ended(self, ends: Ends, lane: Lane, outcome: Outcome) -> None:  # noqa: ARG002  (what it says, the pacer heard)
        """A file that was admitted has ended so."""
        with self._lock:
            self._running[ends[0]][lane] -= 1
            self._between[ends, lane] -= 1
            if not self._between[ends, lane]:
                del self._between[ends, lane]

    def silence(self, bucket: str) -> float | None:
        """Where a sweep that was admitted would only wait in vain: for how many seconds the bucket has been silent.

        None where it should go ahead: the bucket answers, or it is time to find out whether it does again.
        """
        with self._lock:
            silent_s = self._pacer(bucket).silent_s
            if silent_s < SILENT_S:
                return None
            now_s = self._clock_s()
            is_crowded = self._running[bucket][Lane.SWEEP] > self._most[Lane.SWEEP]
            if is_crowded or now_s - self._probed_s.get(bucket, -PROBE_EVERY_S) < PROBE_EVERY_S:
                return silent_s
            self._probed_s[bucket] = now_s
            return None

    def is_quiet(self, bucket: str) -> bool:
        """Whether nothing has come from this bucket for so long that a drain need not wait for what is under way there."""
        with self._lock:
            return self._pacer(bucket).quiet_s >= SILENT_S

    def silent(self) -> frozenset[str]:
        """The buckets that answer nothing, as their figures tell."""
        with self._lock:
            pacers = list(self._pacers.values())
        return frozenset(pacer.bucket for pacer in pacers if pacer.missed_s > 0)

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


def _is_served(pacer: BucketPacer, lane: Lane, running: int) -> bool:
    """Whether the bucket would serve a file of this lane, beside those that run.

    Large files begin whatever the window is: their parts take turns at it, the file that was served least first, so that each
    of them moves. Kept from beginning, the last of ten would wait for another one's end, which may be a day away.
    """
    match lane:
        case Lane.SWEEP:
            return True
        case Lane.LARGE:
            return pacer.window > 0
        case Lane.SMALL:
            return pacer.has_room or running < pacer.window
