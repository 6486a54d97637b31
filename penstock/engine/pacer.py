"""A bucket's pacer in a mover: its pace, guarded by a lock, with queues of threads that wait for their turn, and figures.

Parts of large files hold their places for seconds, and come back for another as soon as they are over: whole requests that
waited behind them would wait for minutes. So each weight has a queue, first come, first served; whole ones take three turns of
four while both wait, and may always have a few in flight, however many parts are. A part that keeps the store waiting, because
its file system hangs, has no place. Calls `pace`; knows stores only by the errors that they raise.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Hashable
from enum import StrEnum

from penstock.engine.messages import BucketFigures, MethodFigures
from penstock.engine.pace import Pace
from penstock.errors import StoreError, StoreSilentError, StoreUnavailableError, ThrottledError
from penstock.stores.pacer import Weight
from penstock.stores.timeouts import SILENT_RETRY_S
from penstock.telemetry.meters import LATENCY_BOUNDS_S

PATIENCE_S = 2.0
"""A thread does not wait out a longer pause: its file is handed back, and waits where waiting costs no thread."""
TURN_S = 10.0
"""Nor does it stand longer in the queue of a bucket that only allows a few requests a second."""
RESERVE_FRACTION = 4
"""Whole requests may have one for so many of the window in flight, at least one, also while parts use it up."""
WHOLE_IN_A_ROW = 3
HEED_EVERY_S = 0.25
"""So often a thread in the queue looks whether its file is to end."""
TELLS_S = 5.0
"""What was given up after so long counts as a missing answer: the store may have too much to do."""
MISSED_S = 1.0
"""So soon after a request in vain (a connection refused) the bucket is said to be silent, if nothing else has come from it."""
AWAY_S = 1.0
"""Whose part was turned away from for so long (its file system hangs) does not count in the window until it is back."""
SEEN_S = 0.0001
"""Who waited less for an answer found it there: when it came is not known."""


class Result(StrEnum):
    """What came of a request, for whoever counts them."""

    OK = "ok"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    REFUSED = "refused"


class _Method:
    """The counts of one HTTP method."""

    __slots__ = ("latency_s", "results", "slots")

    def __init__(self) -> None:
        self.results = dict.fromkeys(Result, 0)
        self.slots = [0] * (len(LATENCY_BOUNDS_S) + 1)
        self.latency_s = 0.0


class _Holder:
    """A thread that has a part's request in flight: whether that is sent, and since when it has turned away (inf: it has not)."""

    __slots__ = ("away_s", "has_sent")

    def __init__(self) -> None:
        self.away_s = math.inf
        self.has_sent = False


class BucketPacer:
    """Implements `stores.pacer.Pacer`. `most`: requests in flight at best."""

    def __init__(self, bucket: str, *, most: int, clock_s: Callable[[], float]) -> None:
        self.bucket = bucket
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._pace = Pace(most=most, now_s=clock_s())
        self._whole: deque[threading.Condition] = deque()
        self._parts: deque[threading.Condition] = deque()
        self._holders: dict[int, _Holder] = {}  # of parts in flight, by their thread
        self._whole_in_flight = 0
        self._whole_in_a_row = 0  # turns that parts were waiting for, too
        self._methods: dict[str, _Method] = {}
        self._unsent = 0  # of those in flight, how many were not sent to their end yet: for them nothing is owed
        self._owed_s = math.inf  # since when the store owes us something, an answer or the rest of a body
        self._heard_s = clock_s()  # when something came last, or was asked while nothing was in flight
        self._has_missed = False  # since then something that was waited for did not come

    @property
    def silent_s(self) -> float:
        """For how long nothing has come although something is owed: of what was asked, and sent to its end."""
        now_s = self._clock_s()
        silent_s = max(0.0, now_s - max(self._owed_s, self._heard_s))
        if silent_s < AWAY_S or self._has_missed or self._is_awaited(now_s):
            return silent_s
        return 0.0

    @property
    def missed_s(self) -> float:
        """The same where it means something: an answer did not come, and none since, or nothing came for long; else 0."""
        silent_s = self.silent_s
        return silent_s if silent_s >= (MISSED_S if self._has_missed else TELLS_S) else 0.0

    @property
    def quiet_s(self) -> float:
        """For how long nothing has come while something is under way, be it owed already or still being sent."""
        return max(self.silent_s, self._clock_s() - self._heard_s if self._pace.in_flight else 0.0)

    @property
    def has_room(self) -> bool:
        """Whether a request could begin at once. A glance without the lock: who trusts it too much waits a little."""
        now_s = self._clock_s()
        return not self._whole and not self._parts and self._first_wait_s(now_s) <= 0

    @property
    def window(self) -> float:
        """How many requests may be in flight now; 0 in a pause."""
        now_s = self._clock_s()
        return 0.0 if self._pace.paused_s(now_s) > 0 else self._pace.window(now_s)

    def enter(self, patience_s: float, stops: Callable[[], bool] | None = None, weight: Weight = Weight.WHOLE) -> bool:
        """As the protocol says."""
        with self._lock:
            now_s = self._clock_s()
            if not self._queue_of(weight) and self._wait_s(weight, now_s) <= 0:
                self._begin(weight, now_s)
                return True
            self._check_pause(now_s)
            return patience_s > 0 and self._queue_up(weight, now_s, patience_s, stops)

    def leave(self, weight: Weight = Weight.WHOLE) -> None:
        """As the protocol says."""
        with self._lock:
            self._pace.end()
            if weight is Weight.WHOLE:
                self._whole_in_flight -= 1
            else:
                self._holders.pop(threading.get_ident(), None)
            if self._pace.in_flight == self._unsent and not self._has_missed:
                self._owed_s = math.inf  # what was given up is owed no more
            self._call()

    def sent(self) -> None:
        """As the protocol says."""
        with self._lock:
            self._unsent -= 1
            holder = self._holders.get(threading.get_ident())
            if holder is not None:
                holder.has_sent = True
            if self._owed_s == math.inf:
                self._owed_s = self._clock_s()

    def moved(self) -> None:
        """As the protocol says. Without the lock: it only ever looks later than it was."""
        self._heard_s = self._clock_s()

    def turned_away(self) -> None:
        """As the protocol says. Without the lock: each thread has its own note."""
        holder = self._holders.get(threading.get_ident())
        if holder is not None:
            holder.away_s = self._clock_s()

    def turned_back(self) -> None:
        """As the protocol says."""
        holder = self._holders.get(threading.get_ident())
        if holder is not None:
            holder.away_s = math.inf

    def answered(
        self, method: str, kind: Hashable, *, began_s: float, looked_s: float, held_back_s: float | None
    ) -> None:
        """As the protocol says."""
        with self._lock:
            now_s = self._clock_s()
            latency_s = now_s - began_s
            counts = self._methods.get(method) or self._counts(method)
            counts.results[Result.OK] += 1
            self._hear(now_s)
            counts.slots[bisect_left(LATENCY_BOUNDS_S, latency_s)] += 1
            counts.latency_s += latency_s
            seen_s = latency_s if now_s - looked_s > SEEN_S else None
            self._pace.accepted(kind, latency_s=seen_s, began_s=began_s, now_s=now_s)
            if held_back_s:
                self._pace.held_back(began_s=began_s, now_s=now_s)

    def refused(self, method: str, error: StoreError, *, began_s: float) -> None:
        """As the protocol says."""
        with self._lock:
            now_s = self._clock_s()
            if isinstance(error, ThrottledError):
                result = Result.THROTTLED
                self._pace.refused(retry_after_s=error.retry_after_s, began_s=began_s, now_s=now_s)
            elif isinstance(error, StoreUnavailableError):
                result = Result.UNAVAILABLE
                self._pace.failed(began_s=began_s, now_s=now_s)
            else:
                result = Result.REFUSED
            if error.status or result is not Result.UNAVAILABLE:
                self._hear(now_s)  # a word is an answer, whatever it says
            else:
                self._has_missed = True
                self._owed_s = min(self._owed_s, began_s)
            (self._methods.get(method) or self._counts(method)).results[result] += 1

    def lost(self, *, began_s: float) -> None:
        """As the protocol says: what was given up soon tells nothing of the store."""
        with self._lock:
            now_s = self._clock_s()
            if now_s - began_s < TELLS_S:
                self._pace.unawaited()
            else:
                self._has_missed |= self._owed_s < math.inf and self._is_awaited(now_s)
                self._pace.failed(began_s=began_s, now_s=now_s)

    def figures(self) -> BucketFigures:
        """All numbers so far, and the pace now."""
        with self._lock:
            now_s = self._clock_s()
            rate_per_s = self._pace.rate_per_s(now_s)
            return BucketFigures(
                bucket=self.bucket,
                window=self._pace.window(now_s),
                rate_per_s=None if rate_per_s == math.inf else rate_per_s,
                in_flight=self._pace.in_flight,
                waiting=len(self._whole) + len(self._parts),
                pause_s=self._pace.pause_s,
                paused_s=self._pace.paused_s(now_s),
                parts=len(self._holders),
                away=sum(1 for holder in list(self._holders.values()) if holder.away_s < math.inf),
                silent_s=self.missed_s,
                methods=tuple(
                    MethodFigures(
                        method=method,
                        ok=counts.results[Result.OK],
                        throttled=counts.results[Result.THROTTLED],
                        unavailable=counts.results[Result.UNAVAILABLE],
                        refused=counts.results[Result.REFUSED],
                        latency_slots=tuple(counts.slots),
                        latency_s=counts.latency_s,
                    )
                    for method, counts in self._methods.items()
                ),
            )

    def _away(self, now_s: float) -> list[_Holder]:
        """Who has a part's request in flight and has turned away from it for long."""
        return [holder for holder in list(self._holders.values()) if now_s - holder.away_s >= AWAY_S]

    def _is_awaited(self, now_s: float) -> bool:
        """Whether what is owed is waited for by anybody: who has turned away for long is owed nothing."""
        away = self._away(now_s)
        return not away or self._pace.in_flight - self._unsent > sum(1 for holder in away if holder.has_sent)

    def _nobody_listens(self, now_s: float) -> bool:
        """Whether nothing is in flight, but for what was turned away from."""
        in_flight = self._pace.in_flight
        return in_flight == 0 or (now_s - self._heard_s >= AWAY_S and in_flight == len(self._away(now_s)))

    def _queue_of(self, weight: Weight) -> deque[threading.Condition]:
        return self._whole if weight is Weight.WHOLE else self._parts

    def _call(self) -> None:
        """Have those who are the next of their weight look whether it is their turn."""
        if self._whole:
            self._whole[0].notify()
        if self._parts:
            self._parts[0].notify()

    def _wait_s(self, weight: Weight, now_s: float) -> float:
        """0 when the first of this weight may begin now; else for how long to wait, infinite when one has to end first."""
        wait_s = self._first_wait_s(now_s)
        if weight is Weight.PART:
            return math.inf if self._whole and self._whole_in_a_row < WHOLE_IN_A_ROW else wait_s
        is_turn_of_parts = bool(self._parts) and self._whole_in_a_row >= WHOLE_IN_A_ROW
        if wait_s < math.inf and not is_turn_of_parts:
            return wait_s
        if self._whole_in_flight < max(1.0, self._pace.window(now_s) / RESERVE_FRACTION):
            return self._pace.due_s(now_s)
        return math.inf

    def _first_wait_s(self, now_s: float) -> float:
        """The same whatever its weight, and without those who have turned away."""
        wait_s = self._pace.wait_s(now_s)
        if wait_s == math.inf and (away := self._away(now_s)):
            return self._pace.wait_s(now_s, len(away))
        return wait_s

    def _begin(self, weight: Weight, now_s: float) -> None:
        if weight is Weight.WHOLE:
            self._whole_in_flight += 1
            self._whole_in_a_row += 1 if self._parts else 0
        else:
            self._whole_in_a_row = 0
            self._holders[threading.get_ident()] = _Holder()
        if not self._has_missed and self._nobody_listens(now_s):
            self._heard_s = now_s  # who was asked nothing was not silent
        self._unsent += 1
        self._pace.begin(now_s)

    def _hear(self, now_s: float) -> None:
        self._heard_s, self._has_missed = now_s, False
        if self._pace.in_flight == self._unsent:
            self._owed_s = math.inf

    def _counts(self, method: str) -> _Method:
        counts = self._methods[method] = _Method()
        return counts

    def _check_pause(self, now_s: float) -> None:
        pause_s = self._pace.paused_s(now_s)
        if pause_s > PATIENCE_S:
            raise ThrottledError(
                f"bucket {self.bucket} asked to slow down: it is left alone for {pause_s:.1f} s",
                bucket=self.bucket,
                retry_after_s=pause_s,
            )

    def _no_turn(self) -> StoreError:
        """Why there was none: those before us wait in vain, or there are too many of them."""
        if self.silent_s >= TELLS_S:
            words = f"bucket {self.bucket} has answered nothing for {self.silent_s:.0f} s: it was not asked once more"
            return StoreSilentError(words, bucket=self.bucket, retry_after_s=SILENT_RETRY_S)
        words = f"bucket {self.bucket} allows too few requests: none of {TURN_S:g} s was for this file"
        return ThrottledError(words, bucket=self.bucket)

    def _queue_up(self, weight: Weight, now_s: float, patience_s: float, stops: Callable[[], bool] | None) -> bool:
        """Wait for one's turn, with the lock held."""
        look_s = PATIENCE_S if stops is None else HEED_EVERY_S
        until_s, turn_s = now_s + patience_s, now_s + TURN_S
        turn = threading.Condition(self._lock)
        queue = self._queue_of(weight)
        queue.append(turn)
        try:
            while True:
                now_s = self._clock_s()
                wait_s = self._wait_s(weight, now_s) if queue[0] is turn else math.inf
                if wait_s <= 0:
                    self._begin(weight, now_s)
                    return True
                self._check_pause(now_s)
                if now_s >= until_s or (stops is not None and stops()):
                    return False
                if now_s >= turn_s:
                    raise self._no_turn()
                turn.wait(min(wait_s, until_s - now_s, look_s))
        finally:
            queue.remove(turn)
            self._call()
