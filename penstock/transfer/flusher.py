"""Bounds how much of one file is written but not yet on disk, so that a cancel, a kill or a power cut costs little.

Calls the kernel only. Safe from several threads.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from penstock.transfer import posix

_GRAIN_BYTES = 8 << 20


class Flusher:
    """Counts bytes written to one descriptor; at the bound everybody waits for one fdatasync."""

    def __init__(self, descriptor: int, *, dirty_bytes_max: int, synced: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._max = dirty_bytes_max
        self._synced = synced
        self._lock = threading.Lock()
        self._dirty = 0

    def wrote(self, offset: int, length_bytes: int) -> None:
        """That range was written. Raises OSError: then the inode is not to be believed any more."""
        posix.start_writeback(self._descriptor, offset, length_bytes)
        with self._lock:
            self._dirty += length_bytes
            if self._dirty < self._max:
                return
            os.fdatasync(self._descriptor)
            posix.drop_behind(self._descriptor, 0, 0)
            self._dirty = 0
            self._synced()


class Span:
    """Tells a flusher of a part that grows, in grains: large enough to be cheap, small enough to keep the bound."""

    def __init__(self, flusher: Flusher, offset: int) -> None:
        self._flusher = flusher
        self._start = offset
        self._end = offset

    def grow(self, length_bytes: int) -> None:
        """So many bytes more were written."""
        self._end += length_bytes
        if self._end - self._start >= _GRAIN_BYTES:
            self.flush()

    def flush(self) -> None:
        """Tell what was not told yet."""
        if self._end > self._start:
            self._flusher.wrote(self._start, self._end - self._start)
            self._start = self._end
