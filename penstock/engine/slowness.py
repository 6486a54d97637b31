"""Which file systems keep their callers waiting: learned from some of the steps that the small lane's loop takes by itself.

Calls the clocks that it is given. On a disk of this machine a step that makes, writes or renames a file is hardly ever anything
but CPU; where each call waits for something else it takes none. Syncs are left out: those wait everywhere. File systems that are
known to be another machine's never come here: the loop takes none of their steps.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

SLOW_S = 0.0004
"""The mean wait of a step, which has one to six calls, from which on a file system is slow; below half of it it is quick."""

OUTLIER_S = 2 * SLOW_S
"""No step counts for more, so that about half of them have to wait: now and then one meets a full journal on any busy disk."""

LONG_S = 0.02
"""Who waits so long once is slow at once: the loop stood still, and the next wait may be as long."""

SURELY_S = 0.25
"""A step that took so long has waited, measured or not: nobody is pushed aside for that long."""

MEMORY_STEPS = 16
SAMPLE_EVERY = 7
"""One step in so many is measured, and is a begin, a write and a rename in turn; of the others it is only seen that they were not
long. After one that was the next MEMORY_STEPS are all measured."""

LOOK_EVERY_S = 0.1
"""So often a step on a slow file system is taken by the loop after all, to hear whether it is slow still, once a hand's were not
long: hands wait for each other too, so that they hear nothing finer."""

REST_S = 1.0
REST_MAX_S = 60.0
REST_EACH = 20
"""After a long wait the loop takes no such look for REST_S, and for so many times what it waited."""


class Spent(NamedTuple):
    """What the calling thread has spent so far: seconds by the clock, seconds of CPU, and how often it went to sleep."""

    wall_s: float
    cpu_s: float
    sleeps: int


def spent_here() -> Spent:
    """The calling thread's. Being pushed aside by others does not count as sleep."""
    used = resource.getrusage(resource.RUSAGE_THREAD)
    return Spent(time.monotonic(), used.ru_utime + used.ru_stime, used.ru_nvcsw)


class Slowness:
    """Of file systems, by their id. For one thread, the loop's."""

    def __init__(self, clock_s: Callable[[], float], spent: Callable[[], Spent] = spent_here) -> None:
        self._clock_s = clock_s
        self._spent = spent
        self._waits_s: dict[str, float] = {}  # a step's, in the mean
        self._slow: dict[str, float] = {}  # those that are, and when the loop takes one of their steps again
        self._doubted: set[str] = set()  # those that waited long when last seen: hands look first
        self._left = SAMPLE_EVERY
        self._closely = 0  # so many steps are measured one after the other

    def is_slow(self, file_system_id: str) -> bool:
        """Whether its next step is better not taken by the loop."""
        return file_system_id in self._slow

    @property
    def slow(self) -> tuple[str, ...]:
        """Those that are slow now. From any thread."""
        return tuple(self._slow)

    def is_to_be_measured(self, file_system_id: str) -> bool:
        """Whether the loop should take the step that comes now by itself, and measure it."""
        look_s = self._slow.get(file_system_id)
        if look_s is None:
            self._left -= 1
            if self._left:
                return False
            self._closely -= self._closely > 0
            self._left = 1 if self._closely else SAMPLE_EVERY
            return True
        now_s = self._clock_s()
        if now_s < look_s or file_system_id in self._doubted:
            return False
        self._slow[file_system_id] = now_s + LOOK_EVERY_S
        return True

    @contextmanager
    def measured(self, file_system_id: str) -> Iterator[None]:
        """Around a step: learn how long it waited. Who never slept has not waited, however long others had the CPU."""
        before = self._spent()
        yield
        after = self._spent()
        has_slept = after.sleeps > before.sleeps
        waited_s = (after.wall_s - before.wall_s) - (after.cpu_s - before.cpu_s) if has_slept else 0.0
        self.learn(file_system_id, waited_s)

    def took(self, file_system_id: str, wall_s: float) -> None:
        """A step that was not measured has taken the loop so long: waiting, or pushed aside on a crowded machine."""
        if wall_s >= SURELY_S:
            self.learn(file_system_id, wall_s)
        elif wall_s >= LONG_S:
            self._closely = MEMORY_STEPS
            self._left = 1

    def shown(self, file_system_id: str, wall_s: float) -> None:
        """The longest step of some that a hand took has taken so long."""
        if file_system_id not in self._slow:
            return
        if wall_s >= LONG_S:
            self._doubted.add(file_system_id)
        else:
            self._doubted.discard(file_system_id)

    def learn(self, file_system_id: str, waited_s: float) -> None:
        """A step of the loop on that file system has waited so long."""
        if waited_s >= LONG_S:
            rest_s = min(max(REST_S, REST_EACH * waited_s), REST_MAX_S)
            self._waits_s[file_system_id] = max(self._waits_s.get(file_system_id, 0.0), SLOW_S)
            self._slow[file_system_id] = self._clock_s() + rest_s
            self._doubted.add(file_system_id)
            return
        mean_s = self._waits_s.get(file_system_id, 0.0)
        mean_s += (min(waited_s, OUTLIER_S) - mean_s) / MEMORY_STEPS
        self._waits_s[file_system_id] = mean_s
        if mean_s >= SLOW_S:
            if file_system_id not in self._slow:
                self._slow[file_system_id] = self._clock_s() + LOOK_EVERY_S
                self._doubted.add(file_system_id)
        elif mean_s < SLOW_S / 2:
            self._slow.pop(file_system_id, None)
            self._doubted.discard(file_system_id)
