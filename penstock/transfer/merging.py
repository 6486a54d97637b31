"""Two sides that are listed in byte order, walked side by side: what lies on which of them. Pure but for the looks it is given.

Holds a page of each side, however much lies there. Knows how far each side was walked, so that a later walk can go on there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from penstock.errors import FailureCode, TransferError
from penstock.transfer.listed import Kind, Listed, Look
from penstock.transfer.names import to_bytes

LookBehind = Callable[[str], Look]
"""One look at a side, behind a path."""


class Pair(NamedTuple):
    """What lies at one path. `closed` is the directory above it that is closed to us on our side; "" where none is."""

    path: str
    here: Listed | None
    there: Listed | None
    closed: str = ""


class Walked(NamedTuple):
    """How far both sides were walked, and the closed directory in which that is."""

    here: str = ""
    there: str = ""
    closed: str = ""


class _Side:
    """One side: what was seen of it and waits for the other one."""

    def __init__(self, look: LookBehind, after: str) -> None:
        self._look = look
        self._seen: deque[Listed] = deque()
        self._next: str | None = after  # None: it was seen to its end
        self._last = to_bytes(after)
        self.after = after

    def first(self) -> Listed | None:
        """The next entry, if there is one. Raises what a look raises; TransferError where the order is not ours."""
        while not self._seen and self._next is not None:
            look = self._look(self._next)
            for one in look.found:
                self._see(one)
            self._next = look.after
        return self._seen[0] if self._seen else None

    def take(self) -> Listed:
        """That entry; it is walked past."""
        taken = self._seen.popleft()
        self.after = taken.path
        return taken

    def _see(self, one: Listed) -> None:
        if not one.path:  # what marks the very directory that is looked at
            return
        place = to_bytes(one.path)
        if self._last and place <= self._last:
            words = f"{one.path[:80]!r} is listed behind {self._last[:80]!r}: what is not listed in byte order cannot be compared"
            raise TransferError(FailureCode.NOT_SUPPORTED, words)
        self._last = place
        self._seen.append(one)


class Merge:
    """The walk. `here` is the file system's side, `there` the bucket's."""

    def __init__(self, here: LookBehind, there: LookBehind, walked: Walked) -> None:
        self._here = _Side(here, walked.here)
        self._there = _Side(there, walked.there)
        self._closed = walked.closed

    @property
    def walked(self) -> Walked:
        """How far it is."""
        return Walked(here=self._here.after, there=self._there.after, closed=self._closed)

    def next(self) -> Pair | None:
        """What lies at the next path; None: there is no more. Raises what looks raise, TransferError."""
        here, there = self._here.first(), self._there.first()
        first = min((one.path for one in (here, there) if one is not None), key=to_bytes, default=None)
        if first is None:
            return None
        mine = self._here.take() if here is not None and here.path == first else None
        other = self._there.take() if there is not None and there.path == first else None
        if mine is not None and mine.kind is Kind.CLOSED and first.endswith("/"):
            self._closed = first
        elif not (self._closed and first.startswith(self._closed)):
            self._closed = ""
        return Pair(first, mine, other, self._closed)
