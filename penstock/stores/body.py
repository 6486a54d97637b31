"""The body of an answer, by its framing: a length, chunks, or until the peer closes. Reads exactly to its end, no byte further.

Calls `line`. Raises BrokenAnswerError, EndedEarlyError, and what the network raises; each read has one time limit as a whole.
"""

from __future__ import annotations

import math
import re
import time
from typing import Protocol

from penstock.stores.head import BrokenAnswerError, Framing, Head, fields
from penstock.stores.line import Line

CHUNK_LINE_MAX_BYTES = 4 * 1024
TRAILERS_MAX_BYTES = 16 * 1024
_TOO_LONG = "a line between its chunks is too long"
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


class Ahead:
    """Sees whether a body lies whole in the buffer, unread. Chunks are counted, each once, however slowly they drip in."""

    __slots__ = ("_at", "_chunked", "_is_last", "_length_bytes", "_trailers_bytes")

    def __init__(self, head: Head) -> None:
        self._chunked = head.framing is Framing.CHUNKS
        # Where only the peer's closing ends it no length is ever reached.
        self._length_bytes = math.inf if head.framing is Framing.CLOSE else head.length_bytes
        self._at = 0  # from the body's first byte on
        self._is_last = False  # the chunk of size 0 was seen
        self._trailers_bytes = 0

    def lies_whole(self, line: Line) -> bool:
        """Whether reading it will not wait: its end lies there, or what its reading will not take. `line` is at its beginning."""
        if not self._chunked:
            return line.end - line.start >= self._length_bytes
        try:
            return self._pass_chunks(line) and self._pass_trailers(line)
        except BrokenAnswerError:
            return True

    def _pass_chunks(self, line: Line) -> bool:
        while not self._is_last:
            begin = line.start + self._at
            told = _line_at(line, begin, CHUNK_LINE_MAX_BYTES)
            if told is None:
                return False
            size_bytes = _size_of(told)
            passed = len(told) + 2
            self._is_last = size_bytes == 0
            if size_bytes:
                if _line_at(line, begin + passed + size_bytes, 0) is None:
                    return False
                passed += size_bytes + 2
            self._at += passed
        return True

    def _pass_trailers(self, line: Line) -> bool:
        while told := _line_at(line, line.start + self._at, TRAILERS_MAX_BYTES - self._trailers_bytes):
            _check_trailer(told)
            self._at += len(told) + 2
            self._trailers_bytes += len(told) + 2
        return told is not None


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
        count = line.read(view[: self._left], _left_s(deadline_s) if line.is_drained else 0.0)
        if count == 0:
            raise EndedEarlyError("it ends in the middle of a chunk")
        self._left -= count
        return count

    def _next_size(self, line: Line, deadline_s: float) -> int:
        if self._inside and _read_line(line, 0, deadline_s):
            raise BrokenAnswerError("a chunk is longer than it said")
        self._inside = True
        return _size_of(_read_line(line, CHUNK_LINE_MAX_BYTES, deadline_s))

    def _drop_trailers(self, line: Line, deadline_s: float) -> None:
        taken = 0
        while told := _read_line(line, TRAILERS_MAX_BYTES - taken, deadline_s):
            taken += len(told) + 2
            _check_trailer(told)


def _size_of(told: bytes) -> int:
    """The size of the chunk behind this line, in bytes."""
    match = _CHUNK.fullmatch(told)
    if match is None:
        raise BrokenAnswerError(f"the size of a chunk is none: {told[:40]!r}")
    return int(match[1], 16)


def _check_trailer(told: bytes) -> None:
    fields("\n" + told.decode("latin-1") + "\r\n", 1)


def _line_at(line: Line, begin: int, max_bytes: int) -> bytes | None:
    """The line that begins there, without its CRLF; None while its end is still to come."""
    end = line.buffer.find(b"\r\n", begin, line.end)
    if (end if end >= 0 else line.end - 1) - begin > max_bytes:
        raise BrokenAnswerError(_TOO_LONG)
    return bytes(line.buffer[begin:end]) if end >= 0 else None


def _read_line(line: Line, max_bytes: int, deadline_s: float) -> bytes:
    """The next line, without its CRLF."""
    while (told := _line_at(line, line.start, max_bytes)) is None:
        if not line.make_room():
            raise BrokenAnswerError(_TOO_LONG)
        if line.fill(_left_s(deadline_s)) == 0:
            raise EndedEarlyError("it ends between its chunks")
    line.start += len(told) + 2
    return told


def _left_s(deadline_s: float) -> float:
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s
