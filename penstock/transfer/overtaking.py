"""A large export that was to be completed, and whose upload is gone: what lies at its key tells what most likely became of it.

It was put together, or somebody has aborted it. Where our object is not there, and no version tells, somebody may have replaced
it, or removed it. Calls the store; removes nothing but damaged versions of our own.
"""

from __future__ import annotations

from penstock.errors import StoreError, UploadNotFoundError
from penstock.model import FileDetail, Guarantee
from penstock.stores.base import ObjectInfo, Versioning
from penstock.transfer import crc64, soundness, versioned
from penstock.transfer.attempt import NOT_COMPARED, Attempt
from penstock.transfer.objects import head_or_none
from penstock.transfer.transfer import Checkpoint, Outcome, Over

OVERTAKEN = "another object has taken its key since it was to be put together"
"""The note of an export of which only that is known."""

_VANISHED = "its upload is gone: an earlier attempt may have published it, and somebody taken it away since"


def look(attempt: Attempt) -> Over | None:
    """What lies at the key now; None where versions will tell what became of our object, or where nobody may look.

    One request for each large file, right before Complete: an older look would take what came while the parts were sent for
    something that came after the object. Raises StoreError, StoppedError, FencedError.
    """
    if attempt.store.abilities.versioning is Versioning.ENABLED:
        return None
    try:
        return _seen(head_or_none(attempt, attempt.transfer.key))
    except StoreError as error:
        if error.waiting_helps:
            raise
        return None


def finished(attempt: Attempt) -> Outcome | None:
    """COMPLETE, as `after`, if its upload is gone."""
    record = attempt.checkpoint
    return after(attempt, record) if record is not None and is_gone(attempt, record) else None


def is_gone(attempt: Attempt, record: Checkpoint) -> bool:
    """Whether the upload of an object that was promised is gone, and not by us: before that its record is changed
    (`uploads.disown`). False where nothing is noted by which to tell what came of it.

    Raises StoreError, StoppedError, FencedError.
    """
    if record.over is None:
        return False
    try:
        attempt.persist(lambda: next(iter(attempt.stoppable.list_parts(record.key, record.upload_id)), None))
    except UploadNotFoundError:
        return True
    return False


def after(attempt: Attempt, record: Checkpoint) -> Outcome | None:
    """COMPLETE, if another object lies at the key than when ours was promised; the upload is gone, so ours was put together most
    likely, and that one came later. It stays: to begin anew would destroy what is newer, to fail would deny what was done.

    None where what was there is there still: then somebody has aborted the upload. Where nothing is there, somebody may have the
    object already: he may get it twice, and note and doubt say so. None, too, where our object tells by itself, or nothing was
    promised. Raises StoreError, TransferError, StoppedError, FencedError.
    """
    if record.over is None or record.crc64 is None:
        return None
    info = head_or_none(attempt, record.key)
    if info is not None and (versioned.is_mine(attempt, info) or _seen(info) == record.over):
        return None
    if versioned.earlier(attempt) is not None:
        return None
    if info is None:
        attempt.doubt = _VANISHED
        attempt.add_note(_VANISHED)
        return None
    soundness.settle(attempt)
    attempt.add_note(OVERTAKEN)
    attempt.add_note(NOT_COMPARED)
    detail = FileDetail(
        modify_time_ns=record.source_modify_ns,
        size_bytes=record.source_size_bytes,
        checksum=crc64.as_text(record.crc64),
    )
    return attempt.published(detail, Guarantee.BEST_EFFORT)  # whatever the policy: all this is only likely


def _seen(info: ObjectInfo | None) -> Over:
    if info is None:
        return Over(is_there=False)
    return Over(is_there=True, etag=info.etag, size_bytes=info.size_bytes, last_modified_ns=info.last_modified_ns)
