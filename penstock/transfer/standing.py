"""Where an export stands at its target key: what the conflict policy asks, and whether an object there is our own.

Calls the store. An object is our own when its metadata names our sub-task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile

from penstock.errors import NotSupportedError, ObjectNotFoundError
from penstock.model import ConflictPolicy, Guarantee
from penstock.stores.base import CreateOnly, ObjectInfo, Overwrite, Precondition, Version
from penstock.transfer.attempt import Attempt
from penstock.transfer.mtime import CRC64_NAME, SUB_TASK_NAME, ModifyTime, metadata_of, of_object
from penstock.transfer.objects import head_or_none, is_pinned
from penstock.transfer.ownership import metadata_of as ownership_of
from penstock.transfer.policy import Decision, decide
from penstock.transfer.posix import FileState


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
    if info is not None and is_mine(attempt, info):
        return Standing(decision=Decision.REPLACE, mine=info)
    return Standing(
        decision=decide(attempt.transfer.conflict_policy, source, None if info is None else of_object(info))
    )


def is_mine(attempt: Attempt, info: ObjectInfo) -> bool:
    """Whether this sub-task published that object."""
    return info.metadata.get(SUB_TASK_NAME) == attempt.transfer.sub_task_id


def holds(info: ObjectInfo, *, modify_ns: int, size_bytes: int, crc64: int) -> bool:
    """Whether our object is of this very file: its time, its size, and its checksum as far as the store tells one."""
    if of_object(info).ns != modify_ns:
        return False
    told = info.crc64 if info.crc64 is not None else _number(info.metadata.get(CRC64_NAME, ""))
    return info.size_bytes == size_bytes and told in {None, crc64}


def metadata(attempt: Attempt, source: FileState, crc64: int | None) -> Mapping[str, str]:
    """What is written with the object; the checksum only where it is known beforehand."""
    written = {
        **metadata_of(source.modify_ns),
        **ownership_of(source, attempt.choices),
        SUB_TASK_NAME: attempt.transfer.sub_task_id,
    }
    return written if crc64 is None else {**written, CRC64_NAME: str(crc64)}


def precondition(decision: Decision, *, able: bool) -> Precondition:
    """CreateOnly where the name must be free and the store can promise that."""
    return CreateOnly() if decision is Decision.CREATE and able else Overwrite()


def guarantee(attempt: Attempt, decision: Decision, *, able: bool) -> Guarantee:
    """How firmly the policy holds while others write at the same moment."""
    if attempt.transfer.conflict_policy is ConflictPolicy.OVERWRITE_EXISTING:
        return Guarantee.ATOMIC
    return Guarantee.ATOMIC if decision is Decision.CREATE and able else Guarantee.BEST_EFFORT


def yields_to_foreign(attempt: Attempt, version_id: str, source: ModifyTime) -> bool:
    """Whether a foreign version slipped in between our look and our publishing; then ours is deleted again.

    Only versions can tell: ours is compared with the one right below it, earlier tries of ours passed over.
    Raises StoreError.
    """
    if version_id in {"", "null"}:
        return False
    key = attempt.transfer.key
    store = attempt.store
    try:
        versions = attempt.persist(
            lambda: list(takewhile(lambda version: version.key == key, store.list_versions(prefix=key))),
            check=attempt.check_fence,
        )
    except NotSupportedError:
        return False  # best effort, as the record says
    ids = [version.version_id for version in versions]
    if version_id not in ids:
        return False
    for version in versions[ids.index(version_id) + 1 :]:
        below = _foreign(attempt, version)
        if below is None:
            continue
        if (
            version.is_delete_marker
            or decide(attempt.transfer.conflict_policy, source, of_object(below)) is not Decision.KEEP
        ):
            return False
        attempt.persist(lambda: store.delete(key, version_id=version_id), check=attempt.check_fence)
        return True
    return False


def _foreign(attempt: Attempt, version: Version) -> ObjectInfo | None:
    """The version as an object; None when it is one of ours or gone."""
    if version.is_delete_marker:
        return ObjectInfo(key=version.key, size_bytes=0, etag="", last_modified_ns=version.last_modified_ns)
    try:
        info = attempt.persist(
            lambda: attempt.store.head(version.key, version_id=version.version_id), check=attempt.check_fence
        )
    except ObjectNotFoundError:
        return None
    return None if is_mine(attempt, info) else info


def can_delete_exactly(info: ObjectInfo) -> bool:
    """Whether deleting this version touches no other."""
    return is_pinned(info)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None
