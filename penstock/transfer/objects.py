"""The object that an import reads: what it is, whether it is the one that is meant, whether it is still the same.

Calls the store; touches no file but to see whether one of that name exists, for a better sentence.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from penstock.errors import (
    FailureCode,
    IntegrityError,
    ObjectNotFoundError,
    RangeNotSatisfiableError,
    SizeUntoldError,
    StoreError,
    StoreUnavailableError,
    TransferError,
)
from penstock.model import Direction, FileDetail
from penstock.stores.base import ByteRange, ObjectInfo, ObjectStream
from penstock.transfer import crc64, names, policy
from penstock.transfer.attempt import NOT_COMPARED, Attempt
from penstock.transfer.mtime import ModifyTime, of_object
from penstock.transfer.refusals import ARCHIVED

_GUESSES_MAX = 32
_FIRST_BYTE = ByteRange(offset=0, length_bytes=1)


def detail_of(info: ObjectInfo, crc: int | None) -> FileDetail:
    """An object as the source of an import."""
    return described(info, of_object(info), crc)


def described(info: ObjectInfo, time: ModifyTime, crc: int | None) -> FileDetail:
    """The same, where its modification time was read already."""
    return FileDetail(modify_time_ns=time.ns, size_bytes=info.size_bytes, checksum=crc64.as_text(crc))


def head_or_none(attempt: Attempt, key: str) -> ObjectInfo | None:
    """Describe an object; None if there is none. Raises StoreError."""
    try:
        return attempt.persist(lambda: look(attempt, key), check=attempt.check_cancel)
    except ObjectNotFoundError:
        return None


def look(attempt: Attempt, key: str, *, version_id: str = "") -> ObjectInfo:
    """HEAD; where something on the way has taken the length out of its answer, that of the first byte tells it.

    One try. Raises StoreError (SizeUntoldError, too: of an empty object there is no first byte).
    """
    try:
        return attempt.stoppable.head(key, version_id=version_id)
    except SizeUntoldError as error:
        untold = error
    try:
        with attempt.stoppable.get(key, version_id=version_id, byte_range=_FIRST_BYTE) as stream:
            stream.readinto(memoryview(bytearray(1)))  # so that its connection can be used again
            return stream.info
    except RangeNotSatisfiableError:
        raise untold from None
    except StoreError as error:
        if error.code not in ARCHIVED or attempt.transfer.direction is Direction.IMPORT:
            raise
        raise untold from None  # of an object that was exported: it is there, and no source that could be restored


def require(attempt: Attempt) -> ObjectInfo:
    """Describe the source. Raises StoreError, TransferError (SourceNotFound, SourceIsDirectory)."""
    try:
        return attempt.persist(lambda: look(attempt, attempt.transfer.key), check=attempt.check_cancel)
    except ObjectNotFoundError as error:
        missing = error
    raise explain_missing(attempt, missing) from missing


def check_source_object(attempt: Attempt, info: ObjectInfo) -> None:
    """Raises TransferError (ConditionNotMet)."""
    policy.check_condition(attempt.transfer.condition, modify_ns=of_object(info).ns, size_bytes=info.size_bytes)


def check_rival_object(attempt: Attempt) -> None:
    """Raises TransferError (AmbiguousSource) when both readings of the source exist."""
    transfer = attempt.transfer
    if not transfer.rival or transfer.rival == transfer.key:
        return
    if head_or_none(attempt, transfer.rival) is not None and head_or_none(attempt, transfer.key) is not None:
        raise ambiguous(transfer.key, transfer.rival)


def ambiguous(one: str, other: str) -> TransferError:
    """Both readings of a source path exist."""
    return TransferError(
        FailureCode.AMBIGUOUS_SOURCE,
        f"the source path can be read as /{one} and as /{other}, and both exist: name it relative to the task's directory,"
        " or set subtask_path_base",
    )


def compare(attempt: Attempt, info: ObjectInfo, crc: int) -> None:
    """Compare what was read with what the store tells of the whole object. Raises IntegrityError."""
    if info.crc64 is None:
        attempt.add_note(NOT_COMPARED)
    elif info.crc64 != crc:
        raise IntegrityError(
            f"{info.key!r} was read with crc64 {crc}, the store tells {info.crc64}",
            bucket=attempt.store.bucket,
            key=info.key,
        )


def require_identity(attempt: Attempt, info: ObjectInfo) -> None:
    """An object that is read range by range must be told from another one. Raises TransferError (StoreRefused, waiting helps).

    A single answer may have lost its ETag on the way; a store that never tells one is not out of order, so that it counts.
    """
    if not info.etag and not is_pinned(info):
        raise TransferError(
            FailureCode.STORE_REFUSED,
            f"bucket {attempt.store.bucket} tells neither ETag nor version of {info.key!r}:"
            " its ranges might be those of several objects",
            waiting_helps=True,
        )


@contextmanager
def opened(attempt: Attempt, info: ObjectInfo, wanted: ByteRange) -> Iterator[ObjectStream]:
    """A range of this very object. Raises StoreError; TransferError (SourceChanged) when its answer tells of another one.

    If-Match should have seen to that; not every store heeds it, none may for a weak ETag, and an answer can be another request's.
    """
    version_id = info.version_id if is_pinned(info) else ""
    if_match = "" if info.has_weak_etag else info.etag
    with attempt.stoppable.get(info.key, version_id=version_id, byte_range=wanted, if_match=if_match) as stream:
        untold = {""} if if_match or version_id else set[str]()  # else only its own ETag tells which object it is of
        if stream.info.size_bytes != info.size_bytes or stream.info.etag not in {info.etag, *untold}:
            raise changed(info.key)
        yield stream


def received(stream: ObjectStream, buffer: memoryview, done: int, wanted: int) -> int:
    """Read into `buffer` what has come of `wanted` bytes, of which `done` came before; returns how many, at least one.

    Raises StoreUnavailableError when the body stops short without an error.
    """
    count = stream.readinto(buffer)
    if count == 0:
        raise StoreUnavailableError(
            f"the body of {stream.info.key!r} ended after {done} of {wanted} bytes", key=stream.info.key
        )
    return count


def is_pinned(info: ObjectInfo) -> bool:
    """Whether a version id names these very bytes for good (`null` can be overwritten)."""
    return info.version_id not in {"", "null"}


def check_unchanged(attempt: Attempt, info: ObjectInfo) -> None:
    """Raises TransferError (SourceChanged, waiting helps) when the key has another object now than `info`."""
    if is_pinned(info):
        return
    now = head_or_none(attempt, info.key)
    same = now is not None and (now.etag, now.size_bytes, now.last_modified_ns) == (
        info.etag,
        info.size_bytes,
        info.last_modified_ns,
    )
    if not same:
        raise changed(info.key)


def changed(key: str) -> TransferError:
    """The object was overwritten or removed while it was read."""
    return TransferError(
        FailureCode.SOURCE_CHANGED,
        f"the object {key!r} was overwritten or removed while it was read",
        waiting_helps=True,
    )


def explain_missing(attempt: Attempt, missing: ObjectNotFoundError) -> TransferError:
    """Why there may be no such object: it is a directory, the other reading was meant, or the other direction."""
    key, rival = attempt.transfer.key, attempt.transfer.rival
    if _is_prefix(attempt, key):
        return TransferError(
            FailureCode.SOURCE_IS_DIRECTORY,
            f"/{key} is a directory of the bucket {attempt.store.bucket}, not an object",
        )
    words = f"there is no object {key!r} in bucket {attempt.store.bucket}"
    if rival and rival != key and head_or_none(attempt, rival) is not None:
        words += f"; there is {rival!r}: did you mean that?"
    if any(_is_file(attempt, guess) for guess in _guesses(attempt)):
        words += "; this task is StreamImport; did you mean StreamExport?"
    if missing.request_id:
        words += f" (request id {missing.request_id})"
    return TransferError(FailureCode.SOURCE_NOT_FOUND, words)


def _is_prefix(attempt: Attempt, key: str) -> bool:
    try:
        return bool(attempt.stoppable.list_objects(prefix=f"{key}/", limit=1).objects)
    except StoreError:
        return False  # without the right to list, the plain sentence has to do


def _guesses(attempt: Attempt) -> Iterator[bytes]:
    """Where a file would lie if an export had been meant: the key, or the end of it, below the root or the base."""
    base = attempt.transfer.base.strip("/")
    parts = attempt.transfer.key.split("/")
    yield names.to_bytes(attempt.transfer.key)
    for count in range(min(len(parts), _GUESSES_MAX)):
        below = "/".join(parts[count:])
        yield names.to_bytes(f"{base}/{below}" if base else below)


def _is_file(attempt: Attempt, path: bytes) -> bool:
    try:
        descriptor = attempt.root.open_beneath(path, os.O_PATH | os.O_CLOEXEC)
    except (OSError, ValueError):
        return False
    try:
        return stat.S_ISREG(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)
