"""How an export is known to have arrived, beyond the checksum that the store tells: its words for the record, and reading back.

Calls the store; what was written is read once more where the bucket asks for it. Whoever calls compares.
"""

from __future__ import annotations

from collections.abc import Callable

from penstock.errors import FailureCode, StoreError, TransferError
from penstock.model import Verification
from penstock.stores.base import ObjectInfo, PutResult
from penstock.transfer import objects, readback
from penstock.transfer.attempt import Attempt
from penstock.transfer.refusals import ARCHIVED


def note(attempt: Attempt, told: int | None) -> None:
    """Say in the record how this export was compared; nothing to say where it was the checksum that the store told (`told`)."""
    abilities = attempt.store.abilities
    if told is not None:
        if attempt.store.options.reads_back:
            attempt.add_note(Verification.READ_BACK.value)
    elif abilities.checksum.value:
        attempt.add_note(Verification(abilities.checksum.value.lower()).value)
    else:
        is_md5 = abilities.content_md5 or abilities.part_etag_is_md5
        attempt.add_note((Verification.MD5 if is_md5 else Verification.NONE).value)


def told(attempt: Attempt, info: ObjectInfo) -> int | None:
    """The checksum of an object that was found: as it is read back where the bucket asks for that, else as the store tells it.

    None where it tells none. Raises as `readback.read`.
    """
    return readback.read(attempt, info) if attempt.store.options.reads_back else info.crc64


def found(attempt: Attempt, info: ObjectInfo) -> int:
    """The same; where nothing tells it the object is read. Raises as `readback.read`."""
    has = told(attempt, info)
    return readback.read(attempt, info) if has is None else has


def is_proven(compare: Callable[[], bool]) -> bool:
    """What `compare` says of an object that was found. An archived one that it would have to read is not proven to be the file:
    it is sent once more. Raises what it raises."""
    try:
        return compare()
    except StoreError as error:
        if error.code not in ARCHIVED:
            raise
        return False


def told_of_put(attempt: Attempt, result: PutResult, size_bytes: int) -> int | None:
    """The checksum of what a PUT of so many bytes has stored, as it is read back: its answer names it, so one request is all.

    None when it has given way to another, or is archived. A drain lets it end. Raises StoreError, StoppedError, FencedError.
    """
    key, check = attempt.transfer.key, attempt.check_cancel
    sent = ObjectInfo(
        key=key, size_bytes=size_bytes, etag=result.etag, last_modified_ns=0, version_id=result.version_id
    )
    has = of_written(attempt, sent, check=check) if size_bytes else None
    if has is None:  # no bytes have no range; and of other bytes than were sent there may be more or less
        info = objects.head_or_none(attempt, key)
        if info is not None and info.etag == sent.etag and (info.size_bytes != size_bytes or not size_bytes):
            has = of_written(attempt, info, check=check)
    return has


def of_written(attempt: Attempt, info: ObjectInfo, *, check: Callable[[], None] | None = None) -> int | None:
    """The checksum of what was written just now, as it is read back; None when it has given way to another, or is archived: then
    there is nothing to compare. `check` as in `readback.read`. Raises StoreError, StoppedError, FencedError."""
    try:
        return readback.read(attempt, info, check=check)
    except TransferError as error:
        if error.code is not FailureCode.SOURCE_CHANGED:
            raise
    except StoreError as error:
        if error.code not in ARCHIVED:
            raise
    return None
