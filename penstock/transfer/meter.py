"""How far an attempt is: bytes done, and the time in which bytes moved. Tells the mover through a callback.

Counts never fall and never pass the total; a part that is sent again counts once. What an earlier attempt had moved counts as
done, and as moved at the speed of what moves now: so an average over all of it is the speed at which bytes really moved. Safe
from several threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType

from penstock.model import FileDetail
from penstock.transfer.transfer import Progress

_TAKEN_MIN_NS = 1_000_000  # for speeds that can be said


class Meter:
    """The counters of one attempt. `now_ns` is any clock in nanoseconds, `tell` hears each change."""

    def __init__(
        self, *, sub_task_id: str, attempt: int, now_ns: Callable[[], int], tell: Callable[[Progress], None]
    ) -> None:
        self._sub_task_id = sub_task_id
        self._attempt = attempt
        self._now_ns = now_ns
        self._tell = tell
        self._lock = threading.Lock()
        self._total = 0
        self._done = 0
        self._kept = 0  # of these, what earlier attempts had moved
        self._detail: FileDetail | None = None
        self._moving_ns = 0
        self._movers = 0
        self._since_ns = 0
        self._begun_ns = now_ns()

    @property
    def bytes_total(self) -> int:
        """The source's size, 0 until it is known."""
        return self._total

    @property
    def bytes_done(self) -> int:
        """Bytes moved and bytes kept from earlier attempts."""
        return self._done

    @property
    def detail(self) -> FileDetail | None:
        """What the source is, as far as it is known."""
        return self._detail

    def moving_ns(self) -> int:
        """Time in which bytes moved, so far; at the same speed for those that were kept."""
        with self._lock:
            return self._moving()

    def taken_ns(self) -> int:
        """Time in which bytes moved; where an earlier attempt had moved them all, that of this whole attempt (never 0)."""
        return self.moving_ns() or max(_TAKEN_MIN_NS, self._now_ns() - self._begun_ns)

    def learn(self, detail: FileDetail) -> None:
        """The source is known (anew: a second try in the same attempt may meet another version)."""
        with self._lock:
            self._detail = detail
            self._total = detail.size_bytes
            self._done = min(self._done, self._total)

    def add(self, count: int) -> None:
        """`count` more bytes are where they should be."""
        with self._lock:
            self._done = min(self._total, self._done + count)
            detail = self._detail
            if detail is None:
                return
            progress = Progress(
                sub_task_id=self._sub_task_id,
                attempt=self._attempt,
                bytes_total=self._total,
                bytes_done=self._done,
                actual_bytes=self._done,
                moving_ns=self._moving(),
                detail=detail,
            )
            self._tell(progress)  # within the lock, so that what is told never falls

    def keep(self, count: int) -> None:
        """`count` more bytes are where they should be, and were before this attempt."""
        with self._lock:
            self._kept += count
        self.add(count)

    def finish(self) -> None:
        """All bytes are where they should be."""
        with self._lock:
            self._done = self._total

    def moving(self) -> AbstractContextManager[None]:
        """Bytes move in this block; blocks of several threads at once count as one span of time."""
        return _Moving(self)

    def begin_moving(self) -> None:
        """For `moving` only."""
        with self._lock:
            if self._movers == 0:
                self._since_ns = self._now_ns()
            self._movers += 1

    def end_moving(self) -> None:
        """For `moving` only."""
        with self._lock:
            self._movers -= 1
            if self._movers == 0:
                self._moving_ns += max(0, self._now_ns() - self._since_ns)

    def _moving(self) -> int:
        running = max(0, self._now_ns() - self._since_ns) if self._movers else 0
        spent_ns = self._moving_ns + running
        if not self._kept:
            return spent_ns
        moved = self._done - self._kept
        return spent_ns * self._done // moved if moved > 0 else 0


class _Moving:
    """One block in which bytes move. A class of its own: a generator's context costs three times as much, for each file."""

    __slots__ = ("_meter",)

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def __enter__(self) -> None:
        self._meter.begin_moving()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._meter.end_moving()


class PartMeter:
    """Counts one part towards a meter: only what lies beyond the furthest point reached so far."""

    __slots__ = ("_meter", "_reached")

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._reached = 0

    def reach(self, position: int) -> None:
        """Bytes of the part up to `position` are where they should be."""
        if position > self._reached:
            self._meter.add(position - self._reached)
            self._reached = position

    def keep(self, position: int) -> None:
        """They were before this attempt."""
        if position > self._reached:
            self._meter.keep(position - self._reached)
            self._reached = position
