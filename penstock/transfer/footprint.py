"""The footprint of reading in the page cache: what was not there before is read ahead of the reader, and dropped behind it.

What was there (a checkpoint just written, data that a training reads) stays. A file of which the kernel let go of a little here
and there is as it was, too: each step is looked at by itself, once, before anything of it is read. Calls `pagecache` only.
"""

from __future__ import annotations

from penstock.transfer import pagecache

STEP_BYTES = 4 << 20
"""Looked at, read ahead and dropped behind at a time."""
PIECE_BYTES = 256 << 10
"""Of a step that is there in part, pieces of so much that are not there at all are ours to drop."""


class Footprint:
    """One range of an open file, read from its beginning towards its end, maybe more than once. For one thread."""

    def __init__(self, descriptor: int, offset: int, length_bytes: int) -> None:
        self._descriptor = descriptor
        self._offset = offset
        self._end = offset + length_bytes
        self._missing: list[list[range]] = []  # of each step that was looked at, what was not there
        self._asked = 0  # so many steps were asked for in this pass,
        self._dropped = 0  # and so many were dropped

    def ahead(self, position: int) -> None:
        """The reader is there: the step it is in, and the next one, are asked for where they are missing."""
        if position == self._offset:  # a pass begins
            self._asked = self._dropped = 0
        while self._asked <= (position - self._offset) // STEP_BYTES + 1:
            if self._asked == len(self._missing):
                self._missing.append(self._lacking(self._asked))
            for piece in self._missing[self._asked]:
                pagecache.read_ahead(self._descriptor, piece.start, len(piece))
            self._asked += 1

    def behind(self, position: int) -> None:
        """The reader has passed that position: whole steps that lie behind it are dropped."""
        while self._dropped < (position - self._offset) // STEP_BYTES:
            self._drop(self._dropped)
            self._dropped += 1

    def remove(self) -> None:
        """Nothing is read again."""
        for number in range(len(self._missing)):
            self._drop(number)

    def _drop(self, number: int) -> None:
        for piece in self._missing[number]:
            pagecache.drop_behind(self._descriptor, piece.start, len(piece))

    def _lacking(self, number: int) -> list[range]:
        start = self._offset + number * STEP_BYTES
        step = range(start, min(start + STEP_BYTES, self._end))
        share = self._share(step) if step else 1.0
        if share in {0.0, 1.0}:
            return [] if share else [step]
        pieces = (range(at, min(at + PIECE_BYTES, step.stop)) for at in step[::PIECE_BYTES])
        return [piece for piece in pieces if not self._share(piece)]

    def _share(self, piece: range) -> float:
        return pagecache.cached_share(self._descriptor, piece.start, len(piece))
