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

from penstock.stores.base import ObjectInfo, Part, Store
from penstock.transfer import readback, verification
from penstock.transfer.attempt import Attempt
from penstock.transfer.transfer import Promise

_MD5 = re.compile(r"[0-9a-f]{32}")
_USUAL = re.compile(r"[0-9a-f]{32}-[0-9]+")

_lock = threading.Lock()
_unusual: WeakSet[Store] = WeakSet()  # whose ETags were other ones though the bytes were right


def etag_of(parts: Sequence[Part]) -> str:
    """The usual ETag of what is put together from them: the MD5 of their MD5s, and how many; empty where an ETag is no MD5."""
    etags = [part.etag.lower() for part in parts]
    if not all(_MD5.fullmatch(etag) for etag in etags):
        return ""
    digest = hashlib.md5(b"".join(map(bytes.fromhex, etags)), usedforsecurity=False)
    return f"{digest.hexdigest()}-{len(etags)}"


def has_come_out(attempt: Attempt, info: ObjectInfo, promise: Promise, has: int | None) -> bool:
    """Whether what was put together just now is as promised, as far as can be told.

    `has` is its checksum as the store tells it, or as it was read back. Raises StoreError, FencedError, StoppedError.
    """
    if info.size_bytes != promise.size_bytes:
        return False
    has = info.crc64 if has is None else has
    if has is None and _asks_reading(attempt, info, promise):
        has = verification.of_written(attempt, info)
        if has == promise.crc64:
            with _lock:
                _unusual.add(attempt.store)
    return has in {None, promise.crc64}


def _asks_reading(attempt: Attempt, info: ObjectInfo, promise: Promise) -> bool:
    """Whether its ETag looks as if it were the usual one, and is another. Where it was to be read back that could not be done."""
    store, etag = attempt.store, info.etag.lower()
    if not promise.etag or promise.etag == etag or not _USUAL.fullmatch(etag):
        return False
    return store not in _unusual and not store.options.reads_back


def is_one_of(attempt: Attempt, info: ObjectInfo, promises: Sequence[Promise]) -> bool:
    """Whether an object that was found is one of those; read where its ETag does not prove it. Raises as `readback.read`."""
    fitting = [promise for promise in promises if promise.size_bytes == info.size_bytes]
    if not fitting:
        return False
    has = verification.told(attempt, info)
    if has is None:
        if any(promise.etag and promise.etag == info.etag.lower() for promise in fitting):
            return True
        has = readback.read(attempt, info)
    return any(promise.crc64 == has for promise in fitting)
