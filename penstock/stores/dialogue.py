"""One request and the head of its answer on one connection: what is said, what is heard, and what went wrong with it.

Calls `line` for bytes and `head` for their meaning. Never closes the connection and never tries again: `wire` does.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable

from penstock.stores.head import BrokenAnswerError, Head, parse
from penstock.stores.line import Line
from penstock.stores.message import after
from penstock.stores.tempo import Tempo
from penstock.stores.timeouts import Timeouts

INTERIM_MAX = 16
"""So many 1xx heads may stand before an answer."""
_OFF_TOPIC = "it goes on about something that was not asked for"
_BEGINNING = b"HTTP/1."
_INTERIM = b"HTTP/1.1 1"
_GONE = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)


class StaleError(Exception):
    """The peer had closed the connection: from `transmit` before it took anything, from `read_head` before it answered."""


class StuckError(Exception):
    """The peer took nothing more of the request for too long, or took it too slowly."""


def transmit(line: Line, message: Iterable[list[memoryview]], timeouts: Timeouts) -> bool:
    """Send the message, without copying. False when the peer answered, or stopped listening, before the end.

    Raises StaleError, StuckError, OSError, BrokenAnswerError, and whatever making the message raises.
    """
    fresh = True
    wait_s, tempo = timeouts.send_s, None
    for batch in message:
        views = batch
        while views:
            began_s = 0.0 if fresh else time.monotonic()
            try:
                if not fresh and line.wait_to_send(wait_s) and _answers(line, wait_s):
                    return False
                sent = line.send(views, wait_s)
                if not fresh:
                    tempo = tempo or Tempo(timeouts)
                    if tempo.is_too_slow(sent, time.monotonic() - began_s):
                        raise TimeoutError
            except TimeoutError as error:
                if line.is_readable(0):
                    return False  # it stopped listening, but said why
                raise StuckError from error
            except _GONE as error:
                if fresh:
                    raise StaleError from error
                return False  # it may have said why before it closed: the answer is read next
            fresh = False
            views = after(views, sent)
    return True


def _answers(line: Line, wait_s: float) -> bool:
    """Whether what the peer says in the middle of a request is an answer, or its closing, and not just an interim head."""
    if not (line.make_room() and line.fill(wait_s)):
        return True
    while (text := _buffered(line, line.start)) is not None:
        if not text.startswith("HTTP/1.1 1"):
            return True
        parse(text, "")
        line.start += len(text) + 2
    said = bytes(line.buffer[line.start : line.end][: len(_INTERIM)])
    return not _INTERIM.startswith(said)


def read_head(line: Line, method: str, wait_s: float) -> Head:
    """Wait for the head of the final answer, at most `wait_s` in all; what lies in the buffer behind it is body.

    Raises StaleError, TimeoutError, OSError, BrokenAnswerError.
    """
    deadline_s = 0.0
    left_s = wait_s
    interim = 0
    heard = not line.is_drained
    while True:
        head = _next_head(line, method) if heard else None
        if head is not None:
            if head.status >= 200:
                return head
            interim += 1
            if interim > INTERIM_MAX:
                raise BrokenAnswerError(_OFF_TOPIC)
            continue
        if deadline_s:  # not at the first time round: mostly there is no second
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
        else:
            deadline_s = time.monotonic() + wait_s
        if not line.make_room():
            raise BrokenAnswerError("its head has no end")
        try:
            count = line.fill(left_s)
        except _GONE as error:
            if heard or interim:
                raise
            raise StaleError from error
        if count == 0:
            if heard or interim:
                raise BrokenAnswerError("it ends in the middle of its head")
            raise StaleError
        heard = True


def take_head(line: Line, method: str) -> Head | None:
    """The head of the final answer, if it lies in the buffer. Raises BrokenAnswerError, as `read_head` will again."""
    while (head := _next_head(line, method)) is not None:
        if head.status >= 200:
            return head
    return None


def _next_head(line: Line, method: str) -> Head | None:
    """The head, be it an interim one, that lies whole in the buffer. Raises BrokenAnswerError, and takes nothing then."""
    text = _buffered(line, line.start)
    if text is None:
        return None
    head = parse(text, method)
    if head.status == 101:
        raise BrokenAnswerError(_OFF_TOPIC)
    line.start += len(text) + 2
    return head


def _buffered(line: Line, begin: int) -> str | None:
    """The head that lies in the buffer, without the empty line; None when it is not whole. Raises BrokenAnswerError."""
    end = line.buffer.find(b"\r\n\r\n", begin, line.end)
    if end >= 0:
        return line.buffer[begin : end + 2].decode("latin-1")
    # Whoever speaks another language does so at once, and may wait for us then: not to be waited for.
    if not _BEGINNING.startswith(line.buffer[begin : min(begin + len(_BEGINNING), line.end)]):
        raise BrokenAnswerError(f"it begins with {bytes(line.buffer[begin : min(begin + 40, line.end)])!r}")
    if line.buffer.find(b"\n\n", begin, line.end) >= 0:
        raise BrokenAnswerError("its head has lines that do not end in CR LF")
    return None
