"""SourceStorage: which registered bucket `oss://[uid:]name` means, and whether it is fit to be a dataflow's source.

Asks the store (tags, versioning) in an errand's thread. An address is only ever one that configuration names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from penstock.api.errors import ApiError
from penstock.api.options import BucketCodes
from penstock.errors import NotSupportedError, PermissionDeniedError, SettingsError, StoreRefusedError
from penstock.model import Bucket, BucketKind
from penstock.stores.base import Store, Versioning

TAG_KEY = "cpfs-dataflow"
TAG_VALUE = "true"
VENDORS_SCHEME = "oss"
SCHEMES = (VENDORS_SCHEME, "s3")
_SOURCE = re.compile(r"([a-z0-9]+)://(?:(\d{1,32}):)?([a-z0-9](?:[a-z0-9.\-]{0,126}[a-z0-9])?)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStorage:
    """A parsed SourceStorage; `account` is empty unless it names another account's bucket."""

    scheme: str
    account: str
    bucket: str


def parse_source(name: str, text: str) -> SourceStorage:
    """Raises ApiError InvalidSourceStorage.InvalidParameter or .NotSupport."""
    scheme, separator, _ = text.partition("://")
    if separator and scheme not in SCHEMES:
        raise ApiError(
            "InvalidSourceStorage.NotSupport", f"{name} begins with {' or '.join(f'{one}://' for one in SCHEMES)}."
        )
    found = _SOURCE.fullmatch(text)
    if found is None:
        raise ApiError("InvalidSourceStorage.InvalidParameter", f"{name} is of the form oss://[account:]bucket.")
    return SourceStorage(scheme=found[1], account=found[2] or "", bucket=found[3])


def registered(source: SourceStorage, buckets: Mapping[str, Bucket]) -> Bucket:
    """The bucket that configuration names so. Raises ApiError InvalidSourceStorage.NotFound."""
    bucket = buckets.get(source.bucket)
    if bucket is None or bucket.scheme != source.scheme:
        raise ApiError(
            "InvalidSourceStorage.NotFound",
            f"No bucket {source.scheme}://{source.bucket} is registered; `penstock bucket add` registers one.",
        )
    return bucket


_WORDS: Mapping[BucketCodes, Mapping[str, str]] = {
    BucketCodes.SOURCE_STORAGE: {"AssumeRoleFailed": "InvalidSourceStorage.PermissionDenied"},
    BucketCodes.BUCKET: {
        "InvalidSourceStorage.NotFound": "DataFlow.Bucket.NotExist",
        "InvalidSourceStorage.PermissionDenied": "DataFlow.Bucket.AccessDenied",
        "InvalidSourceStorage.InvalidRegion": "DataFlow.Bucket.RegionUnmatched",
    },
}


def in_words(refused: ApiError, codes: BucketCodes) -> ApiError:
    """A refusal in those of the vendor's two vocabularies for buckets that was asked for."""
    code = _WORDS[codes].get(refused.code)
    return refused if code is None else ApiError(code, refused.message)


def require_region(bucket: Bucket, region: str) -> None:
    """Raises ApiError InvalidSourceStorage.InvalidRegion for a bucket of OSS that is in another region than this."""
    if bucket.kind is BucketKind.OSS and bucket.region != region:
        raise ApiError(
            "InvalidSourceStorage.InvalidRegion",
            f"The bucket {bucket.name} is in {bucket.region}, and the file system in {region} (fidelity = strict).",
        )


def examine(bucket: Bucket, open_bucket: Callable[[Bucket], Store]) -> bool:
    """Ask the store for tag and versioning, as far as the bucket's registration wants them looked at. Blocking.

    Tells whether a second dataflow may use the bucket (it keeps versions, or that is not asked for).
    Raises ApiError OperationDenied.DependBucketTag, and StoreError.
    """
    if not (bucket.tag_check or bucket.versioning_check):
        return True
    try:
        store = open_bucket(bucket)
    except (PermissionDeniedError, SettingsError) as error:
        raise ApiError(  # their words name files of ours, which are no business of a caller
            "AssumeRoleFailed",
            f"No usable credentials for the bucket {bucket.name} are configured.",
        ) from error
    try:
        if bucket.tag_check and store.bucket_tags().get(TAG_KEY) != TAG_VALUE:
            raise ApiError(
                "OperationDenied.DependBucketTag",
                f"The bucket {bucket.name} does not carry the tag {TAG_KEY}={TAG_VALUE}; set it, and leave it there.",
            )
        return not bucket.versioning_check or _keeps_versions(store)
    finally:
        store.close()


def _keeps_versions(store: Store) -> bool:
    try:
        return store.versioning() is Versioning.ENABLED
    except (NotSupportedError, PermissionDeniedError, SettingsError, StoreRefusedError):
        # Only a second dataflow needs it: the catalog, which knows whether this is one, refuses then.
        return False
