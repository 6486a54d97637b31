"""The contract of an object store, in the verbs of OSS and S3.

Two stores implement `Store` (`oss`, `s3`); both pass one conformance suite. All calls block, are made from a mover's threads,
and may run in parallel on one instance. Stores never retry: each raises a `penstock.errors.StoreError` that says whether waiting
can help. They follow no redirects, ask for no content encoding, and put a time limit on every step. What every small file needs
is a Struct: made in a tenth of the time that a frozen dataclass takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from dataclasses import field as field_of
from enum import StrEnum
from typing import Protocol, TypeVar

from msgspec import Struct, field

Buffer = bytes | bytearray | memoryview
"""What may be sent as a body, and (the writable ones) be read into."""


class StreamedBody(Protocol):
    """The body of a part or an object that is read while it is sent, so that only one buffer of it is in memory.

    A piece is valid until the next one is asked for. Each pass begins anew; it may raise anything, which ends the request and
    is passed on (so a stop is seen in the middle of a part).
    """

    @property
    def length_bytes(self) -> int:
        """How many bytes a pass gives, all in all."""
        ...

    def preview(self) -> Iterator[memoryview]:
        """One pass over the bytes beforehand, for a store that must tell their MD5 first."""
        ...

    def __iter__(self) -> Iterator[memoryview]:
        """One pass over the bytes as they are sent."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the protocol allows, in bytes and counts."""

    part_size_min_bytes: int
    part_size_max_bytes: int
    part_count_max: int
    put_size_max_bytes: int
    object_size_max_bytes: int
    key_length_max_bytes: int = 1023


OSS_LIMITS = Limits(
    part_size_min_bytes=100 * 1024,
    part_size_max_bytes=5 << 30,
    part_count_max=10_000,
    put_size_max_bytes=5 << 30,
    object_size_max_bytes=48_800 << 30,
)
S3_LIMITS = Limits(
    part_size_min_bytes=5 << 20,
    part_size_max_bytes=5 << 30,
    part_count_max=10_000,
    put_size_max_bytes=5 << 30,
    object_size_max_bytes=5 << 40,
)


class Versioning(StrEnum):
    """State of a bucket's versioning; NEVER is a bucket on which it was never set."""

    NEVER = "Never"
    ENABLED = "Enabled"
    SUSPENDED = "Suspended"


class Checksum(StrEnum):
    """S3's additional checksums that are used here, by the names of the protocol."""

    NONE = ""
    CRC32C = "CRC32C"
    SHA256 = "SHA256"


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What probing a bucket found (`probe()`); kept in the registry, shown by `doctor`, read by the transfer.

    `create_only_put` / `create_only_complete`: a PUT / CompleteMultipartUpload can be made to fail atomically
    when the key exists.
    `crc64`: the store answers CRC-64/XZ of whole objects. `part_etag_is_md5`: an uploaded part's ETag is the MD5 of its bytes.
    `content_md5`: it refuses objects and parts whose Content-MD5 is another. `checksum`: those whose additional checksum is.
    """

    create_only_put: bool = False
    create_only_complete: bool = False
    crc64: bool = False
    part_etag_is_md5: bool = False
    bucket_tags: bool = False
    content_md5: bool = False
    checksum: Checksum = Checksum.NONE
    versioning: Versioning = Versioning.NEVER


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOptions:
    """What was chosen for a bucket. `export_headers` go with every new object, `complete_headers` with Complete.

    `restore_days`: for how long archived objects are restored when they are wanted; 0: not at all. `reads_back`: whoever has
    written an object is to read it once more.
    """

    export_headers: Mapping[str, str] = field_of(default_factory=dict)
    complete_headers: Mapping[str, str] = field_of(default_factory=dict)
    restore_days: int = 0
    reads_back: bool = False


class ObjectInfo(Struct, frozen=True, kw_only=True):
    """One object as the store describes it. `etag` has no quotes; `version_id` is empty on a bucket without versions.

    `has_weak_etag`: it was told as a weak one, which If-Match never matches (RFC 9110, 13.1.1). Listings do not tell.
    `metadata` holds the user metadata, names in lower case without their `x-oss-meta-` / `x-amz-meta-` prefix.
    `crc64` is CRC-64/XZ of the whole object, if the store tells it. `last_modified_ns` has the
    store's resolution (mostly seconds).
    """

    key: str
    size_bytes: int
    etag: str
    last_modified_ns: int
    version_id: str = ""
    crc64: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    storage_class: str = ""
    object_type: str = ""
    has_weak_etag: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteRange:
    """`length_bytes` bytes (at least 1) from `offset`."""

    offset: int
    length_bytes: int


Answer_co = TypeVar("Answer_co", covariant=True)


class Started(Protocol[Answer_co]):
    """A request that was sent and whose answer was not yet waited for. For one thread; it holds one connection.

    Either `result` or `abandon` must be called, soon: stores close connections on which nothing moves.
    """

    def result(self) -> Answer_co:
        """Wait for the answer (once); raises what the verb itself raises."""
        ...

    def fileno(self) -> int:
        """What becomes readable when the answer comes; -1 where there is no such thing: then `result` has to be asked."""
        ...

    def is_there(self) -> bool:
        """Once that is readable: read what has come, without waiting, and tell whether `result` will not wait. Raises nothing."""
        ...

    @property
    def is_asked_anew(self) -> bool:
        """Whether `is_there` saw a kept connection closed, so that `result` asks once more on a fresh one, and waits."""
        ...

    def came(self) -> None:
        """Say that the answer was seen to come right now: what is known of the store's pace depends on it."""
        ...

    def abandon(self) -> None:
        """Give the answer up and close the connection; whether a PUT took effect stays unknown. Idempotent."""
        ...


class ObjectStream(Protocol):
    """The answer of a GET while its body arrives. `length_bytes` is the length of the body, not of the object."""

    @property
    def info(self) -> ObjectInfo: ...

    @property
    def length_bytes(self) -> int: ...

    def fileno(self) -> int:
        """What becomes readable when more of the body comes; -1 where `readinto` would not wait, or that is not known."""
        ...

    def is_there(self) -> bool:
        """Once that is readable: whether `readinto` will not wait. Raises nothing."""
        ...

    def came(self) -> None:
        """Say that it was seen to come right now; a body's pace is nobody's concern yet."""
        ...

    def readinto(self, buffer: memoryview) -> int:
        """Fill `buffer` as far as data is there; 0 at the end. A body that ends early raises StoreUnavailableError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Overwrite:
    """Precondition: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateOnly:
    """Precondition: the key must have no object. Asked only where `Abilities` say that the store honours it."""


Precondition = Overwrite | CreateOnly


class PutResult(Struct, frozen=True, kw_only=True):
    """The answer of PUT or Complete. `etag` may be empty after Complete (Ceph RGW 16); `crc64` is None where not told."""

    etag: str
    version_id: str = ""
    crc64: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One uploaded part. `crc64` is CRC-64/XZ of its bytes where the store tells it; `checksum` what it was guarded by."""

    number: int
    etag: str
    size_bytes: int
    crc64: int | None = None
    checksum: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An unfinished multipart upload."""

    key: str
    upload_id: str
    initiated_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One page of a listing in key order. `next_token` is empty on the last page."""

    objects: Sequence[ObjectInfo]
    common_prefixes: Sequence[str]
    next_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a key, newest first in a listing; a delete marker has no size and no ETag."""

    key: str
    version_id: str
    is_latest: bool
    is_delete_marker: bool
    last_modified_ns: int
    etag: str = ""
    size_bytes: int = 0


class Store(Protocol):
    """One bucket. Every method may raise any StoreError; those named are the ones a caller is expected to tell apart."""

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        ...

    @property
    def limits(self) -> Limits: ...

    @property
    def abilities(self) -> Abilities:
        """What was found when the bucket was added (see `probe`)."""
        ...

    @property
    def options(self) -> StoreOptions:
        """What was chosen for the bucket."""
        ...

    def heeding(self, stops: Callable[[], bool], forsakes: Callable[[], bool] | None = None) -> Store:
        """The same bucket, over the same connections, for one piece of work: whoever waits in a verb asks `stops` a few times
        a second, and waits no longer once that is so. The verb then raises StoreUnavailableError.

        An answer that would tell what became of a change is waited for until `forsakes` says so (None: as `stops`), and some
        seconds more. Must not be closed.
        """
        ...

    def head(self, key: str, *, version_id: str = "") -> ObjectInfo:
        """Describe the newest (or that) version. Raises ObjectNotFoundError, also for a delete marker, SizeUntoldError."""
        ...

    def get(
        self, key: str, *, version_id: str = "", byte_range: ByteRange | None = None, if_match: str = ""
    ) -> AbstractContextManager[ObjectStream]:
        """Open an object for reading; leaving the context early closes the connection, so it has to be entered.

        A range that the store answers whole (200), or with another Content-Range than asked, raises StoreUnavailableError.
        Raises ObjectNotFoundError, PreconditionFailedError (If-Match), RangeNotSatisfiableError, SizeUntoldError (a whole
        object whose answer has no Content-Length, for it could break off unnoticed; a range's tells the object's size).
        """
        ...

    def asks_whole(self) -> bool:
        """Whether a small object is to be asked for whole: not while such answers tell no length (`SizeUntoldError`), but for one
        call in a hundred, which finds out when they do again. To be called once for each object."""
        ...

    @property
    def is_warm(self) -> bool:
        """Whether a connection is kept open, so that what is begun now needs not wait for one to be made."""
        ...

    def begin_get(
        self, key: str, *, version_id: str = "", byte_range: ByteRange | None = None, if_match: str = ""
    ) -> Started[AbstractContextManager[ObjectStream]] | None:
        """Send what `get` sends and return at once, so that several requests are on their way together.

        None, with nothing sent, when no connection is free this very moment: it never waits for one, for two batches that
        each hold some connections and wait for more would wait for each other. Whoever gets None takes the results of what
        it has begun, then tries again; holding nothing, it calls `get`, which waits.
        May raise what `get` raises already here.
        """
        ...

    def begin_put(
        self,
        key: str,
        body: Sequence[Buffer],
        *,
        crc64: int,
        metadata: Mapping[str, str],
        precondition: Precondition,
    ) -> Started[PutResult] | None:
        """Send what `put` sends, body and all, and return at once; None as with `begin_get`.

        The body may be reused as soon as this returns. May raise what `put` raises already here.
        """
        ...

    def put(
        self,
        key: str,
        body: Sequence[Buffer] | StreamedBody,
        *,
        crc64: int,
        metadata: Mapping[str, str],
        precondition: Precondition,
    ) -> PutResult:
        """Store one object, whole, or nothing: a body that ends before its length leaves no object. `crc64` (CRC-64/XZ of the
        body) is compared with the store's, where it tells one.

        Raises PreconditionFailedError (CreateOnly), IntegrityError (a checksum differs: a bad object may be left).
        """
        ...

    def initiate(self, key: str, *, metadata: Mapping[str, str]) -> str:
        """Begin a multipart upload; returns the upload id."""
        ...

    def put_part(
        self, key: str, upload_id: str, number: int, body: Sequence[Buffer] | StreamedBody, *, crc64: int | None
    ) -> Part:
        """Upload part `number` (1-based). `crc64` None: not known beforehand, the caller compares the answer's.

        Raises UploadNotFoundError, IntegrityError.
        """
        ...

    def list_parts(self, key: str, upload_id: str) -> Iterator[Part]:
        """Uploaded parts by number. Raises UploadNotFoundError."""
        ...

    def list_uploads(self, *, prefix: str) -> Iterator[Upload]:
        """Unfinished uploads whose key begins with `prefix`."""
        ...

    def complete(self, key: str, upload_id: str, parts: Sequence[Part], *, precondition: Precondition) -> PutResult:
        """Publish the upload. A 200 with an error body counts as that error.

        Raises UploadNotFoundError, PreconditionFailedError, IntegrityError (a part is not there, or is another).
        """
        ...

    def abort(self, key: str, upload_id: str) -> None:
        """Drop the upload and its parts. Idempotent: an unknown upload id is success."""
        ...

    def delete(self, key: str, *, version_id: str = "") -> None:
        """Delete the key (on a versioned bucket: put a delete marker) or exactly that version. Idempotent."""
        ...

    def restore(self, key: str, *, version_id: str = "") -> None:
        """Ask for an archived object to be readable for `options.restore_days`. Idempotent while it is under way."""
        ...

    def list_objects(
        self, *, prefix: str = "", delimiter: str = "", start_after: str = "", token: str = "", limit: int = 1000
    ) -> Listing:
        """One page of keys, in byte order."""
        ...

    def list_versions(self, *, prefix: str) -> Iterator[Version]:
        """Versions and delete markers of the keys that begin with `prefix`: by key, newest first."""
        ...

    def bucket_tags(self) -> Mapping[str, str]:
        """Tags of the bucket; empty when it has none. Raises BucketNotFoundError only on the store's definite word."""
        ...

    def versioning(self) -> Versioning:
        """State of the bucket's versioning now."""
        ...

    def probe(self) -> Abilities:
        """Find out by trying (with small objects named `.penstock-probe-*`, removed again) what the bucket can do."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...
