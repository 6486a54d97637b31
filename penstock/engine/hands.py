"""Hands: threads for small files whose file system keeps its callers waiting, so that many of its calls are under way at once.

Calls the steps of `transfer`, one file at a time; decides nothing about them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

from penstock.engine.journey import Journey, Reached, stepped
from penstock.transfer.steps import Pause


class Hands:
    """As many threads as files can be under way, so that none waits for another's. They come up when they are needed first.

    A hand takes its file over all pauses at which companions would wait for each other (each syncs for itself, and directories
    are synced for all who ask meanwhile), and gives it back with an answer to wait for, with the outcome, or before something
    that may take long: that is for helpers, of whom no bucket gets all.
    """

    def __init__(self, count: int, give_back: Callable[[Journey, Reached], None]) -> None:
        self._count = count
        self._give_back = give_back
        self._queue: SimpleQueue[Journey] = SimpleQueue()
        self._are_up = False

    def take(self, journey: Journey) -> None:
        """Take this one as far as it goes. For one thread, the loop's, only."""
        if not self._are_up:
            self._are_up = True
            for number in range(self._count):
                threading.Thread(target=self._work, name=f"small-hand-{number}", daemon=True).start()
        self._queue.put(journey)

    def _work(self) -> None:
        while True:
            journey = self._queue.get()
            reached = stepped(journey)
            while isinstance(reached, Pause) and reached is not Pause.ASIDE:
                reached = stepped(journey)
            self._give_back(journey, reached)
            del journey, reached  # nothing is held while there is nothing to do
