"""Where a part's bytes, or a whole middling file's, go on an import: past the page cache where the file system tells how, else
through it.

Past it the disk reads out of the worker's own buffer. No page is made, copied into, written back and dropped, which costs as
much as receiving; and what stands before other people's syncs at the disk is one grain a worker at most. The worker waits for its
grain meanwhile: others receive, and more of them work where that makes it faster.

Calls the kernel only. Raises OSError: then the inode is not to be believed any more.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Protocol

from penstock import failpoints
from penstock.transfer import pagecache, posix
from penstock.transfer.flusher import Flusher, Span
from penstock.transfer.partial import DIRECT_ALIGN_BYTES, PartialFile

DIRECT_GRAIN_BYTES = 512 << 10
"""What is handed to the disk in one go. Larger ones cost less, and keep everybody else waiting for longer."""


class PartFile(Protocol):
    """Takes a part's bytes in, in order, by way of the worker's buffer."""

    def room(self, length_bytes: int) -> memoryview:
        """Where the next bytes go, of which at most so many will come. Never empty."""
        ...

    def took(self, count: int) -> None:
        """So many bytes are in that room now. Raises OSError, also for what was written before."""
        ...

    def flush(self) -> None:
        """All of the part is on its way to the disk, and out of this memory. Raises OSError."""
        ...


def part_file(partial: PartialFile, flusher: Flusher, offset: int, buffer: memoryview) -> PartFile:
    """The way for the part that begins at `offset`. `buffer` begins where a page does."""
    grain = min(DIRECT_GRAIN_BYTES, len(buffer) - len(buffer) % DIRECT_ALIGN_BYTES)
    if partial.direct_descriptor < 0 or grain == 0 or offset % DIRECT_ALIGN_BYTES:
        return CachedPart(flusher, offset, buffer)
    return DirectPart(partial.direct_descriptor, flusher, offset, buffer[:grain])


def whole_file(partial: PartialFile, grain: memoryview) -> PartFile:
    """The way for a file that is not cut into parts. `grain` begins where a page does, and holds whole pages."""
    if partial.direct_descriptor < 0:
        return CachedFile(partial.descriptor, 0, grain)
    unbounded = Flusher(partial.descriptor, unsynced_bytes_max=sys.maxsize, synced=lambda: None)
    return DirectPart(partial.direct_descriptor, unbounded, 0, grain)


class CachedFile:
    """Through the page cache, where it stays: what is synced soon needs no window."""

    def __init__(self, descriptor: int, offset: int, buffer: memoryview) -> None:
        self._descriptor = descriptor
        self._offset = offset
        self._buffer = buffer

    def room(self, length_bytes: int) -> memoryview:
        return self._buffer[:length_bytes]

    def took(self, count: int) -> None:
        failpoints.passing("partial.write")
        posix.write_all(self._descriptor, self._buffer[:count], self._offset)
        failpoints.passing("partial.written")
        self._offset += count

    def flush(self) -> None:
        pass


class CachedPart(CachedFile):
    """Through the page cache, of which little is used at a time."""

    def __init__(self, flusher: Flusher, offset: int, buffer: memoryview) -> None:
        super().__init__(flusher.descriptor, offset, buffer)
        self._span = Span(flusher, offset)

    def took(self, count: int) -> None:
        super().took(count)
        self._span.grow(count)

    def flush(self) -> None:
        self._span.flush()


class DirectPart:
    """Past the page cache, a grain at a time; what is left at a file's end, less than the disk takes, goes through it."""

    def __init__(self, descriptor: int, flusher: Flusher, offset: int, grain: memoryview) -> None:
        self._descriptor = descriptor
        self._flusher = flusher
        self._offset = offset
        self._grain = grain
        self._filled = 0

    def room(self, length_bytes: int) -> memoryview:
        return self._grain[self._filled : self._filled + length_bytes]

    def took(self, count: int) -> None:
        self._filled += count
        if self._filled == len(self._grain):
            self._write()

    def flush(self) -> None:
        if self._filled:
            self._write()

    def _write(self) -> None:
        aligned = self._filled - self._filled % DIRECT_ALIGN_BYTES
        failpoints.passing("partial.write")
        written = self._past_the_cache(self._grain[:aligned]) if aligned else 0
        self._through_the_cache(self._grain[written : self._filled], self._offset + written)
        failpoints.passing("partial.written")
        self._flusher.wrote(self._filled)
        self._offset += self._filled
        self._filled = 0

    def _through_the_cache(self, piece: memoryview, offset: int) -> None:
        """A file's end waits there to be synced. What the disk should have taken does not: dirty pages would add up."""
        descriptor = self._flusher.descriptor
        posix.write_all(descriptor, piece, offset)
        if len(piece) >= DIRECT_ALIGN_BYTES:
            pagecache.await_writeback(descriptor, offset, len(piece))
            pagecache.drop_behind(descriptor, offset, len(piece))

    def _past_the_cache(self, piece: memoryview) -> int:
        try:
            return os.pwrite(self._descriptor, piece, self._offset)
        except OSError as error:
            if error.errno != errno.EINVAL:  # EINVAL: after all not like this, for this range
                raise
            return 0
