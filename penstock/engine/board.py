"""The board: shared memory in which a mover's threads note what they have under way, so that it is known after a SIGKILL.

One 8-byte place a thread: 0 for nothing, n for the n-th transfer that this mover was given. Writing costs a fraction of a
microsecond and survives the writer. The mover writes, the control process reads when the mover is gone.
"""

from __future__ import annotations

import mmap
import os
import struct
from typing import Final

_PLACE: Final = struct.Struct("=Q")


class Board:
    """A board over an open memory file. Each place belongs to one thread, so nothing needs a lock."""

    def __init__(self, descriptor: int, places: int) -> None:
        self._map = mmap.mmap(descriptor, places * _PLACE.size)
        self._places = places

    @classmethod
    def make(cls, places: int) -> tuple[Board, int]:
        """A new board, and the descriptor to hand to the mover (closed on exec unless passed on)."""
        descriptor = os.memfd_create("penstock-board", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, places * _PLACE.size)
        return cls(descriptor, places), descriptor

    def begin(self, place: int, number: int) -> None:
        """The thread at `place` begins the `number`-th transfer (1-based)."""
        _PLACE.pack_into(self._map, place * _PLACE.size, number)

    def end(self, place: int) -> None:
        """The thread at `place` has nothing under way."""
        _PLACE.pack_into(self._map, place * _PLACE.size, 0)

    def begun(self) -> frozenset[int]:
        """The numbers of all transfers that are noted as under way."""
        numbers = (_PLACE.unpack_from(self._map, place * _PLACE.size)[0] for place in range(self._places))
        return frozenset(number for number in numbers if number)

    def close(self) -> None:
        """Let go of the memory."""
        self._map.close()
