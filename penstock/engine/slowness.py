"""Which file systems keep their callers waiting: learned from some of the steps that the small lane's loop takes by itself.

Calls the clocks that it is given. On a disk of this machine a step that makes, writes or renames a file is hardly ever anything
but CPU; on a network file system each call waits for a server, without CPU. Syncs are left out: those wait everywhere.
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

MEMORY_STEPS = 16
SAMPLE_EVERY = 7
"""One step in so many is measured, and is a begin, a write and a rename in turn: what is not measured costs nothing."""

LOOK_EVERY_S = 1.0
"""So often a step on a slow file system is taken by the loop after all, to hear whether it is slow still."""


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
        self._left = SAMPLE_EVERY

    def is_slow(self, file_system_id: str) -> bool:
        """Whether its next step is better not taken by the loop."""
        return file_system_id in self._slow

    def is_to_be_measured(self, file_system_id: str) -> bool:
        """Whether the loop should take the step that comes now by itself, and measure it."""
        look_s = self._slow.get(file_system_id)
        if look_s is None:
            self._left -= 1
            if self._left:
                return False
            self._left = SAMPLE_EVERY
            return True
        now_s = self._clock_s()
        if now_s < look_s:
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

    def learn(self, file_system_id: str, waited_s: float) -> None:
        """A step on that file system has waited so long."""
        mean_s = self._waits_s.get(file_system_id, 0.0)
        mean_s += (min(waited_s, OUTLIER_S) - mean_s) / MEMORY_STEPS
        self._waits_s[file_system_id] = mean_s
        if mean_s >= SLOW_S:
            self._slow.setdefault(file_system_id, self._clock_s() + LOOK_EVERY_S)
        elif mean_s < SLOW_S / 2:
            self._slow.pop(file_system_id, None)
