"""Grains: buffers of one size that the bytes of middling files pass through, lent for one step and used again.

A middling file is more than is moved in company and less than is cut into parts. It is never whole in memory: whoever takes it
forward holds one grain, and only for as long as its bytes are on their way. So what all of them hold is a grain for each thread
that moves such files, whatever their sizes. Calls the kernel for memory only. Safe from several threads.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager


class Grains:
    """Lends buffers of `size_bytes`, which begin where a page does; keeps `kept` of those that came back."""

    def __init__(self, size_bytes: int, *, kept: int) -> None:
        self._size_bytes = size_bytes
        self._kept = kept
        self._free: list[memoryview] = []

    @contextmanager
    def lent(self) -> Iterator[memoryview]:
        """One, for this block; what it holds at first is anything."""
        grain = self._taken()
        try:
            yield grain
        finally:
            if len(self._free) < self._kept:  # one too many, as two threads may see it, does no harm
                self._free.append(grain)

    def _taken(self) -> memoryview:
        try:
            return self._free.pop()  # the one used last: its bytes are still in the processor's cache
        except IndexError:
            return memoryview(mmap.mmap(-1, self._size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
