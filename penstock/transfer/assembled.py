"""Whether an object that the store put together from parts is the file: what it has to be is recorded before Complete.

Stores that tell CRC-64 are believed. Of others the size counts, and then the ETag that parts usually make; another one may have
been made in another way, so the object is read. Right after Complete that is done once for each store, and an ETag that cannot be
compared at all is passed over: every body was guarded on its way. Who finds an object later, after a death, believes no size.
An archived one cannot be read: its size has to do, and the record says so. Calls the store; changes nothing.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Sequence
from weakref import WeakSet

from penstock.stores.base import ObjectInfo, Part, Store
from penstock.transfer import verification
from penstock.transfer.attempt import Attempt
from penstock.transfer.transfer import Promise
from penstock.transfer.verification import Evidence

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


def has_come_out(attempt: Attempt, info: ObjectInfo, promise: Promise, answered: int | None) -> Evidence | None:
    """What tells that what was put together just now is as promised, as far as can be told; None: it is not.

    `answered` is the checksum in the answer to Complete. Raises StoreError, FencedError, StoppedError.
    """
    if info.size_bytes != promise.size_bytes:
        return None
    evidence = verification.answered(attempt, answered if info.crc64 is None else info.crc64)
    if attempt.store.options.reads_back:
        evidence = verification.of_written(attempt, info, evidence)
    elif evidence.crc64 is None and _asks_reading(attempt, info, promise):
        evidence = verification.of_written(attempt, info, evidence)
        if evidence.crc64 == promise.crc64:
            with _lock:
                _unusual.add(attempt.store)
    return evidence if evidence.crc64 in {None, promise.crc64} else None


def _asks_reading(attempt: Attempt, info: ObjectInfo, promise: Promise) -> bool:
    """Whether its ETag looks as if it were the usual one, and is another."""
    etag = info.etag.lower()
    if not promise.etag or promise.etag == etag or not _USUAL.fullmatch(etag):
        return False
    return attempt.store not in _unusual


def is_one_of(attempt: Attempt, info: ObjectInfo, promises: Sequence[Promise]) -> Evidence | None:
    """What tells that an object that was found is one of those; None: it is none of them.

    Read where its ETag does not prove it. Raises as `verification.told`.
    """
    fitting = [promise for promise in promises if promise.size_bytes == info.size_bytes]
    if not fitting:
        return None
    evidence = verification.told(attempt, info)
    if evidence.crc64 is None:
        if any(promise.etag and promise.etag == info.etag.lower() for promise in fitting):
            return evidence
        evidence = verification.read(attempt, info, evidence)
    return evidence if evidence.crc64 in {None, *(promise.crc64 for promise in fitting)} else None
