"""A multipart upload's beginning and its removal, so that none is ever left behind and no foreign one is touched.

Calls the store and the checkpoint hook. What the object of an upload had to be outlives that upload: it stays in the record until
the sub-task has ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice, takewhile

from penstock import failpoints
from penstock.errors import (
    FailureCode,
    NotSupportedError,
    StoreError,
    StoreUnavailableError,
    TransferError,
    UploadNotFoundError,
)
from penstock.stores.base import Upload
from penstock.transfer.attempt import Attempt
from penstock.transfer.plan import Plan
from penstock.transfer.posix import FileState
from penstock.transfer.transfer import Checkpoint

PROMISES_MAX = 16
"""Of so many earlier objects a checkpoint says what they had to be: of an older one nothing tells, so it is not believed."""
KNOWN_MAX = 1000
"""Unfinished uploads on one key that a checkpoint can hold."""
CLOCK_SLACK_NS = 15 * 60 * 1_000_000_000
"""The clocks of store and service may differ that much: signatures allow it."""

_BEGUN_WITHIN_NS = 15 * 60 * 1_000_000_000
"""All tries of Initiate together take less, from the intent on: what begins later is not ours, however long nobody looked."""
_ABORTS_MAX = 5
_SECOND_LOOK_WAITS = 5
"""Of the first wait before a second try, so it is a second. Who has begun an upload sends its first part soon."""
_TOLD_MAX = 4


def begin(attempt: Attempt, source: FileState, plan: Plan, metadata: Mapping[str, str]) -> Checkpoint:
    """Make the intent durable, initiate, make the id durable. Raises StoreError, FencedError, TransferError."""
    key = attempt.transfer.key
    known = attempt.persist(lambda: tuple(upload.upload_id for upload in _unfinished(attempt)))
    if len(known) > KNOWN_MAX:
        raise TransferError(
            FailureCode.STORE_REFUSED,
            f"more than {KNOWN_MAX} unfinished multipart uploads lie on {key!r}: abort them first",
            waiting_helps=True,
        )
    intent = Checkpoint(
        key=key,
        intent_ns=attempt.now_ns(),
        known_upload_ids=known,
        part_size_bytes=plan.part_size_bytes,
        source_size_bytes=source.size_bytes,
        source_modify_ns=source.modify_ns,
        source_change_ns=source.change_ns,
        source_inode=source.inode,
        earlier=attempt.promises[:PROMISES_MAX],  # one record holds both: there is no moment without
        checksum=attempt.store.abilities.checksum.value,
    )
    failpoints.passing("upload.intend")
    attempt.save(intent)
    failpoints.passing("upload.intended")
    record = replace(intent, upload_id=_initiate(attempt, intent, metadata))
    failpoints.passing("upload.name")
    attempt.save(record)
    failpoints.passing("upload.named")
    return record


def _initiate(attempt: Attempt, intent: Checkpoint, metadata: Mapping[str, str]) -> str:
    """Initiate; a try whose answer was lost may have begun an upload, which is removed before the next try."""
    tries = 0
    while True:
        attempt.check_stop()
        try:
            failpoints.passing("upload.initiate")
            upload_id = attempt.stoppable.initiate(intent.key, metadata=metadata)
            failpoints.passing("upload.initiated")
        except StoreError as error:
            tries += 1
            if not attempt.may_try_again(error, tries):
                raise
            attempt.pause(tries, error, attempt.check_stop)
            _abort_orphans(attempt, intent)
        else:
            return upload_id


def fits(record: Checkpoint, attempt: Attempt, source: FileState) -> bool:
    """Whether the record's parts were read from this very file, unchanged since, and are guarded as they would be now.

    A store that compares checksums refuses parts with another one than was told at Initiate, and Complete without.
    """
    return (
        bool(record.upload_id)
        and record.part_size_bytes > 0
        and record.key == attempt.transfer.key
        and record.checksum == attempt.store.abilities.checksum.value
        and (record.source_inode, record.source_size_bytes, record.source_modify_ns, record.source_change_ns)
        == (source.inode, source.size_bytes, source.modify_ns, source.change_ns)
    )


def abandon(attempt: Attempt) -> None:
    """As `clear`, for an upload that nothing has come of."""
    disown(attempt)
    clear(attempt)


def disown(attempt: Attempt) -> None:
    """Make durable that no object that is found at the key from now on came after ours: the upload is about to be aborted, or its
    object was damaged. Else whoever goes on after a death here, or an outage, would find the upload gone, and take that for its
    having been put together. Raises FencedError, StoppedError."""
    record = attempt.checkpoint
    if record is not None and record.over is not None:
        attempt.save(replace(record, over=None))


def clear(attempt: Attempt) -> None:
    """Remove whatever upload this sub-task began; when it returns nothing of it is left. Raises StoreError, FencedError.

    For where our object was found, or an upload has no object: the record goes on saying what lay at the key before, so that
    whoever replaces that object now is known to have come after it. Else `abandon` it.
    """
    record = attempt.checkpoint
    if record is None or record.intent_ns == 0:
        return
    if record.upload_id:
        _abort_until_gone(attempt, record.key, record.upload_id)
    else:
        _abort_orphans(attempt, record)
    forget(attempt)


def forget(attempt: Attempt) -> None:
    """The upload is no more. What its object had to be is kept for whoever comes next: that may be at the key all the same."""
    record = attempt.checkpoint
    if record is not None:
        promises = attempt.promises[:PROMISES_MAX]
        attempt.checkpoint = Checkpoint(key=record.key, intent_ns=0, earlier=promises) if promises else None


def _abort_until_gone(attempt: Attempt, key: str, upload_id: str) -> None:
    """Parts in flight may arrive after an abort (S3 says so), so it is repeated until the store knows no such upload."""
    store = attempt.stoppable

    def is_gone() -> bool:
        failpoints.passing("upload.abort")
        store.abort(key, upload_id)
        failpoints.passing("upload.aborted")
        try:
            next(iter(store.list_parts(key, upload_id)), None)
        except UploadNotFoundError:
            return True
        return False

    for count in range(_ABORTS_MAX):
        if attempt.persist(is_gone, check=attempt.check_fence):
            return
        attempt.pause(count + 1, StoreUnavailableError("the upload is still there"), attempt.check_fence)
    raise StoreUnavailableError(f"the upload {upload_id} of {key!r} is still there after {_ABORTS_MAX} aborts")


def _abort_orphans(attempt: Attempt, intent: Checkpoint) -> None:
    """Remove the upload of an intent whose id was never learned.

    Ours is on that exact key, was not there before the intent, began soon after it (as far as two clocks can tell), and has no
    parts: parts are only sent once the id is durable. An upload that shows anything else belongs to somebody else and is
    left alone. Somebody else's may have been begun just now: so it is looked twice, and of several none is touched.
    Raises TransferError (StoreRefused, waiting helps) then.
    """
    since_ns, until_ns = intent.intent_ns - CLOCK_SLACK_NS, intent.intent_ns + _BEGUN_WITHIN_NS + CLOCK_SLACK_NS
    found = [
        upload
        for upload in attempt.persist(lambda: _unfinished(attempt), check=attempt.check_fence)
        if upload.upload_id not in intent.known_upload_ids
        and since_ns <= upload.initiated_ns <= until_ns
        and not _has_parts(attempt, upload)
    ]
    if found:
        attempt.rest(attempt.limits.part_try_wait_s * _SECOND_LOOK_WAITS, attempt.check_fence)
        found = [upload for upload in found if not _has_parts(attempt, upload)]
    if len(found) > 1:
        named = ", ".join(upload.upload_id for upload in found[:_TOLD_MAX])
        raise TransferError(
            FailureCode.STORE_REFUSED,
            f"{len(found)} empty multipart uploads of {intent.key!r} were begun at the same time, one of them is ours, and"
            f" nothing tells which: abort those that nobody needs ({named})",
            waiting_helps=True,
        )
    for upload in found:
        _abort_until_gone(attempt, upload.key, upload.upload_id)


def _has_parts(attempt: Attempt, upload: Upload) -> bool:
    def look() -> bool:
        try:
            return next(iter(attempt.stoppable.list_parts(upload.key, upload.upload_id)), None) is not None
        except UploadNotFoundError:
            return True  # gone meanwhile: nothing to do either

    return attempt.persist(look, check=attempt.check_fence)


def _unfinished(attempt: Attempt) -> list[Upload]:
    """Unfinished uploads on exactly our key: listings are in key order, so it comes before the keys it begins.

    A store that cannot list them (OSS spoken to as S3) shows none: what a killed mover began there, nobody can find.
    """
    key = attempt.transfer.key
    try:
        same = takewhile(lambda upload: upload.key == key, attempt.stoppable.list_uploads(prefix=key))
        return list(islice(same, KNOWN_MAX + 1))
    except NotSupportedError:
        return []
