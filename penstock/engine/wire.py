"""Messages as bytes: a frame is its length (4 bytes), its kind (1 byte), and the message in MessagePack.

`encode` makes frames, `FrameReader` takes a stream of bytes apart again, with every field's type checked. Bytes that are no
message raise `WireError`. Nothing here opens or reads a socket, and nothing that arrives can name code to run.
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from penstock.engine.messages import Control, Hello, Lease, Places, Ready, Report
from penstock.errors import PenstockError

Message = Hello | Places | Lease | Control | Ready | Report

FRAME_BYTES_MAX: Final = 64 << 20
_HEAD: Final = struct.Struct("<IB")
_TYPES: Final[tuple[type[Message], ...]] = (Hello, Places, Lease, Control, Ready, Report)
_KINDS: Final = {kind: number for number, kind in enumerate(_TYPES)}
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODERS: Final = tuple(msgspec.msgpack.Decoder(kind) for kind in _TYPES)


class WireError(PenstockError):
    """What arrived is no message of ours: the other side is broken or of another version."""


def encode(message: Message) -> bytes:
    """One frame. Raises WireError for a text that is no UTF-8, and for a message beyond FRAME_BYTES_MAX."""
    try:
        body = _ENCODER.encode(message)
    except (UnicodeEncodeError, OverflowError, TypeError) as error:
        raise WireError(f"a {type(message).__name__} cannot be sent: {error}") from error
    if len(body) > FRAME_BYTES_MAX:
        raise WireError(f"a {type(message).__name__} of {len(body)} bytes is too large to be sent")
    return _HEAD.pack(len(body), _KINDS[type(message)]) + body


class FrameReader:
    """Takes bytes as they arrive and gives the messages that are whole."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes | memoryview) -> list[Message]:
        """The messages that `data` completes, in order. Raises WireError; the stream is of no use after that."""
        self._pending += data
        messages: list[Message] = []
        start = 0
        while len(self._pending) - start >= _HEAD.size:
            length, kind = _HEAD.unpack_from(self._pending, start)
            if length > FRAME_BYTES_MAX or kind >= len(_DECODERS):
                raise WireError(f"a frame of kind {kind} and {length} bytes is none of ours")
            end = start + _HEAD.size + length
            if len(self._pending) < end:
                break
            messages.append(_decoded(kind, bytes(self._pending[start + _HEAD.size : end])))
            start = end
        del self._pending[:start]
        return messages


def _decoded(kind: int, body: bytes) -> Message:
    try:
        return _DECODERS[kind].decode(body)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise WireError(f"a {_TYPES[kind].__name__} does not read: {error}") from error
