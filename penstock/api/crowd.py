"""How many connections are open: one bound, and who gives way when it is reached.

A connection is a stranger's until a call on it was signed by a key of ours. Strangers give way first, the one that came first
before the others: so nobody can lock out callers by connecting and saying nothing, or by saying it slowly. Then connections on
which a caller of ours says nothing, the one that has been silent longest. Called by `connection`, and by `app` for handshakes;
for one thread, the loop's.
"""

from __future__ import annotations

from typing import Protocol


class Guest(Protocol):
    """An open connection."""

    def is_answering(self) -> bool:
        """Whether a call is being carried out; nobody is cut short then."""
        ...

    def is_silent(self) -> bool:
        """Whether nothing is under way, and nothing of a request has come."""
        ...

    def signed_call(self) -> str:
        """Which call a known key has signed in a head whose body is still to come; "" where none has."""
        ...

    def give_way(self) -> None:
        """Say why, where that can be heard, and hang up at once."""
        ...


class Crowd:
    """All that are open, in the order in which they would have to go."""

    def __init__(self, *, max_count: int) -> None:
        self._max_count = max_count
        self._strangers: dict[Guest, None] = {}
        self._known: dict[Guest, None] = {}
        self._calls: dict[Guest, str] = {}  # of those that are known by a head alone

    def __len__(self) -> int:
        return len(self._strangers) + len(self._known)

    def came(self, guest: Guest) -> None:
        """One more is open. May call `give_way`, of another or of this one."""
        self._strangers[guest] = None
        if len(self) > self._max_count:
            leaving = self._first_stranger(guest) or self._longest_silent() or guest
            self.left(leaving)
            leaving.give_way()

    def proved(self, guest: Guest) -> None:
        """A key of ours has signed what it said."""
        if guest in self._strangers:
            del self._strangers[guest]
        elif guest in self._known:
            del self._known[guest]
        else:
            return  # it has left meanwhile
        self._known[guest] = None
        self._calls.pop(guest, None)

    def left(self, guest: Guest) -> None:
        """It is closed, or about to be; does nothing for one that has left."""
        self._strangers.pop(guest, None)
        self._known.pop(guest, None)
        self._calls.pop(guest, None)

    def _first_stranger(self, newest: Guest) -> Guest | None:
        """Those who turn out to be known on the way, in the midst of a request, are strangers no longer."""
        for guest in list(self._strangers):
            if guest is newest:
                break
            if guest.is_answering():
                continue
            call = guest.signed_call()
            if not call or call in self._calls.values():  # what was overheard can be sent again
                return guest
            self.proved(guest)
            self._calls[guest] = call
        return None

    def _longest_silent(self) -> Guest | None:
        return next((guest for guest in self._known if guest.is_silent()), None)
