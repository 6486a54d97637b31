"""Keeps what is written close to the disk: a bounded window of dirty pages behind each writer, then out of the page cache.

A disk serves its queue in its own order, so an fsync of a small file waits for about all that large files have put in front of
it: the window is as small as still keeps a fast disk busy. It belongs to a part, of which a mover has few under way, so dirty
pages are bounded for all files of a mover together. Calls the kernel only. Safe from several threads.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from penstock import failpoints
from penstock.transfer import pagecache

GRAIN_BYTES = 2 << 20
"""What is written back, and dropped, in one go. A power of two: no large page of the cache lies across such a border."""


class Flusher:
    """Counts bytes written to one descriptor; at the bound one of the writers does an fdatasync.

    It empties the disk's own cache and lets the journal know as much, so that a power cut costs little. Where the kernel writes
    no ranges back, it is what bounds the dirty pages too.
    """

    def __init__(self, descriptor: int, *, unsynced_bytes_max: int, synced: Callable[[], None]) -> None:
        self.descriptor = descriptor
        self._max = unsynced_bytes_max
        self._synced = synced
        self._counting = threading.Lock()
        self._syncing = threading.Lock()
        self._unsynced = 0

    def wrote(self, length_bytes: int) -> None:
        """So many bytes more. Raises OSError: then the inode is not to be believed any more."""
        with self._counting:
            self._unsynced += length_bytes
            if self._unsynced < self._max:
                return
            self._unsynced = 0
        with self._syncing:  # the others go on meanwhile, unless they reach the bound once more
            failpoints.passing("partial.flush")
            os.fdatasync(self.descriptor)
            failpoints.passing("partial.flushed")
            pagecache.drop_behind(self.descriptor, 0, 0)
            self._synced()


class Span:
    """The window behind a part that grows: one grain is on its way to the disk while the next one is filled."""

    def __init__(self, flusher: Flusher, offset: int) -> None:
        self._flusher = flusher
        self._leaving = offset  # from here on its way to the disk
        self._start = offset  # from here on only in memory
        self._end = offset

    def grow(self, length_bytes: int) -> None:
        """So many bytes more were written. Raises OSError, also for what was written before."""
        self._end += length_bytes
        border = self._end - self._end % GRAIN_BYTES
        if border > self._start:
            self._advance(border)

    def flush(self) -> None:
        """All of the part is on its way to the disk, and out of this memory. Raises OSError."""
        self._advance(self._end)
        self._advance(self._end)

    def _advance(self, border: int) -> None:
        """Start what is new, wait for what was started before."""
        descriptor = self._flusher.descriptor
        if border > self._start:
            pagecache.start_writeback(descriptor, self._start, border - self._start)
        if self._start > self._leaving:
            pagecache.await_writeback(descriptor, self._leaving, self._start - self._leaving)
            pagecache.drop_behind(descriptor, self._leaving, self._start - self._leaving)
        if border > self._start:
            self._flusher.wrote(border - self._start)
        self._leaving, self._start = self._start, border
