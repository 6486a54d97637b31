"""Who lets the requests of one bucket out, and hears what came of them: the seam at which a mover paces a store.

Plain values and one protocol; `Unpaced` only bounds connections. Calls nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from enum import StrEnum
from typing import Protocol

from penstock.errors import StoreError


class Weight(StrEnum):
    """How long a request holds its place."""

    PART = "part"  # a part of a large file: for as long as many MiB take
    WHOLE = "whole"  # all others: soon over


class Pacer(Protocol):
    """One bucket's. Called from many threads, a few times for each request, so it has to be quick.

    Times are seconds of `time.monotonic`. `kind` is equal for requests that are expected to take equally long.
    """

    def enter(self, patience_s: float, stops: Callable[[], bool] | None = None, weight: Weight = Weight.WHOLE) -> bool:
        """Wait, at most `patience_s` seconds (0: not at all), until a request may begin; False when it may not.

        Whole ones do not wait behind parts. While it waits it asks `stops` a few times a second, and gives up once that is so.

        Raises ThrottledError when the store wants a longer pause than is worth waiting for here.
        """
        ...

    def leave(self, weight: Weight = Weight.WHOLE) -> None:
        """A request that had entered, of this weight, is over, its body too."""
        ...

    def sent(self) -> None:
        """A request that had entered is out, its body too: from now on the store owes an answer. Or it will never be out.

        Called once for each that had entered.
        """
        ...

    def moved(self) -> None:
        """More of a body has come, behind what came with its head."""
        ...

    def turned_away(self) -> None:
        """Whoever has a part's request in this thread does something else with its bytes now: nothing is waited for."""
        ...

    def turned_back(self) -> None:
        """And now the store is what it waits for, again."""
        ...

    def answered(
        self, method: str, kind: Hashable, *, began_s: float, looked_s: float, held_back_s: float | None
    ) -> None:
        """The head of an expected answer is here. `looked_s` is when somebody began to wait for it.

        `held_back_s`: how long the store says to have kept the request waiting on purpose.
        """
        ...

    def refused(self, method: str, error: StoreError, *, began_s: float) -> None:
        """Another answer came, or none."""
        ...

    def lost(self, *, began_s: float) -> None:
        """The answer, or the rest of its body, was not waited for any longer, or broke off."""
        ...


class Unpaced:
    """At most `connections_max` requests at once, whatever the store says."""

    def __init__(self, connections_max: int) -> None:
        self._free = connections_max
        self._lock = threading.Lock()
        self._freed = threading.Condition(self._lock)
        self._waiting = 0

    def enter(
        self,
        patience_s: float,
        stops: Callable[[], bool] | None = None,  # noqa: ARG002
        weight: Weight = Weight.WHOLE,  # noqa: ARG002
    ) -> bool:
        """As the protocol says, but for stops: who is not paced does not wait for long; never raises."""
        with self._lock:
            if self._free == 0:
                if patience_s <= 0:
                    return False
                self._waiting += 1
                try:
                    if not self._freed.wait_for(lambda: self._free > 0, patience_s):
                        return False
                finally:
                    self._waiting -= 1
            self._free -= 1
            return True

    def leave(self, weight: Weight = Weight.WHOLE) -> None:  # noqa: ARG002
        """As the protocol says."""
        with self._lock:
            self._free += 1
            if self._waiting:
                self._freed.notify()

    def sent(self) -> None:
        """Not listened to."""

    def moved(self) -> None:
        """Not listened to."""

    def turned_away(self) -> None:
        """Not listened to."""

    def turned_back(self) -> None:
        """Not listened to."""

    def answered(
        self, method: str, kind: Hashable, *, began_s: float, looked_s: float, held_back_s: float | None
    ) -> None:
        """Not listened to."""

    def refused(self, method: str, error: StoreError, *, began_s: float) -> None:
        """Not listened to."""

    def lost(self, *, began_s: float) -> None:
        """Not listened to."""
