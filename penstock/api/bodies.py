"""How much of requests' bodies is held, over all connections: one bound, for nothing of a body is signed before it is whole.

When it is reached, the connection that has most of an unfinished body here is refused, so that whoever fills the room is the
one that leaves it, and small requests pass. Called by `connection`; for one thread, the loop's.
"""

from __future__ import annotations

from typing import Protocol


class Holder(Protocol):
    """A connection on which a body comes in."""

    def make_room(self) -> None:
        """Refuse the request, and give back what came of its body."""
        ...


class Bodies:
    """Bytes of bodies: those that come in, by connection, and those that are whole and wait for their answer."""

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._incoming: dict[Holder, int] = {}
        self.held_bytes = 0

    def came(self, holder: Holder, count: int) -> None:
        """So many bytes more have come. May call `make_room`, of this holder or another."""
        self.held_bytes += count
        self._incoming[holder] = self._incoming.get(holder, 0) + count
        while self.held_bytes > self._max_bytes and self._incoming:
            largest = max(self._incoming, key=lambda one: self._incoming[one])
            self.ended(largest)
            largest.make_room()

    def ended(self, holder: Holder) -> None:
        """Its body is whole, or will never be."""
        self._incoming.pop(holder, None)

    def give_back(self, count: int) -> None:
        """So many bytes are held no longer."""
        self.held_bytes -= count
