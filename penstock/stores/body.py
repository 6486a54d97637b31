"""The body of an answer, by its framing: a length, chunks, or until the peer closes. Reads exactly to its end, no byte further.

Calls `line`. Raises BrokenAnswerError, EndedEarlyError, and what the network raises; each read has one time limit as a whole.
"""

from __future__ import annotations

import re
import time
from typing import Protocol

from penstock.stores.head import BrokenAnswerError, Framing, Head, fields
from penstock.stores.line import Line

CHUNK_LINE_MAX_BYTES = 4 * 1024
TRAILERS_MAX_BYTES = 16 * 1024
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,15})(?:[ \t]*;[\t -~\x80-\xff]*)?")


class EndedEarlyError(Exception):
    """The peer closed before the body's end."""


class Body(Protocol):
    """What is left of a body. `ended` once nothing is."""

    ended: bool

    def readinto(self, line: Line, view: memoryview, wait_s: float) -> int:
        """Read some of it, within `wait_s`; 0 only at the end. `view` must not be empty."""
        ...


def body_of(head: Head) -> Body:
    """The body that belongs to this head."""
    if head.framing is Framing.CHUNKS:
        return ChunkedBody()
    if head.framing is Framing.CLOSE:
        return OpenBody()
    return SizedBody(head.length_bytes if head.framing is Framing.LENGTH else 0)


def lies_whole(head: Head, line: Line) -> bool:
    """Whether the whole body lies in the buffer. Chunks are not counted: their end, trailers or not, is an empty line."""
    if head.framing is Framing.CHUNKS:
        return line.buffer.endswith(b"\r\n\r\n", line.start, line.end)
    if head.framing is Framing.CLOSE:
        return False  # its end is the peer's closing
    return line.end - line.start >= head.length_bytes


class SizedBody:
    """Content-Length bytes."""

    __slots__ = ("_left", "_told", "ended")

    def __init__(self, length_bytes: int) -> None:
        self._told = self._left = length_bytes
        self.ended = length_bytes == 0

    def readinto(self, line: Line, view: memoryview, wait_s: float) -> int:
        if self.ended:
            return 0
        count = line.read(view[: self._left], wait_s)
        if count == 0:
            raise EndedEarlyError(f"{self._told - self._left} of {self._told} bytes came")
        self._left -= count
        self.ended = self._left == 0
        return count


class OpenBody:
    """All until the peer closes; nothing tells whether that was the end it meant."""

    __slots__ = ("ended",)

    def __init__(self) -> None:
        self.ended = False

    def readinto(self, line: Line, view: memoryview, wait_s: float) -> int:
        if self.ended:
            return 0
        count = line.read(view, wait_s)
        self.ended = count == 0
        return count


class ChunkedBody:
    """Chunks up to the one of size 0, and the trailers behind it, which are checked and dropped."""

    __slots__ = ("_inside", "_left", "ended")

    def __init__(self) -> None:
        self._left = 0
        self._inside = False  # the CRLF behind a chunk's bytes is still to come
        self.ended = False

    def readinto(self, line: Line, view: memoryview, wait_s: float) -> int:
        if self.ended:
            return 0
        deadline_s = time.monotonic() + wait_s
        if self._left == 0:
            self._left = self._next_size(line, deadline_s)
            if self._left == 0:
                self._drop_trailers(line, deadline_s)
                self.ended = True
                return 0
        count = line.read(view[: self._left], _left_s(deadline_s))
        if count == 0:
            raise EndedEarlyError("it ends in the middle of a chunk")
        self._left -= count
        return count

    def _next_size(self, line: Line, deadline_s: float) -> int:
        if self._inside and _read_line(line, 0, deadline_s):
            raise BrokenAnswerError("a chunk is longer than it said")
        self._inside = True
        told = _read_line(line, CHUNK_LINE_MAX_BYTES, deadline_s)
        match = _CHUNK.fullmatch(told)
        if match is None:
            raise BrokenAnswerError(f"the size of a chunk is none: {told[:40]!r}")
        return int(match[1], 16)

    def _drop_trailers(self, line: Line, deadline_s: float) -> None:
        taken = 0
        while told := _read_line(line, TRAILERS_MAX_BYTES - taken, deadline_s):
            taken += len(told) + 2
            fields("\n" + told.decode("latin-1") + "\r\n", 1)


def _read_line(line: Line, max_bytes: int, deadline_s: float) -> bytes:
    """The next line, without its CRLF."""
    while True:
        end = line.buffer.find(b"\r\n", line.start, line.end)
        if end >= 0 and end - line.start <= max_bytes:
            told = bytes(line.buffer[line.start : end])
            line.start = end + 2
            return told
        if end >= 0 or line.end - line.start > max_bytes + 1 or not line.make_room():
            raise BrokenAnswerError("a line between its chunks is too long")
        if line.fill(_left_s(deadline_s)) == 0:
            raise EndedEarlyError("it ends between its chunks")


def _left_s(deadline_s: float) -> float:
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s
