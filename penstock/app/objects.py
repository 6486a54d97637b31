"""Sends a stream to an object and fetches an object into a file, for the hand commands.

One connection, one part after the other, one checksum over all. The transfer room moves sub-tasks; this only serves a person.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from fastcrc import crc64

from penstock.errors import IntegrityError, NotSupportedError, StoreError
from penstock.stores.base import Overwrite, Part, PutResult, Store

PART_BYTES = 16 << 20
LATE_PART_BYTES = 64 << 20  # of the parts beyond SMALL_PARTS, so that 10,000 of them hold more
SMALL_PARTS = 1000
BUFFER_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What went over: CRC-64/XZ and bytes."""

    size_bytes: int
    crc64: int


def send_object(store: Store, key: str, source: BinaryIO, *, on_progress: Callable[[int], None]) -> Copied:
    """Puts all that `source` holds. Raises StoreError; an upload in parts is then aborted."""
    first = source.read(PART_BYTES)
    if len(first) < PART_BYTES:
        copied = Copied(size_bytes=len(first), crc64=crc64.xz(first))
        store.put(key, [first], crc64=copied.crc64, metadata={}, precondition=Overwrite())
        on_progress(copied.size_bytes)
        return copied
    upload_id = store.initiate(key, metadata={})
    try:
        result, copied = _send_parts(store, key, upload_id, (first, source), on_progress)
    except BaseException:
        with contextlib.suppress(StoreError):
            store.abort(key, upload_id)
        raise
    if result.crc64 is not None and result.crc64 != copied.crc64:
        raise IntegrityError(
            f"{key} was stored with another checksum than was sent; put it again", bucket=store.bucket, key=key
        )
    return copied


def _send_parts(
    store: Store, key: str, upload_id: str, begun: tuple[bytes, BinaryIO], on_progress: Callable[[int], None]
) -> tuple[PutResult, Copied]:
    body, source = begun
    parts: list[Part] = []
    total_bytes = checksum = 0
    while body:
        number = len(parts) + 1
        if number > store.limits.part_count_max:
            raise NotSupportedError(f"{key} is too large to be put by hand", bucket=store.bucket, key=key)
        parts.append(store.put_part(key, upload_id, number, [body], crc64=crc64.xz(body)))
        checksum = crc64.xz(body, checksum)
        total_bytes += len(body)
        on_progress(total_bytes)
        body = source.read(PART_BYTES if number < SMALL_PARTS else LATE_PART_BYTES)
    result = store.complete(key, upload_id, parts, precondition=Overwrite())
    return result, Copied(size_bytes=total_bytes, crc64=checksum)


def fetch_object(store: Store, key: str, target: int, *, on_progress: Callable[[int, int | None], None]) -> Copied:
    """Writes the object to the descriptor `target`. Raises StoreError, OSError, IntegrityError when a checksum differs."""
    buffer = memoryview(bytearray(BUFFER_BYTES))
    done = checksum = 0
    with store.get(key) as stream:
        while count := stream.readinto(buffer):
            piece = buffer[:count]
            checksum = crc64.xz(bytes(piece), checksum)
            while piece:
                piece = piece[os.write(target, piece) :]
            done += count
            on_progress(done, stream.length_bytes)
        info = stream.info
    if info.crc64 is not None and info.crc64 != checksum:
        raise IntegrityError(
            f"{key} arrived with another checksum than it is stored with", bucket=store.bucket, key=key
        )
    return Copied(size_bytes=done, crc64=checksum)
