"""How much of requests' bodies is held, over all connections: one bound, for nothing of a body is believed before it is whole.

When it is reached, the connection that has most of an unfinished body here is refused, so that whoever fills the room is the
one that leaves it, and small requests pass. Those whose head a known key has signed come last: strangers cannot crowd them out.
Called by `connection`; for one thread, the loop's.
"""

from __future__ import annotations

import itertools
from typing import Any, Protocol


class Holder(Protocol):
    """A connection on which a body comes in."""

    def signed_call(self) -> str:
        """Which call a known key has signed in the head that came before the body; "" where none has."""
        ...

    def make_room(self) -> None:
        """Refuse the request, and give back what came of its body."""
        ...


class Bodies:
    """Bytes of bodies: those that come in, by connection, and those that are whole and wait for their answer.

    Everybody is a stranger until the room is tight. Then the largest stranger's head is looked at: it either leaves, or is a
    known caller from there on. So each head is looked at once, at the price of a request that is refused for its signature.
    """

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._arrivals: dict[Holder, int] = {}
        self._numbers = itertools.count()
        # Bytes of each. Plain numbers, for the largest is looked for again and again.
        self._strangers: dict[Holder, int] = {}
        self._known: dict[Holder, int] = {}
        self._calls: dict[Holder, str] = {}  # of those that are known
        self.held_bytes = 0

    def came(self, holder: Holder, count: int) -> None:
        """So many bytes more have come. May call `signed_call` and `make_room`, of this holder or others."""
        self.held_bytes += count
        if holder in self._known:
            self._known[holder] += count
        elif holder in self._strangers:
            self._strangers[holder] += count
        else:
            self._strangers[holder] = count
            self._arrivals[holder] = next(self._numbers)
        while self.held_bytes > self._max_bytes:
            leaving = self._largest_stranger() or _largest(self._known)
            if leaving is None:
                return  # what is held is whole
            self.ended(leaving)
            leaving.make_room()

    def ended(self, holder: Holder) -> None:
        """Its body is whole, or will never be."""
        tables: tuple[dict[Holder, Any], ...] = (self._arrivals, self._strangers, self._known, self._calls)
        for table in tables:
            table.pop(holder, None)

    def give_back(self, count: int) -> None:
        """So many bytes are held no longer."""
        self.held_bytes -= count

    def _largest_stranger(self) -> Holder | None:
        """Those who turn out to be known on the way are strangers no longer."""
        while (largest := _largest(self._strangers)) is not None:
            call = largest.signed_call()
            if not call:
                return largest
            # What was overheard can be sent again: of two who say the same call, the later one is a stranger still.
            same = next((one for one, theirs in self._calls.items() if theirs == call), None)
            if same is not None and self._arrivals[same] < self._arrivals[largest]:
                return largest
            self._known[largest] = self._strangers.pop(largest)
            self._calls[largest] = call
            if same is not None:
                return same
        return None


def _largest(holders: dict[Holder, int]) -> Holder | None:
    return max(holders, key=holders.__getitem__, default=None)
