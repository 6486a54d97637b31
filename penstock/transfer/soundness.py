"""Whether an object of ours that is found has the bytes that it has to have, and the end of those that have not.

A small one says in its metadata what was sent; of a large one the record of its upload tells. One of which nothing tells is
believed only if it is the file as it lies there now. Calls the store and the source file; removes our own versions only.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from penstock.errors import FailureCode, TransferError
from penstock.stores.base import ObjectInfo
from penstock.transfer import assembled, standing, verification, versioned
from penstock.transfer.attempt import Attempt
from penstock.transfer.mtime import of_object
from penstock.transfer.posix import FileState
from penstock.transfer.source_file import SourceFile
from penstock.transfer.verification import Evidence
from penstock.transfer.whole_body import checksum


class Soundness(StrEnum):
    """What is known of an object."""

    SOUND = "sound"
    DAMAGED = "damaged"
    UNTOLD = "untold"  # nothing tells what it has to be: neither believed nor removed


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is known of it, and what tells that a sound one is."""

    soundness: Soundness
    evidence: Evidence | None = None


_UNTOLD = Judgement(soundness=Soundness.UNTOLD)


def of(attempt: Attempt, info: ObjectInfo) -> Judgement:
    """How our object is. Raises StoreError, FencedError, StoppedError, TransferError."""
    written = _as_written(attempt, info)
    return _as_file(attempt, info) if written.soundness is Soundness.UNTOLD else written


def _as_written(attempt: Attempt, info: ObjectInfo) -> Judgement:
    """The same by what was written down of it alone: what a small one has with it, of others the record of our uploads.

    That record is of no small one, though one may have the time of a large one: of a file that was cut short since.
    """
    written = standing.told_crc64(info)
    if written is None:
        told = [promise for promise in attempt.promises if promise.modify_ns == of_object(info).ns]
        return _judgement(assembled.is_one_of(attempt, info, told)) if told else _UNTOLD
    evidence = verification.found(attempt, info)
    if evidence.crc64 is None:
        evidence = verification.unheard(attempt, evidence)
    return _judgement(evidence if evidence.crc64 in {None, written} else None)


def _judgement(evidence: Evidence | None) -> Judgement:
    return Judgement(soundness=Soundness.SOUND if evidence else Soundness.DAMAGED, evidence=evidence)


def doubt(attempt: Attempt, info: ObjectInfo) -> TransferError:
    """Nothing tells whether the object is whole."""
    return TransferError(
        FailureCode.BAD_OBJECT_LEFT,
        f"the object {info.key!r} in bucket {attempt.store.bucket} may be damaged: an earlier attempt has put it there, and"
        " nothing tells any more what it has to be: remove it, or give it another name",
        waiting_helps=True,
    )


def remove_damaged(attempt: Attempt, info: ObjectInfo, source: FileState) -> None:
    """Delete our object, which does not hold the file's bytes, if it is of this very file: an earlier attempt was killed before
    it could mend that. Where no version names it exactly, it is overwritten by what comes now. Raises as `of`.

    One of another time or size goes only if what was written down says that it is damaged: else the file has been changed since.
    """
    is_of_file = (of_object(info).ns, info.size_bytes) == (source.modify_ns, source.size_bytes)
    if standing.can_delete_exactly(info) and (is_of_file or _is_damaged(attempt, info)):
        versioned.remove(attempt, info.version_id)


def settle(attempt: Attempt) -> None:
    """Delete every version of ours that is not what it had to be: of a file that has changed since, nobody else would.

    To be called when none of these uploads can be completed any more, and before another one is begun. Raises as `of`.
    """
    if not attempt.promises:
        return
    for info in versioned.ours(attempt):
        if standing.can_delete_exactly(info) and _is_damaged(attempt, info):
            versioned.remove(attempt, info.version_id)


def _is_damaged(attempt: Attempt, info: ObjectInfo) -> bool:
    return _as_written(attempt, info).soundness is Soundness.DAMAGED


def _as_file(attempt: Attempt, info: ObjectInfo) -> Judgement:
    """Sound, if it is what lies at the path now; untold also where that cannot be read, or has changed since it was sent."""
    try:
        with SourceFile(attempt.root, attempt.transfer.path, attempt.choices.symlinks) as source:
            state = source.state
            if state.is_symlink or (state.modify_ns, state.size_bytes) != (of_object(info).ns, info.size_bytes):
                return _UNTOLD
            crc = checksum(attempt, source)
            source.check_unchanged()
    except TransferError:
        return _UNTOLD
    evidence = verification.found(attempt, info)
    return _judgement(evidence) if evidence.crc64 in {None, crc} else _UNTOLD
