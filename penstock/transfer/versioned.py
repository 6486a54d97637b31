"""What a bucket's versioning means for the conflict policy: whether create-only still holds, and who else put a version there.

Calls the store. Abilities were probed when the bucket was added; its versioning may have been changed since, and then the probed
promise of creating only is worth nothing until the bucket is probed again. Never deletes a version that is not our own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import islice, takewhile
from weakref import WeakKeyDictionary

from penstock import failpoints
from penstock.errors import NotSupportedError, ObjectNotFoundError, StoreError
from penstock.stores.base import ObjectInfo, Store, Version, Versioning
from penstock.transfer.attempt import Attempt
from penstock.transfer.mtime import SUB_TASK_NAME, ModifyTime, of_object
from penstock.transfer.objects import look
from penstock.transfer.policy import Decision, decide

_LOOK_EVERY_NS = 60_000_000_000
_VERSIONS_MAX = 100  # so many versions of one key are looked at, newest first

_lock = threading.Lock()
_seen: WeakKeyDictionary[Store, tuple[int, Versioning | None]] = WeakKeyDictionary()


def is_as_probed(attempt: Attempt) -> bool | None:
    """Whether versioning is as it was when the abilities were probed; None when the store does not tell.

    Asked at most once a minute per bucket.
    """
    store = attempt.store
    seen = _seen_lately(attempt)
    if seen is None:
        now_ns = attempt.now_ns()
        try:
            seen = (now_ns, attempt.stoppable.versioning())
        except StoreError:
            if attempt.is_unwanted():
                return None  # it did not wait for the answer: whoever comes next asks again
            seen = (now_ns, None)  # not allowed, not known: then the key is looked at before anything is sent
        with _lock:
            _seen[store] = seen
    return None if seen[1] is None else seen[1] is store.abilities.versioning


def is_known(attempt: Attempt) -> bool:
    """Whether `is_as_probed` needs not ask now."""
    return _seen_lately(attempt) is not None


def _seen_lately(attempt: Attempt) -> tuple[int, Versioning | None] | None:
    with _lock:
        seen = _seen.get(attempt.store)
    return seen if seen is not None and 0 <= attempt.now_ns() - seen[0] < _LOOK_EVERY_NS else None


def learn(attempt: Attempt, version_id: str) -> bool:
    """Take an answer's version id for the bucket's state; whether that is the state that was probed."""
    found = Versioning.NEVER
    if version_id:
        found = Versioning.SUSPENDED if version_id == "null" else Versioning.ENABLED
    if found is attempt.store.abilities.versioning:
        return True
    if not version_id:
        return True  # some stores leave it out: that proves nothing
    if found is Versioning.SUSPENDED:  # some stores say null where there never were versions: ask
        with _lock:
            _seen.pop(attempt.store, None)
        return is_as_probed(attempt) is True
    with _lock:
        _seen[attempt.store] = (attempt.now_ns(), found)
    return False


def is_mine(attempt: Attempt, info: ObjectInfo) -> bool:
    """Whether this sub-task published that object."""
    return info.metadata.get(SUB_TASK_NAME) == attempt.transfer.sub_task_id


def yields_to_foreign(attempt: Attempt, version_id: str, source: ModifyTime) -> bool:
    """Whether a foreign version slipped in between our look and our publishing; then ours above it are deleted again.

    Only versions can tell: `version_id`, which is ours, is compared with the foreign one beneath it; other tries of ours on the
    way there go with it. Raises StoreError, FencedError.
    """
    if version_id in {"", "null"}:
        return False
    mine: list[str] = []
    for version in _versions(attempt):
        info = _described(attempt, version)
        if info is not None and is_mine(attempt, info):
            mine.append(version.version_id)
            continue
        if version_id not in mine or (info is None and not version.is_delete_marker):
            continue  # above ours, or gone meanwhile
        if info is None or decide(attempt.transfer.conflict_policy, source, of_object(info)) is not Decision.KEEP:
            return False
        for own in mine:
            if own != "null":  # that one may have been overwritten since: it names no bytes for good
                remove(attempt, own)
        return True
    return False


def remove(attempt: Attempt, version_id: str) -> None:
    """Delete exactly that version of our key, which is our own. Raises StoreError, FencedError."""

    def delete() -> None:
        failpoints.passing("version.delete")
        attempt.stoppable.delete(attempt.transfer.key, version_id=version_id)
        failpoints.passing("version.deleted")

    attempt.persist(delete, check=attempt.check_fence)


def earlier(attempt: Attempt) -> ObjectInfo | None:
    """The newest version that this very sub-task published, whatever lies above it by now. Raises StoreError, FencedError.

    None also where versions cannot tell: then what is at the key is all that can be known.
    """
    return next(ours(attempt), None)


def ours(attempt: Attempt) -> Iterator[ObjectInfo]:
    """All that it published and that is still there, newest first. None as above. Raises StoreError, FencedError."""
    if attempt.store.abilities.versioning is Versioning.NEVER:
        return
    since_ns = attempt.earliest_ns  # what is older is foreign: each look costs a request
    young = (version for version in _versions(attempt) if version.last_modified_ns >= since_ns)
    described = (_described(attempt, version) for version in young)
    yield from (info for info in described if info is not None and is_mine(attempt, info))


def _versions(attempt: Attempt) -> list[Version]:
    """The newest versions of exactly our key; none where the store cannot tell: best effort, as the record says."""
    store, key = attempt.stoppable, attempt.transfer.key

    def look() -> list[Version]:
        same = takewhile(lambda version: version.key == key, store.list_versions(prefix=key))
        return list(islice(same, _VERSIONS_MAX))

    try:
        return attempt.persist(look, check=attempt.check_fence)
    except NotSupportedError:
        return []


def _described(attempt: Attempt, version: Version) -> ObjectInfo | None:
    """The version as an object; None when it is a delete marker or gone."""
    if version.is_delete_marker:
        return None
    try:
        return attempt.persist(
            lambda: look(attempt, version.key, version_id=version.version_id), check=attempt.check_fence
        )
    except ObjectNotFoundError:
        return None
