"""Find out by trying what a bucket can do. Writes small objects of one random name and removes them again.

Calls only the verbs of the store. Never touches a name that is not its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Protocol

import fastcrc

from penstock.errors import (
    IntegrityError,
    NotSupportedError,
    OffTopicError,
    PermissionDeniedError,
    PreconditionFailedError,
    StoreRefusedError,
)
from penstock.stores import guarding
from penstock.stores.base import (
    Abilities,
    Checksum,
    CreateOnly,
    Overwrite,
    Part,
    Precondition,
    PutResult,
    Store,
    Versioning,
)
from penstock.stores.guarding import Body, Guard, Guarding

PROBE_PREFIX = ".penstock-probe-"
CONTENT = b"Penstock was here to see what this bucket can do.\n"


OTHER_CONTENT = b"These bytes were not sent.\n"


class Twins(Protocol):
    """Makes the store that is probed: one that knows no abilities, or that checksum, and guards bodies in that way."""

    def __call__(self, checksum: Checksum = Checksum.NONE, guard: Guarding | None = None) -> Store: ...


def probe(twins: Twins, random_name: str, *, checksums: Sequence[Checksum] = ()) -> Abilities:
    """Try everything once; of `checksums` the first that the store really compares.

    A bucket that cannot be written to has no writing abilities; one that cannot be listed is an error, because then neither
    its name nor its credentials are known to be right. Raises any StoreError.
    """
    store, key = twins(), f"{PROBE_PREFIX}{random_name}"
    store.list_objects(prefix=key, limit=1)
    bucket_tags = _answers_tags(store)
    versioning = _versioning(store)
    try:
        first = _put(store, key, Overwrite())
    except PermissionDeniedError:
        return Abilities(bucket_tags=bucket_tags, versioning=versioning or Versioning.NEVER)
    versioning = versioning or _versioning_by(first)
    try:
        create_only_put = _refuses_second_put(store, key)
        part_etag_is_md5, create_only_complete = _try_multipart(store, key)
        crc64 = fastcrc.crc64.xz(CONTENT)
        tells_crc64 = first.crc64 == crc64 and store.head(key).crc64 == crc64
        return Abilities(
            create_only_put=create_only_put,
            create_only_complete=create_only_complete,
            crc64=tells_crc64,
            part_etag_is_md5=part_etag_is_md5,
            content_md5=not tells_crc64 and _refuses(twins(guard=_lying_md5), key),
            checksum=Checksum.NONE if tells_crc64 else _compared(twins, key, checksums),
            bucket_tags=bucket_tags,
            versioning=versioning,
        )
    finally:
        _clean(store, key, versioning)


def _answers_tags(store: Store) -> bool:
    try:
        store.bucket_tags()
    except (NotSupportedError, PermissionDeniedError, OffTopicError):
        return False  # rclone lists objects when it is asked for tags
    return True


def _versioning(store: Store) -> Versioning | None:
    """None where the credentials may not ask."""
    try:
        return store.versioning()
    except NotSupportedError:
        return Versioning.NEVER
    except PermissionDeniedError:
        return None


def _versioning_by(result: PutResult) -> Versioning:
    if not result.version_id:
        return Versioning.NEVER
    return Versioning.SUSPENDED if result.version_id == "null" else Versioning.ENABLED


def _put(store: Store, key: str, precondition: Precondition) -> PutResult:
    return store.put(key, [CONTENT], crc64=fastcrc.crc64.xz(CONTENT), metadata={}, precondition=precondition)


def _put_part(store: Store, key: str, upload_id: str) -> Part:
    return store.put_part(key, upload_id, 1, [CONTENT], crc64=fastcrc.crc64.xz(CONTENT))


def _refuses_second_put(store: Store, key: str) -> bool:
    try:
        _put(store, key, CreateOnly())
    except (PreconditionFailedError, NotSupportedError) as error:
        return isinstance(error, PreconditionFailedError)
    return False


def _refuses(lying: Store, key: str) -> bool:
    """Whether an object and a part are both refused whose checksum is that of other bytes: some servers look at objects only."""
    return _is_refused(lambda: _put(lying, key, Overwrite())) and _refuses_part(lying, key)


def _refuses_part(lying: Store, key: str) -> bool:
    try:
        upload_id = lying.initiate(key, metadata={})
    except (StoreRefusedError, NotSupportedError):
        return False  # no uploads of that kind
    try:
        return _is_refused(lambda: _put_part(lying, key, upload_id))
    finally:
        lying.abort(key, upload_id)


def _is_refused(lie: Callable[[], object]) -> bool:
    """Refused because it is a lie, that is: what is refused for another reason proves nothing."""
    try:
        lie()
    except (IntegrityError, StoreRefusedError, NotSupportedError) as error:
        return isinstance(error, IntegrityError)
    return False


def _lying_md5(_: Body) -> Guard:
    return guarding.md5_guard([OTHER_CONTENT])


def _compared(twins: Twins, key: str, checksums: Sequence[Checksum]) -> Checksum:
    """The first checksum that is compared with what came, and with which objects and uploads are made all the same."""
    for checksum in checksums:

        def lie(_: Body, checksum: Checksum = checksum) -> Guard:
            return guarding.checksum_guard([OTHER_CONTENT], checksum)

        if _refuses(twins(checksum, lie), key) and _takes(twins(checksum), key):
            return checksum
    return Checksum.NONE


def _takes(store: Store, key: str) -> bool:
    """Whether an object and an upload with the right checksums are taken."""
    upload_id = ""
    try:
        _put(store, key, Overwrite())
        upload_id = store.initiate(key, metadata={})
        part = _put_part(store, key, upload_id)
        store.complete(key, upload_id, [part], precondition=Overwrite())
    except (IntegrityError, StoreRefusedError, NotSupportedError):
        if upload_id:
            store.abort(key, upload_id)
        return False
    return True


def _try_multipart(store: Store, key: str) -> tuple[bool, bool]:
    """Whether a part's ETag is its MD5, and whether Complete refuses to replace the object that is there."""
    upload_id = store.initiate(key, metadata={})
    try:
        part = _put_part(store, key, upload_id)
        is_md5 = part.etag.lower() == hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
        try:
            store.complete(key, upload_id, [part], precondition=CreateOnly())
        except (PreconditionFailedError, NotSupportedError) as error:
            return is_md5, isinstance(error, PreconditionFailedError)
        return is_md5, False
    finally:
        store.abort(key, upload_id)


def _clean(store: Store, key: str, versioning: Versioning) -> None:
    """Remove the object; where versions are kept, each version made here (the name is random, so all of them are)."""
    if versioning is Versioning.NEVER:
        store.delete(key)
        return
    for version in list(store.list_versions(prefix=key)):
        if version.key == key:
            store.delete(key, version_id=version.version_id)
