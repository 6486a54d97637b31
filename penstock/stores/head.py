"""The head of an answer: status, headers, how its body is framed, and whether its connection may be used again.

Pure: text in, values out. Strict wherever two readers could understand the same bytes differently, since a connection read
out of step gives one request the answer of another: such an answer is a `BrokenAnswerError`, never a guess.
"""

from __future__ import annotations

import re
from enum import Enum

HEAD_MAX_BYTES = 64 * 1024
FIELDS_MAX = 128
LENGTH_DIGITS_MAX = 19

_STATUS = re.compile(r"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [\t -~\x80-\xff]*)?\r\n")
# One whole line after another: no folding, no bare CR or LF, no NUL, nothing between a name and its colon.
# (Possessive, since no shorter match could help: that saves a quarter of the time.)
_FIELD = re.compile(r"(?<=\n)([!#$%&'*+\-.^_`|~0-9A-Za-z]++):[ \t]*+([\t -~\x80-\xff]*+)\r\n")
_SINGLE = ("content-length", "transfer-encoding", "content-range")


class BrokenAnswerError(Exception):
    """The peer's bytes are no HTTP/1.1 answer, or one that can be read in two ways."""


class Framing(Enum):
    """Where a body ends: there is none, after Content-Length bytes, after the last chunk, when the peer closes."""

    NOTHING = 0
    LENGTH = 1
    CHUNKS = 2
    CLOSE = 3


class Head:
    """What stands before the body. Header names are in lower case; `length_bytes` counts with `Framing.LENGTH` only.

    `reusable`: the connection may be used again once the body was read to its end. (Made for every request: a plain class is
    made in a third of the time that a frozen dataclass takes.)
    """

    __slots__ = ("framing", "headers", "length_bytes", "reusable", "status")

    def __init__(
        self, status: int, headers: dict[str, str], framing: Framing, length_bytes: int, *, reusable: bool
    ) -> None:
        self.status = status
        self.headers = headers
        self.framing = framing
        self.length_bytes = length_bytes
        self.reusable = reusable


def parse(text: str, method: str) -> Head:
    """Parse a head, from its first byte to the CRLF of its last line; the empty line is not part of it.

    `method` is that of the request: an answer to HEAD has no body. Raises BrokenAnswerError.
    """
    first = _STATUS.match(text)
    if first is None:
        raise BrokenAnswerError(f"it begins with {text[:40]!r}")
    headers = fields(text, first.end())
    status = int(first[2])
    older = first[1] == "0"
    framing, length_bytes = _framed(status, headers, method, older=older)
    reusable = not older and framing is not Framing.CLOSE and not _closes(headers)
    if status in {204, 304} and "transfer-encoding" in headers and method != "HEAD":
        reusable = False  # such an answer has no body, yet some read one: who knows whether the peer will send one
    return Head(status, headers, framing, length_bytes, reusable=reusable)


def fields(text: str, begin: int) -> dict[str, str]:
    """The fields from `begin` (a line's first character, not the text's) to the end; a repeated one is joined by commas.

    Raises BrokenAnswerError.
    """
    found = _FIELD.findall(text, begin)
    # Every match is exactly one line, so a line that is no field shows in their number.
    if len(found) != text.count("\n", begin):
        raise BrokenAnswerError("a line of its head is no header")
    if len(found) > FIELDS_MAX:
        raise BrokenAnswerError(f"its head has more than {FIELDS_MAX} headers")
    headers = {name.lower(): value.rstrip(" \t") for name, value in found}
    return headers if len(headers) == len(found) else _joined(found)


def _joined(found: list[tuple[str, str]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in found:
        lowered, stripped = name.lower(), value.rstrip(" \t")
        if lowered in headers and lowered in _SINGLE:
            raise BrokenAnswerError(f"it told {lowered} more than once")
        headers[lowered] = f"{headers[lowered]}, {stripped}" if lowered in headers else stripped
    return headers


def _framed(status: int, headers: dict[str, str], method: str, *, older: bool) -> tuple[Framing, int]:
    if method == "HEAD" or status in {204, 304} or status < 200:
        return Framing.NOTHING, 0
    told = headers.get("content-length")
    coding = headers.get("transfer-encoding")
    if coding is not None:
        if told is not None or older or coding.lower() != "chunked":
            raise BrokenAnswerError(f"it told a Transfer-Encoding that cannot be followed: {coding[:40]!r}")
        return Framing.CHUNKS, 0
    if told is None:
        return Framing.CLOSE, 0
    if not (told.isascii() and told.isdigit() and len(told) <= LENGTH_DIGITS_MAX):
        raise BrokenAnswerError(f"it told a Content-Length that is no number: {told[:40]!r}")
    length_bytes = int(told)
    return (Framing.LENGTH if length_bytes else Framing.NOTHING), length_bytes


def _closes(headers: dict[str, str]) -> bool:
    told = headers.get("connection")
    # Nearly always there is no such header, or it is this word.
    if told is None or told == "keep-alive":
        return False
    return "close" in {word.strip().lower() for word in told.split(",")}
