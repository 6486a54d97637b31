"""A middling export's source as a body that is read while it is sent: one grain in memory whatever the file's size.

Implements the stores' `StreamedBody`. The file was read once before, and proven to have been those bytes at one moment; what is
sent is a second reading, of which the last grain is withheld until all of it has the same checksum. If not, the request ends in
the middle of its body, and no store keeps what is shorter than it was told: so nothing torn is ever published.
"""

from __future__ import annotations

from collections.abc import Iterator

from penstock.transfer import crc64, posix
from penstock.transfer.attempt import Attempt
from penstock.transfer.source_file import SourceFile


class WholeBody:
    """All bytes of a file, which have to have this checksum. `grain` is its own as long as it is used."""

    def __init__(self, attempt: Attempt, source: SourceFile, grain: memoryview, crc: int) -> None:
        self._attempt = attempt
        self._source = source
        self._grain = grain
        self._crc = crc

    @property
    def length_bytes(self) -> int:
        """The file's size."""
        return self._source.state.size_bytes

    def preview(self) -> Iterator[memoryview]:
        """One pass. Raises TransferError, StoppedError, FencedError."""
        return pieces(self._attempt, self._source, self._grain)

    def __iter__(self) -> Iterator[memoryview]:
        crc, left = crc64.EMPTY, self.length_bytes
        for piece in self.preview():
            crc = crc64.update(piece, crc)
            left -= len(piece)
            if left == 0 and crc != self._crc:
                raise self._source.changed()
            yield piece


def checksum(attempt: Attempt, source: SourceFile) -> int:
    """That of one reading of the file, without sending it. Raises as `pieces`."""
    with attempt.grains.lent() as grain:
        return crc64.of_pieces(pieces(attempt, source, grain))


def pieces(attempt: Attempt, source: SourceFile, grain: memoryview) -> Iterator[memoryview]:
    """The file's bytes, a grain at a time, each valid until the next one is asked for.

    Raises TransferError (SourceChanged when the file is shorter than it was), StoppedError, FencedError.
    """
    done, size = 0, source.state.size_bytes
    while done < size:
        attempt.check_cancel()
        piece = grain[: size - done]
        try:
            count = posix.read_full(source.descriptor, piece, done)
        except OSError as error:
            raise source.refusal(error) from error
        if count < len(piece):
            raise source.changed()
        yield piece
        done += count
