"""A body that is read while it is sent, and whose reading is no time of the store: the pacer hears when it is read.

Implements `StreamedBody` over another one. Calls the pacer; knows nothing of what the bytes are.
"""

from __future__ import annotations

from collections.abc import Iterator

from penstock.stores.base import StreamedBody
from penstock.stores.pacer import Pacer


class AttendedBody:
    """The same bytes. A file system that hangs while a piece is read keeps no place in the pace of the bucket."""

    def __init__(self, body: StreamedBody, pacer: Pacer) -> None:
        self._body = body
        self._pacer = pacer

    @property
    def length_bytes(self) -> int:
        """As the other one says."""
        return self._body.length_bytes

    def preview(self) -> Iterator[memoryview]:
        """As the other one does: before anything is sent."""
        return self._body.preview()

    def __iter__(self) -> Iterator[memoryview]:
        pacer = self._pacer
        pieces = iter(self._body)
        while True:
            pacer.turned_away()
            try:
                piece = next(pieces)
            except StopIteration:
                return
            finally:
                pacer.turned_back()
            yield piece
