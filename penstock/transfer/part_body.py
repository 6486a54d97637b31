"""One part of an export's source as a body that is read while it is sent: one buffer in memory whatever the part's size.

Implements the stores' `StreamedBody`. Looks at the stop signal between buffers, so that a slow store does not delay a cancel.
"""

from __future__ import annotations

from collections.abc import Iterator

from penstock.transfer import crc64
from penstock.transfer.attempt import Attempt
from penstock.transfer.meter import PartMeter
from penstock.transfer.plan import PlannedPart
from penstock.transfer.posix import read_ahead, read_full
from penstock.transfer.source_file import SourceFile

_AHEAD_MAX_BYTES = 64 << 20


class PartBody:
    """The bytes of one part. `crc64` is that of the last whole pass that was sent."""

    def __init__(self, attempt: Attempt, source: SourceFile, part: PlannedPart, buffer: memoryview) -> None:
        self._attempt = attempt
        self._source = source
        self._part = part
        self._buffer = buffer
        self._counted = PartMeter(attempt.meter)
        self.crc64 = crc64.EMPTY

    @property
    def length_bytes(self) -> int:
        """The part's size."""
        return self._part.length_bytes

    def preview(self) -> Iterator[memoryview]:
        """One pass that counts as no progress. Raises TransferError, StoppedError, FencedError."""
        done = 0
        while done < self._part.length_bytes:
            self._attempt.check_stop()
            piece = self._buffer[: self._part.length_bytes - done]
            try:
                count = read_full(self._source.descriptor, piece, self._part.offset + done)
            except OSError as error:
                raise self._source.refusal(error) from error
            if count < len(piece):
                raise self._source.changed()
            yield piece
            done += count

    def __iter__(self) -> Iterator[memoryview]:
        # Parts of one file are read at the same time, which the kernel's own read-ahead takes for random access.
        read_ahead(self._source.descriptor, self._part.offset, min(self._part.length_bytes, _AHEAD_MAX_BYTES))
        crc = crc64.EMPTY
        done = 0
        for piece in self.preview():
            crc = crc64.update(piece, crc)
            done += len(piece)
            yield piece
            self._counted.reach(done)
        self.crc64 = crc

    def is_sent(self) -> None:
        """The part is at the store, now or from an earlier attempt."""
        self._counted.reach(self._part.length_bytes)
