"""Answers as values, and how they are written: JSON or XML, with the vendor's field names around our own words.

Pure functions; sending them is `connection`'s business.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum, StrEnum
from html import escape
from http import HTTPStatus

import msgspec

from penstock.api.errors import ApiError
from penstock.api.protocol import Format

Json = str | int | bool | Mapping[str, "Json"] | Sequence["Json"]
Body = Mapping[str, Json]

JSON_TYPE = "application/json;charset=utf-8"
XML_TYPE = "text/xml;charset=utf-8"  # SDKs compare this text as it stands

_JSON = msgspec.json.Encoder()
_ODD_JSON = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"))
"""For halves of surrogate pairs, which a caller may have sent and which have no UTF-8: they are answered as question marks."""

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Caller(StrEnum):
    """Whether a caller has proved whose key it has; who sends again what it overheard has not."""

    SIGNED = "signed"
    UNSIGNED = "unsigned"


class Then(Enum):
    """What comes after an answer on its connection: the next one, or its end, with no body where a HEAD asked."""

    NEXT = "next"
    CLOSE = "close"
    CLOSE_AFTER_HEAD = "close after head"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. `body` holds RequestId; `code` is empty on success; `headers` come beside the usual ones."""

    status: int
    action: str
    request_id: str
    body: Body
    code: str = ""
    caller: Caller = Caller.UNSIGNED
    headers: tuple[tuple[str, str], ...] = ()


_VARIANTS = "89AB"


class RequestIds:
    """Upper-case UUIDs (version 4) out of `entropy`, which is asked for many at a time: each asking is a system call."""

    _AT_ONCE = 256

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self._left = b""

    def take(self) -> str:
        """One that was not given before."""
        if not self._left:
            self._left = self._entropy(16 * self._AT_ONCE)
        chance, self._left = self._left[:16], self._left[16:]
        return request_id_of(chance)


def request_id_of(chance: bytes) -> str:
    """An upper-case UUID (version 4) of 16 random bytes."""
    digits = chance.hex().upper()
    variant = _VARIANTS[chance[8] >> 4 & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def success(
    action: str, request_id: str, fields: Mapping[str, Json], headers: tuple[tuple[str, str], ...] = ()
) -> Answer:
    """What an operation found or did, as an answer."""
    return Answer(
        status=200,
        action=action,
        request_id=request_id,
        body={"RequestId": request_id, **fields},
        caller=Caller.SIGNED,
        headers=headers,
    )


def refusal(error: ApiError, *, action: str, request_id: str, host: str, caller: Caller = Caller.UNSIGNED) -> Answer:
    """A refusal as an answer."""
    headers = (("x-acs-retry-after", str(error.retry_after_s)),) if error.retry_after_s > 0 else ()
    return Answer(
        status=error.http_status,
        action=action,
        request_id=request_id,
        body={"RequestId": request_id, "HostId": host[:255], "Code": error.code, "Message": error.message},
        code=error.code,
        caller=caller,
        headers=headers,
    )


def content_type(shape: Format) -> str:
    """The Content-Type that goes with `render`."""
    return XML_TYPE if shape is Format.XML else JSON_TYPE


def download_head(name: str, size_bytes: int, usual: Iterable[tuple[bytes, bytes]]) -> bytes:
    """What stands before a report that is sent; its connection ends with it."""
    head = (
        f"{_STATUS_LINES[200]}content-type: text/csv;charset=utf-8\r\ncontent-length: {size_bytes}\r\n"
        f'content-disposition: attachment; filename="{name}"\r\ncache-control: no-store\r\n'
        "x-content-type-options: nosniff\r\nconnection: close\r\n"
    )
    return b"".join((head.encode("ascii"), *[b"%b: %b\r\n" % header for header in usual], b"\r\n"))


def message(answer: Answer, shape: Format, usual: Iterable[tuple[bytes, bytes]], then: Then) -> bytes:
    """All of the answer as HTTP/1.1. `usual` are the server's own headers."""
    body = render(answer, shape)
    head = (
        f"{_STATUS_LINES[answer.status]}content-type: {content_type(shape)}\r\ncontent-length: {len(body)}\r\n"
        f"x-acs-request-id: {answer.request_id}\r\ncache-control: no-store\r\n"
    )
    for name, value in answer.headers:
        head += f"{name}: {value}\r\n"
    if then is not Then.NEXT:
        head += "connection: close\r\n"
    server = b"".join([b"%b: %b\r\n" % header for header in usual])
    return b"".join((head.encode("ascii"), server, b"\r\n", b"" if then is Then.CLOSE_AFTER_HEAD else body))


def render(answer: Answer, shape: Format) -> bytes:
    """The body's bytes. XML has the root `<Action>Response`, or `Error`; lists repeat their element."""
    if shape is Format.JSON:
        try:
            return _JSON.encode(answer.body)
        except UnicodeEncodeError:
            return _ODD_JSON.encode(answer.body).encode("utf-8", "replace")
    root = "Error" if answer.code else f"{answer.action}Response"
    pieces = ["<?xml version='1.0' encoding='UTF-8'?>"]
    _write(pieces, root, answer.body)
    return "".join(pieces).encode("utf-8", "replace")


def _write(pieces: list[str], name: str, value: Json) -> None:
    if isinstance(value, str):
        pieces.append(f"<{name}>{escape(_NOT_XML.sub('�', value), quote=False)}</{name}>")
    elif isinstance(value, bool):
        pieces.append(f"<{name}>{'true' if value else 'false'}</{name}>")
    elif isinstance(value, int):
        pieces.append(f"<{name}>{value}</{name}>")
    elif isinstance(value, Mapping):
        pieces.append(f"<{name}>")
        for inner_name, inner in value.items():
            _write(pieces, inner_name, inner)
        pieces.append(f"</{name}>")
    else:
        for element in value:
            _write(pieces, name, element)
