"""A moment: what one thread has looked at counts for all files that it takes forward in it, and is looked at once.

Calls nothing. Knows no file system: whoever keeps a look keeps the moment's number with it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

MOMENT_S = 0.01
"""A moment that lasts longer becomes another one: a look is never older than that, and the step it was for."""


class Moments:
    """A context for one thread; within it `now` is the number of the moment, everywhere else 0: look for yourself."""

    __slots__ = ("_clock_s", "_number", "_thread", "_until_s")

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._number = 0
        self._thread = 0
        self._until_s = 0.0

    def __enter__(self) -> None:
        self._thread = threading.get_ident()
        self._until_s = 0.0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread = 0

    def now(self) -> int:
        """The number of this thread's moment; 0 where nothing is shared."""
        if self._thread != threading.get_ident():
            return 0
        now_s = self._clock_s()
        if now_s >= self._until_s:
            self._number += 1
            self._until_s = now_s + MOMENT_S
        return self._number
