"""How far a run has come, a line for each job that is done: of how many, since when, and about how much longer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Progress:
    """Of `count` jobs that are all called `what`. Any thread may tell."""

    def __init__(
        self, what: str, count: int, say: Callable[[str], None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._what = what
        self._count = count
        self._say = say
        self._clock = clock
        self._begun = clock()
        self._done = 0
        self._changing = threading.Lock()

    def tell(self, words: str, took_s: float) -> None:
        """One more is done."""
        with self._changing:
            self._done += 1
            since_s = self._clock() - self._begun
            left_s = since_s / self._done * (self._count - self._done)
            self._say(
                f"{self._what} {self._done:>{len(str(self._count))}} of {self._count}, {_minutes(since_s)}, "
                f"{_minutes(left_s)} to go | {words} | {took_s:.1f} s"
            )


def _minutes(span_s: float) -> str:
    return f"{int(span_s) // 60}:{int(span_s) % 60:02}"
