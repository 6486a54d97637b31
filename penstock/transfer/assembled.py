"""Whether an object that the store put together from parts is the file: what it has to be is recorded before Complete.

Stores that tell CRC-64 are believed. Of others the size counts, and then the ETag that parts usually make; another one may have
been made in another way, so the object is read. Right after Complete that is done once for each store, and an ETag that cannot be
compared at all is passed over: every body was guarded on its way. Who finds an object later, after a death, believes no size.
Calls the store; changes nothing.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Sequence
from weakref import WeakSet

from penstock.errors import ObjectNotFoundError, PreconditionFailedError
from penstock.stores.base import ByteRange, ObjectInfo, Part, Store
from penstock.transfer import crc64, objects
from penstock.transfer.attempt import Attempt
from penstock.transfer.transfer import Promise

_MD5 = re.compile(r"[0-9a-f]{32}")
_USUAL = re.compile(r"[0-9a-f]{32}-[0-9]+")
_READ_BYTES = 64 << 20  # at a time, so that an answer that breaks off costs little

_lock = threading.Lock()
_unusual: WeakSet[Store] = WeakSet()  # whose ETags were other ones though the bytes were right


def etag_of(parts: Sequence[Part]) -> str:
    """The usual ETag of what is put together from them: the MD5 of their MD5s, and how many; empty where an ETag is no MD5."""
    etags = [part.etag.lower() for part in parts]
    if not all(_MD5.fullmatch(etag) for etag in etags):
        return ""
    digest = hashlib.md5(b"".join(map(bytes.fromhex, etags)), usedforsecurity=False)
    return f"{digest.hexdigest()}-{len(etags)}"


def has_come_out(attempt: Attempt, info: ObjectInfo, promise: Promise) -> bool:
    """Whether what was put together just now is as promised, as far as the store tells. Raises StoreError, FencedError,
    StoppedError, and TransferError when it is replaced while it is read."""
    if info.size_bytes != promise.size_bytes:
        return False
    if info.crc64 is not None:
        return info.crc64 == promise.crc64
    etag = info.etag.lower()
    if not promise.etag or promise.etag == etag or not _USUAL.fullmatch(etag) or attempt.store in _unusual:
        return True
    if read(attempt, info) != promise.crc64:
        return False
    with _lock:
        _unusual.add(attempt.store)
    return True


def is_one_of(attempt: Attempt, info: ObjectInfo, promises: Sequence[Promise]) -> bool:
    """Whether an object that was found is one of those; read where its ETag does not prove it. Raises as `has_come_out`."""
    fitting = [promise for promise in promises if promise.size_bytes == info.size_bytes]
    if not fitting:
        return False
    if not attempt.store.options.reads_back:
        if info.crc64 is None and any(promise.etag and promise.etag == info.etag.lower() for promise in fitting):
            return True
        if info.crc64 is not None:
            return any(promise.crc64 == info.crc64 for promise in fitting)
    has = read(attempt, info)
    return any(promise.crc64 == has for promise in fitting)


def read(attempt: Attempt, info: ObjectInfo) -> int:
    """The checksum of the object's bytes, all of which are fetched for that. Raises as `has_come_out`."""
    crc, offset = crc64.EMPTY, 0
    while offset < info.size_bytes:
        length = min(_READ_BYTES, info.size_bytes - offset)
        crc = _read_on(attempt, info, ByteRange(offset=offset, length_bytes=length), crc)
        offset += length
    return crc


def _read_on(attempt: Attempt, info: ObjectInfo, piece: ByteRange, before: int) -> int:
    version_id = info.version_id if objects.is_pinned(info) else ""

    def fetch() -> int:
        crc, done = before, 0
        with (
            attempt.grains.lent() as grain,
            attempt.stoppable.get(info.key, version_id=version_id, byte_range=piece, if_match=info.etag) as stream,
        ):
            objects.check_same(info, stream.info)
            while done < piece.length_bytes:
                attempt.check_stop()
                count = stream.readinto(grain[: piece.length_bytes - done])
                if count == 0:
                    raise objects.ended_early(info, done, piece.length_bytes)
                crc = crc64.update(grain[:count], crc)
                done += count
        return crc

    try:
        return attempt.persist(fetch)
    except (PreconditionFailedError, ObjectNotFoundError) as error:
        raise objects.changed(info.key) from error
