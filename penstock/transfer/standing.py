"""Where an export stands at its target key: what the conflict policy asks, and whether an object there is our own.

Calls the store. An object is our own when its metadata names our sub-task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from penstock.errors import FailureCode, TransferError
from penstock.model import ConflictPolicy, Guarantee
from penstock.stores.base import CreateOnly, ObjectInfo, Overwrite, Precondition, Versioning
from penstock.transfer import verification, versioned
from penstock.transfer.attempt import Attempt
from penstock.transfer.mtime import CRC64_NAME, SUB_TASK_NAME, ModifyTime, metadata_of, of_object
from penstock.transfer.objects import detail_of, head_or_none, is_pinned
from penstock.transfer.ownership import metadata_of as ownership_of
from penstock.transfer.policy import Decision, decide, unwitnessed
from penstock.transfer.posix import FileState
from penstock.transfer.transfer import Outcome, OwnerAndMode
from penstock.transfer.verification import Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What to do about the key. `mine` is an object there that an earlier try of this very sub-task published."""

    decision: Decision
    mine: ObjectInfo | None = None


def stand(attempt: Attempt, source: ModifyTime) -> Standing:
    """Look at the key, unless the policy does not care. Raises StoreError."""
    if attempt.transfer.conflict_policy is ConflictPolicy.OVERWRITE_EXISTING:
        return Standing(decision=Decision.REPLACE)
    info = head_or_none(attempt, attempt.transfer.key)
    if info is not None and versioned.is_mine(attempt, info):
        return Standing(decision=Decision.REPLACE, mine=info)
    return Standing(
        decision=decide(attempt.transfer.conflict_policy, source, None if info is None else of_object(info))
    )


def published_earlier(attempt: Attempt) -> ObjectInfo | None:
    """What an earlier try of this very sub-task has put at the key. Raises StoreError, FencedError.

    Versions tell it even if somebody has replaced or deleted it since; that is then left as it is.
    """
    info = head_or_none(attempt, attempt.transfer.key)
    return info if info is not None and versioned.is_mine(attempt, info) else versioned.earlier(attempt)


def holds(info: ObjectInfo, *, modify_ns: int, size_bytes: int, crc64: int) -> bool:
    """Whether our object is of this very file: its time, its size, and its checksum as far as the store tells one."""
    if of_object(info).ns != modify_ns:
        return False
    told = info.crc64 if info.crc64 is not None else told_crc64(info)
    return info.size_bytes == size_bytes and told in {None, crc64}


def metadata(attempt: Attempt, source: FileState, crc64: int | None) -> Mapping[str, str]:
    """What is written with the object; the checksum only where it is known beforehand."""
    written = metadata_of(source.modify_ns)
    if attempt.choices.owner_and_mode is not OwnerAndMode.LEAVE:
        written.update(ownership_of(source, attempt.choices))
    written[SUB_TASK_NAME] = attempt.transfer.sub_task_id
    if crc64 is not None:
        written[CRC64_NAME] = str(crc64)
    return written


def of_put(attempt: Attempt) -> Guarantee:
    """How firmly the store keeps a PUT that may only create, as it was seen to do."""
    return Guarantee.ATOMIC if attempt.store.abilities.create_only_put else Guarantee.BEST_EFFORT


def of_complete(attempt: Attempt) -> Guarantee:
    """How firmly it keeps a Complete that may only create."""
    return Guarantee.ATOMIC if attempt.store.abilities.create_only_complete else Guarantee.BEST_EFFORT


def kept_now(attempt: Attempt, create_only: Guarantee) -> Guarantee:
    """How firmly create-only is kept on this bucket now: as it was seen, as long as versioning is as it was then."""
    if _is_doubtful(attempt, create_only) and versioned.is_as_probed(attempt) is False:
        return Guarantee.BEST_EFFORT
    return create_only


def must_ask(attempt: Attempt, create_only: Guarantee) -> bool:
    """Whether `kept_now` will ask the store."""
    return _is_doubtful(attempt, create_only) and not versioned.is_known(attempt)


def _is_doubtful(attempt: Attempt, create_only: Guarantee) -> bool:
    replaces = attempt.transfer.conflict_policy is ConflictPolicy.OVERWRITE_EXISTING
    return create_only is Guarantee.ATOMIC and not replaces


def precondition(decision: Decision, create_only: Guarantee) -> Precondition:
    """CreateOnly where the name must be free and the store keeps that."""
    return CreateOnly() if decision is Decision.CREATE and create_only is Guarantee.ATOMIC else Overwrite()


def guarantee(attempt: Attempt, decision: Decision, create_only: Guarantee) -> Guarantee:
    """How firmly the policy holds while others write at the same moment."""
    if attempt.transfer.conflict_policy is ConflictPolicy.OVERWRITE_EXISTING:
        return Guarantee.ATOMIC
    return create_only if decision is Decision.CREATE else Guarantee.BEST_EFFORT


def may_be_marked(attempt: Attempt) -> bool:
    """Whether a key that was refused for being taken, and is free, may have a delete marker that the store takes for an object.

    Ceph RGW 16 does so where versions are suspended, for ever: then the look right before has to do, and the record says so.
    """
    return attempt.store.abilities.versioning is not Versioning.NEVER


def may_yield(attempt: Attempt, held: Guarantee) -> bool:
    """Whether `yields` will look for foreign objects."""
    return attempt.transfer.conflict_policy is not ConflictPolicy.OVERWRITE_EXISTING and held is not Guarantee.ATOMIC


def yields(attempt: Attempt, version_id: str, source: ModifyTime, held: Guarantee) -> bool:
    """Whether our object made room again for a foreign one that came in between. Raises StoreError, FencedError."""
    return may_yield(attempt, held) and versioned.yields_to_foreign(attempt, version_id, source)


def vouched(attempt: Attempt, info: ObjectInfo, evidence: Evidence) -> Outcome | None:
    """COMPLETE by an object of ours that was found, and is sound; None when it made room for a foreign one that it lay on.

    Raises StoreError, FencedError.
    """
    held = unwitnessed(attempt.transfer.conflict_policy)
    if yields(attempt, info.version_id, of_object(info), held):
        return None
    verification.note(attempt, evidence)
    return attempt.published(detail_of(info, evidence.crc64), held)


def restless(attempt: Attempt) -> TransferError:
    """What is at the key was another thing at each look."""
    return TransferError(
        FailureCode.STORE_UNAVAILABLE,
        f"{attempt.transfer.key!r} appeared and vanished again and again",
        waiting_helps=True,
    )


def can_delete_exactly(info: ObjectInfo) -> bool:
    """Whether deleting this version touches no other."""
    return is_pinned(info)


def told_crc64(info: ObjectInfo) -> int | None:
    """The checksum of what was sent, as our object's metadata say it: small ones do."""
    return _number(info.metadata.get(CRC64_NAME, ""))


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None
