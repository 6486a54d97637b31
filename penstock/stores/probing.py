"""Find out by trying what a bucket can do. Writes small objects of one random name, in the standard class, and removes them.

Calls only the verbs of the store; an answer that is lost is asked for again. Never touches a name that is not its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

import fastcrc

from penstock.errors import (
    IntegrityError,
    NotSupportedError,
    OffTopicError,
    PermissionDeniedError,
    PreconditionFailedError,
    StoreRefusedError,
    StoreSilentError,
    StoreUnavailableError,
    UploadNotFoundError,
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
TRIES = 3
"""Of each step: whoever registers a bucket waits for it, so none of them is waited with."""

_Answer = TypeVar("_Answer")


class Twins(Protocol):
    """Makes the store that is probed: one that knows no abilities, or that checksum, and guards bodies in that way."""

    def __call__(self, checksum: Checksum = Checksum.NONE, guard: Guarding | None = None) -> Store: ...


def probe(
    twins: Twins, random_name: str, *, checksums: Sequence[Checksum] = (), chosen: Store | None = None
) -> Abilities:
    """Try everything once; of `checksums` the first that the store really compares.

    `chosen` makes objects as they will be made. Of those that would be of another class than the twins' none is left behind, nor
    paid for: an upload is begun, and aborted.

    A bucket that cannot be written to has no writing abilities; one that cannot be listed is an error, because then neither
    its name nor its credentials are known to be right. Raises any StoreError.
    """
    store, key = twins(), f"{PROBE_PREFIX}{random_name}"
    _again(lambda: store.list_objects(prefix=key, limit=1))
    bucket_tags = _answers_tags(store)
    versioning = _versioning(store)
    try:
        first = _put(store, key, Overwrite())
    except PermissionDeniedError:
        return Abilities(bucket_tags=bucket_tags, versioning=versioning or Versioning.NEVER)
    versioning = versioning or _versioning_by(first)
    try:
        if chosen is not None and chosen.options != store.options:
            _begin_nothing(chosen, key)
        create_only_put = _refuses_second_put(store, key)
        part_etag_is_md5, create_only_complete = _try_multipart(store, key)
        crc64 = fastcrc.crc64.xz(CONTENT)
        tells_crc64 = first.crc64 == crc64 and _again(lambda: store.head(key)).crc64 == crc64
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
        _again(store.bucket_tags)
    except (NotSupportedError, PermissionDeniedError, OffTopicError):
        return False  # rclone lists objects when it is asked for tags
    return True


def _versioning(store: Store) -> Versioning | None:
    """None where the credentials may not ask."""
    try:
        return _again(store.versioning)
    except NotSupportedError:
        return Versioning.NEVER
    except PermissionDeniedError:
        return None


def _versioning_by(result: PutResult) -> Versioning:
    if not result.version_id:
        return Versioning.NEVER
    return Versioning.SUSPENDED if result.version_id == "null" else Versioning.ENABLED


def _put(store: Store, key: str, precondition: Precondition) -> PutResult:
    crc64 = fastcrc.crc64.xz(CONTENT)
    return _again(lambda: store.put(key, [CONTENT], crc64=crc64, metadata={}, precondition=precondition))


def _put_part(store: Store, key: str, upload_id: str) -> Part:
    return _again(lambda: store.put_part(key, upload_id, 1, [CONTENT], crc64=fastcrc.crc64.xz(CONTENT)))


def _again(step: Callable[[], _Answer]) -> _Answer:
    """Do a step that does no harm when it is done twice, and again if its answer was lost."""
    for _ in range(TRIES - 1):
        try:
            return step()
        except StoreUnavailableError as error:
            if not _is_lost(error):
                raise
    return step()


def _is_lost(error: StoreUnavailableError) -> bool:
    """Not one that was waited for in vain, nor one that answers something else."""
    return not isinstance(error, OffTopicError | StoreSilentError)


def _initiate(store: Store, key: str) -> str:
    """An answer that is lost leaves an upload that nobody knows: the name is random, so each of this key is our own."""
    tries = 0

    def begin() -> str:
        nonlocal tries
        tries += 1
        return store.initiate(key, metadata={})

    upload_id = _again(begin)
    if tries > 1:
        for upload in _again(lambda: list(store.list_uploads(prefix=key))):
            if upload.key == key and upload.upload_id != upload_id:
                _again(partial(store.abort, key, upload.upload_id))
    return upload_id


def _complete(store: Store, key: str, upload_id: str, part: Part, precondition: Precondition) -> None:
    """Raises as the verb. A try whose answer was lost may have completed the upload: then there is none any more."""
    for number in range(1, TRIES + 1):
        try:
            store.complete(key, upload_id, [part], precondition=precondition)
        except UploadNotFoundError:
            if number == 1:
                raise
        except StoreUnavailableError as error:
            if not _is_lost(error):
                raise
            if _is_unfinished(store, key, upload_id):
                if number == TRIES:
                    raise
                continue
        return


def _is_unfinished(store: Store, key: str, upload_id: str) -> bool:
    try:
        _again(lambda: list(store.list_parts(key, upload_id)))
    except UploadNotFoundError:
        return False
    return True


def _begin_nothing(store: Store, key: str) -> None:
    """An upload that comes to nothing: the store says what it thinks of the objects that it would make."""
    try:
        upload_id = _initiate(store, key)
    except NotSupportedError:
        return  # no uploads at all, which is found out again
    _again(lambda: store.abort(key, upload_id))


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
        upload_id = _initiate(lying, key)
    except (StoreRefusedError, NotSupportedError):
        return False  # no uploads of that kind
    try:
        return _is_refused(lambda: _put_part(lying, key, upload_id))
    finally:
        _again(lambda: lying.abort(key, upload_id))


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
        upload_id = _initiate(store, key)
        _complete(store, key, upload_id, _put_part(store, key, upload_id), Overwrite())
    except (IntegrityError, StoreRefusedError, NotSupportedError):
        if upload_id:
            _again(lambda: store.abort(key, upload_id))
        return False
    return True


def _try_multipart(store: Store, key: str) -> tuple[bool, bool]:
    """Whether a part's ETag is its MD5, and whether Complete refuses to replace the object that is there."""
    upload_id = _initiate(store, key)
    try:
        part = _put_part(store, key, upload_id)
        is_md5 = part.etag.lower() == hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
        try:
            _complete(store, key, upload_id, part, CreateOnly())
        except (PreconditionFailedError, NotSupportedError) as error:
            return is_md5, isinstance(error, PreconditionFailedError)
        return is_md5, False
    finally:
        _again(lambda: store.abort(key, upload_id))


def _clean(store: Store, key: str, versioning: Versioning) -> None:
    """Remove the object; where versions are kept, each version made here (the name is random, so all of them are)."""
    if versioning is Versioning.NEVER:
        _again(lambda: store.delete(key))
        return
    for version in _again(lambda: list(store.list_versions(prefix=key))):
        if version.key == key:
            _again(partial(store.delete, key, version_id=version.version_id))
