"""The checksum of an object's bytes, for whoever compares: read range by range, kept nowhere. Calls the store only."""

from __future__ import annotations

from collections.abc import Callable

from penstock.errors import StoppedError, StoreError, StoreUnavailableError
from penstock.stores.base import ByteRange, ObjectInfo, Store
from penstock.transfer import crc64

RANGE_BYTES = 64 << 20
"""What is read again where an answer breaks off."""

BUFFER_BYTES = 1 << 20
TRIES = 3


def crc64_of(store: Store, info: ObjectInfo, is_stopped: Callable[[], bool]) -> int:
    """CRC-64/XZ of this very object. Raises StoreError (PreconditionFailedError: it is another one by now), StoppedError."""
    return _Reading(store, info, is_stopped).whole()


class _Reading:
    """One object's bytes on their way, and nowhere to go."""

    def __init__(self, store: Store, info: ObjectInfo, is_stopped: Callable[[], bool]) -> None:
        self._store = store
        self._info = info
        self._is_stopped = is_stopped
        self._buffer = memoryview(bytearray(min(BUFFER_BYTES, max(1, info.size_bytes))))

    def whole(self) -> int:
        """All of it, in order."""
        size, crc = self._info.size_bytes, crc64.EMPTY
        for offset in range(0, size, RANGE_BYTES):
            crc = self._with(ByteRange(offset=offset, length_bytes=min(RANGE_BYTES, size - offset)), crc)
        return crc

    def _with(self, wanted: ByteRange, before: int) -> int:
        """The checksum of what came before and of one range."""
        for _ in range(TRIES - 1):
            try:
                return self._once(wanted, before)
            except StoreError as error:
                if not error.waiting_helps:
                    raise
        return self._once(wanted, before)

    def _once(self, wanted: ByteRange, crc: int) -> int:
        info, done = self._info, 0
        if_match = "" if info.has_weak_etag else info.etag
        with self._store.get(info.key, version_id=info.version_id, byte_range=wanted, if_match=if_match) as stream:
            while done < wanted.length_bytes:
                if self._is_stopped():
                    raise StoppedError("the comparison ends")
                count = stream.readinto(self._buffer[: wanted.length_bytes - done])
                if not count:
                    raise StoreUnavailableError(f"{info.key!r} ended after {done} of {wanted.length_bytes} bytes")
                crc = crc64.update(self._buffer[:count], crc)
                done += count
        return crc
