"""Hands: threads for small files whose file system keeps its callers waiting, so that many of its calls are under way at once.

Calls the steps of `transfer`, one file at a time; decides nothing about them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

from penstock.engine.journey import Journey, Reached, stepped
from penstock.transfer.steps import Pause

SYNCED_NEXT = frozenset({Pause.WRITTEN, Pause.NAMED})
"""Pauses after which comes a sync: that waits on every file system."""


class Hands:
    """As many threads as files can be under way at most, so that none waits for another's. Each comes up when it is needed first.

    A hand takes its file over all pauses at which companions would wait for each other (each syncs for itself, and directories
    are synced for all who ask meanwhile), and gives it back with an answer to wait for, with the outcome, or before something
    that may take long: that is for helpers, of whom no bucket gets all. It says how long the longest step took by the clock.
    """

    def __init__(self, count: int, give_back: Callable[[Journey, Reached], None], clock_s: Callable[[], float]) -> None:
        self._count = count
        self._give_back = give_back
        self._clock_s = clock_s
        self._queue: SimpleQueue[Journey] = SimpleQueue()
        self._lock = threading.Lock()
        self._busy = 0  # journeys taken and not given back
        self._up = 0

    def take(self, journey: Journey) -> bool:
        """Take this one as far as it goes; False where no hand is idle and the machine gives no further thread. For the loop's
        thread only."""
        if self._busy >= self._up and not self._is_another_up():
            return False
        with self._lock:
            self._busy += 1
        self._queue.put(journey)
        return True

    def _is_another_up(self) -> bool:
        if self._up >= self._count:
            return False
        try:
            threading.Thread(target=self._work, name=f"small-hand-{self._up}", daemon=True).start()
        except RuntimeError:  # no more threads, or no memory for one
            return False
        self._up += 1
        return True

    def _work(self) -> None:
        while True:
            journey = self._queue.get()
            reached = self._taken(journey)
            with self._lock:
                self._busy -= 1
            self._give_back(journey, reached)
            del journey, reached  # nothing is held while there is nothing to do

    def _taken(self, journey: Journey) -> Reached:
        begun_s = self._clock_s()
        reached = stepped(journey)
        now_s = self._clock_s()
        longest_s = now_s - begun_s
        while isinstance(reached, Pause) and reached is not Pause.ASIDE:
            is_sync = reached in SYNCED_NEXT
            begun_s = now_s
            reached = stepped(journey)
            now_s = self._clock_s()
            if not is_sync:
                longest_s = max(longest_s, now_s - begun_s)
        journey.hand_s = longest_s
        return reached
