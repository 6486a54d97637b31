"""Which operation a call is: by verb, by what it names (service, bucket, object) and by its sub-resource.

What is not in the table is refused with 501 NotImplemented, and so is every x-oss- header that no operation here
heeds: a request that asks for more than it would get must not look as if it had got it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from penstock.emulator.operations import (
    acl,
    appending,
    buckets,
    copying,
    deleting,
    lifecycle,
    listing,
    multipart,
    objects,
    partcopy,
    reading,
    restoring,
    symlinks,
    tagging,
)
from penstock.emulator.operations.metadata import ENCRYPTION_HEADERS, USER_PREFIX
from penstock.emulator.protocol.answer import Answer
from penstock.emulator.protocol.call import Call
from penstock.emulator.protocol.errors import OssFault, not_implemented
from penstock.emulator.protocol.subresources import V1_SUBRESOURCES
from penstock.emulator.service import Service

Operation = Callable[[Service, Call], Awaitable[Answer]]

_SERVICE: dict[tuple[str, str], Operation] = {("GET", ""): buckets.list_buckets}
_BUCKET: dict[tuple[str, str], Operation] = {
    ("GET", ""): listing.list_objects,
    ("GET", "list-type"): listing.list_objects_v2,
    ("GET", "versions"): listing.list_object_versions,
    ("GET", "uploads"): listing.list_uploads,
    ("GET", "bucketInfo"): buckets.get_bucket_info,
    ("GET", "location"): buckets.get_bucket_location,
    ("GET", "stat"): buckets.get_bucket_stat,
    ("GET", "acl"): buckets.get_bucket_acl,
    ("GET", "live"): buckets.list_live_channels,
    ("GET", "versioning"): buckets.get_bucket_versioning,
    ("GET", "tagging"): buckets.get_bucket_tags,
    ("GET", "lifecycle"): lifecycle.get_lifecycle,
    ("PUT", "lifecycle"): lifecycle.put_lifecycle,
    ("DELETE", "lifecycle"): lifecycle.delete_lifecycle,
    ("PUT", ""): buckets.put_bucket,
    ("PUT", "acl"): buckets.put_bucket_acl,
    ("PUT", "versioning"): buckets.put_bucket_versioning,
    ("PUT", "tagging"): buckets.put_bucket_tags,
    ("DELETE", ""): buckets.delete_bucket,
    ("DELETE", "tagging"): buckets.delete_bucket_tags,
    ("POST", "delete"): deleting.delete_objects,
}
_OBJECT: dict[tuple[str, str], Operation] = {
    ("PUT", ""): objects.put_object,
    ("PUT", "copy"): copying.copy_object,
    ("PUT", "uploadId"): multipart.upload_part,
    ("PUT", "uploadId copy"): partcopy.upload_part_copy,
    ("GET", ""): reading.get_object,
    ("GET", "uploadId"): multipart.list_parts,
    ("HEAD", ""): reading.head_object,
    ("HEAD", "objectMeta"): reading.get_object_meta,
    ("GET", "acl"): acl.get_object_acl,
    ("PUT", "acl"): acl.put_object_acl,
    ("GET", "tagging"): tagging.get_object_tags,
    ("PUT", "tagging"): tagging.put_object_tags,
    ("DELETE", "tagging"): tagging.delete_object_tags,
    ("GET", "symlink"): symlinks.get_symlink,
    ("PUT", "symlink"): symlinks.put_symlink,
    ("POST", "append"): appending.append_object,
    ("POST", "restore"): restoring.restore_object,
    ("DELETE", ""): deleting.delete_object,
    ("DELETE", "symlink"): deleting.delete_object,  # of the link: clients leave the parameter on
    ("DELETE", "uploadId"): multipart.abort,
    ("POST", "uploads"): multipart.initiate,
    ("POST", "uploadId"): multipart.complete,
}
# Sub-resources that parametrize an operation instead of naming one.
_PARAMETERS = frozenset(
    [
        "callback",
        "callback-var",
        "partNumber",
        "position",
        "regionList",
        "versionId",
        "sequential",
        "continuation-token",
        "security-token",
        "response-content-type",
        "response-content-language",
        "response-expires",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
    ]
)
# Names that neither sign nor are listed there, but do name an operation in OSS.
_MORE_SUBRESOURCES = frozenset(
    [
        "accessmonitor",
        "cleanRestoredObject",
        "describe-regions",
        "bucketInventory",
        "metadataConfiguration",
        "processConfiguration",
        "regions",
        "requesterQosInfo",
        "select",
        "sealAppend",
        "seal",
        "userQos",
        "x-oss-image-process",
    ]
)
_HEADERS = frozenset(
    [
        *ENCRYPTION_HEADERS,
        "x-oss-acl",
        "x-oss-callback",
        "x-oss-callback-var",
        "x-oss-complete-all",
        "x-oss-content-sha256",
        "x-oss-copy-source",
        "x-oss-copy-source-if-match",
        "x-oss-copy-source-range",
        "x-oss-copy-source-if-modified-since",
        "x-oss-copy-source-if-none-match",
        "x-oss-copy-source-if-unmodified-since",
        "x-oss-date",
        "x-oss-forbid-overwrite",
        "x-oss-hash-crc64ecma",
        "x-oss-metadata-directive",
        "x-oss-object-acl",
        "x-oss-range-behavior",
        "x-oss-request-payer",  # nobody pays here
        "x-oss-security-token",
        "x-oss-storage-class",
        "x-oss-symlink-target",
        "x-oss-tagging",
        "x-oss-tagging-directive",
        "x-oss-user",  # means nothing to OSS either; clients sign it
    ]
)


def find(call: Call) -> Operation:
    """The operation that `call` asks for. Raises OssFault 501 NotImplemented, 405 MethodNotAllowed."""
    for name in call.headers:
        if name.startswith("x-oss-") and name not in _HEADERS and not name.startswith(USER_PREFIX):
            raise not_implemented(f"the header {name}")
    table = _OBJECT if call.key else _BUCKET if call.bucket else _SERVICE
    asked = (call.query.keys() & (V1_SUBRESOURCES | _MORE_SUBRESOURCES)) - _PARAMETERS
    if not call.key and call.bucket and call.method == "GET" and call.parameter("list-type") == "2" and not asked:
        asked = asked | {"list-type"}
    if call.key and call.method == "PUT" and "x-oss-copy-source" in call.headers:
        asked = {" ".join([*sorted(asked), "copy"])}
    if len(asked) > 1:
        raise not_implemented(f"a request for {' and '.join(sorted(asked))}")
    subresource = next(iter(asked), "")
    operation = table.get((call.method, subresource))
    if operation is None:
        if call.method not in {"GET", "PUT", "HEAD", "DELETE", "POST", "OPTIONS"}:
            raise OssFault(405, "MethodNotAllowed", "The method is not allowed.", elements={"Method": call.method})
        what = "an object" if call.key else "a bucket" if call.bucket else "the service"
        raise not_implemented(f"{call.method} {f'?{subresource} ' if subresource else ''}on {what}")
    return operation
