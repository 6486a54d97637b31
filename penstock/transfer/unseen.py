"""A small import that an earlier attempt may have published before it died: it has no journal, so the target has to tell.

Calls `place`, the store and posix. Changes nothing; a name that is found is made durable.
"""

from __future__ import annotations

import os

from penstock.errors import BucketNotFoundError, FailureCode, StoreUnavailableError, TransferError
from penstock.stores.base import ObjectInfo
from penstock.transfer import crc64, ownership, posix
from penstock.transfer.attempt import NOT_COMPARED, Attempt
from penstock.transfer.mtime import is_held, of_object
from penstock.transfer.objects import check_source_object, described, head_or_none
from penstock.transfer.place import Place
from penstock.transfer.policy import unwitnessed
from penstock.transfer.posix import FileState
from penstock.transfer.transfer import Outcome

FOUND = "it was found at its target, where an attempt that ended without a word has left it, or somebody else"
"""The note of an import that is COMPLETE for that. Nothing tells which; the numbers are those of the file."""

_SECOND = 2
_VANISHED = "an earlier attempt ended without a word: it may have published /{path}, and somebody taken that away since"
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def published_unseen(attempt: Attempt, place: Place) -> Outcome | None:
    """The outcome, if the target is this very object: its size, its time, its bytes.

    Somebody else's copy of it cannot be told from ours, and need not be: the note says that it was found. A target that was not
    touched for days when the sub-task was accepted is not ours, nor is what breaks the Condition: no attempt publishes that.
    Where the object is another one by now, or gone, or there are two of them, or nothing is at the target, nothing tells what
    came of an earlier attempt: `attempt.doubt` says so. Raises StoreError, TransferError, FencedError.
    """
    if not (attempt.transfer.begun or attempt.has_begun):
        return None
    target = _touched(attempt, place)
    if target is None:
        return None
    info: ObjectInfo | None = None
    has_rival = False
    try:
        info = head_or_none(attempt, attempt.transfer.key)
        has_rival = info is not None and _has_rival(attempt)
    except BucketNotFoundError:
        pass  # and with it the object
    except StoreUnavailableError as error:
        raise _unanswered(attempt) from error
    if info is None or info.size_bytes != target.size_bytes or not is_held(of_object(info).ns, target.modify_ns):
        _doubt(attempt, "of an object that is not there any more")
        return None
    try:
        check_source_object(attempt, info)
    except TransferError:
        return None
    if has_rival:
        _doubt(attempt, "before its source could be read in two ways")
        return None
    try:
        crc = _read(attempt, place, target)
        if crc is None or info.crc64 not in {None, crc}:
            _doubt(attempt, "of an object that is not there any more")
            return None
        place.sync()
    except OSError as error:
        raise place.refusal(error) from error
    if not ownership.of_object(info, attempt.choices).is_given_to(target):
        attempt.add_note(ownership.OWNER_NOT_KEPT)
    return _found(attempt, info, crc)


def _touched(attempt: Attempt, place: Place) -> FileState | None:
    """The target, if it may have got its name from one of our attempts.

    Its stamp is of the kernel's clock, or a file server's, which may be put back; the sub-task's is of one that never is.
    """
    try:
        target = place.target()
    except TransferError:
        return None  # a directory, say: nothing that we make
    if target is None:
        attempt.doubt = _VANISHED.format(path=attempt.transfer.path)
        return None
    if not target.is_regular or target.size_bytes > attempt.limits.small_file_max_bytes:
        return None
    if attempt.transfer.condition.size_bytes not in {None, target.size_bytes}:
        return None
    is_behind = attempt.now_ns() < attempt.transfer.accepted_ns  # it was put back, nobody knows how far
    return target if is_behind or target.change_ns >= attempt.earliest_ns else None


def _read(attempt: Attempt, place: Place, target: FileState) -> int | None:
    """The checksum of the file that was looked at; None if it is another one by now, or changes. Raises OSError."""
    try:
        descriptor = os.open(place.name, _FLAGS, dir_fd=place.directory)
    except FileNotFoundError:
        return None
    try:
        crc, done = crc64.EMPTY, 0
        with attempt.grains.lent() as grain:
            while count := posix.read_full(descriptor, grain, done):
                attempt.check_fence()
                crc = crc64.update(grain[:count], crc)
                done += count
        now = posix.look_open(descriptor)
    finally:
        os.close(descriptor)
    is_same = (now.inode, now.size_bytes, now.change_ns) == (target.inode, target.size_bytes, target.change_ns)
    return crc if is_same and done == target.size_bytes else None


def _has_rival(attempt: Attempt) -> bool:
    """Whether both readings of the source exist now; `key` was seen to."""
    rival = attempt.transfer.rival
    return bool(rival) and rival != attempt.transfer.key and head_or_none(attempt, rival) is not None


def _doubt(attempt: Attempt, words: str) -> None:
    lies_at = f"may have published what lies at /{attempt.transfer.path}"
    attempt.doubt = f"an earlier attempt ended without a word, and {lies_at}, {words}"


def _unanswered(attempt: Attempt) -> TransferError:
    words = (
        f"bucket {attempt.store.bucket} has not answered: whether /{attempt.transfer.path} is what an earlier attempt has"
        " published, or another file, will be known once it does"
    )
    return TransferError(FailureCode.STORE_UNAVAILABLE, words, waiting_helps=True)


def _found(attempt: Attempt, info: ObjectInfo, crc: int) -> Outcome:
    attempt.add_note(FOUND)
    if attempt.transfer.attempt == _SECOND:
        # The only attempt before this one has published it here, so it had begun it here.
        attempt.may_be_elsewhere = False
    if info.crc64 is None:
        attempt.add_note(NOT_COMPARED)
    return attempt.published(described(info, of_object(info), crc), unwitnessed(attempt.transfer.conflict_policy))
