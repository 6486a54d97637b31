"""Which operation a call is: by verb, by what it names (service, bucket, object) and by its sub-resource.

What is not in the table is refused with 501 NotImplemented, and so is every query parameter that the operation does not
take and every x-oss- header that no operation here heeds: OSS gives the plain verbs other meanings by parameters (`PUT
?legalHold`, `DELETE ?quota`), new ones every year, and a request for one of those must not overwrite or delete instead.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from penstock.emulator.operations import (
    acl,
    appending,
    buckets,
    copying,
    deleting,
    lifecycle,
    listing,
    metadata,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Route:
    """An operation and the query parameters it takes beside those of every request."""

    operation: Operation
    parameters: frozenset[str]


def _route(operation: Operation, parameters: str = "") -> _Route:
    return _Route(operation=operation, parameters=frozenset(parameters.split()))


_VERSION = "versionId"
_PAGE = "prefix delimiter max-keys encoding-type"
_CALLBACK = "callback callback-var"
_READ = " ".join([_VERSION, *metadata.OVERRIDES])
# By verb and sub-resource: the parameter that names the operation, "" for none.
_SERVICE: dict[tuple[str, str], _Route] = {
    ("GET", ""): _route(buckets.list_buckets, "prefix marker max-keys tag-key tag-value"),
}
_BUCKET: dict[tuple[str, str], _Route] = {
    ("GET", ""): _route(listing.list_objects, f"{_PAGE} marker"),
    ("GET", "list-type"): _route(listing.list_objects_v2, f"{_PAGE} continuation-token start-after fetch-owner"),
    ("GET", "versions"): _route(listing.list_object_versions, f"{_PAGE} key-marker version-id-marker"),
    ("GET", "uploads"): _route(
        listing.list_uploads, "prefix delimiter max-uploads key-marker upload-id-marker encoding-type"
    ),
    ("GET", "bucketInfo"): _route(buckets.get_bucket_info),
    ("GET", "location"): _route(buckets.get_bucket_location),
    ("GET", "stat"): _route(buckets.get_bucket_stat),
    ("GET", "acl"): _route(buckets.get_bucket_acl),
    ("GET", "live"): _route(buckets.list_live_channels, "prefix marker max-keys"),
    ("GET", "versioning"): _route(buckets.get_bucket_versioning),
    ("GET", "tagging"): _route(buckets.get_bucket_tags),
    ("GET", "lifecycle"): _route(lifecycle.get_lifecycle),
    ("PUT", "lifecycle"): _route(lifecycle.put_lifecycle),
    ("DELETE", "lifecycle"): _route(lifecycle.delete_lifecycle),
    ("PUT", ""): _route(buckets.put_bucket),
    ("PUT", "acl"): _route(buckets.put_bucket_acl),
    ("PUT", "versioning"): _route(buckets.put_bucket_versioning),
    ("PUT", "tagging"): _route(buckets.put_bucket_tags),
    ("DELETE", ""): _route(buckets.delete_bucket),
    ("DELETE", "tagging"): _route(buckets.delete_bucket_tags),
    ("POST", "delete"): _route(deleting.delete_objects, "encoding-type"),
}
_OBJECT: dict[tuple[str, str], _Route] = {
    ("PUT", ""): _route(objects.put_object, _CALLBACK),
    ("PUT", "copy"): _route(
        copying.copy_object, _VERSION
    ),  # the version stands in the header; clients leave it here, too
    ("PUT", "uploadId"): _route(multipart.upload_part, "partNumber"),
    ("PUT", "uploadId copy"): _route(partcopy.upload_part_copy, f"partNumber {_VERSION}"),
    ("GET", ""): _route(reading.get_object, _READ),
    ("GET", "uploadId"): _route(multipart.list_parts, "max-parts part-number-marker encoding-type"),
    ("HEAD", ""): _route(reading.head_object, _READ),
    ("HEAD", "objectMeta"): _route(reading.get_object_meta, _VERSION),
    ("GET", "acl"): _route(acl.get_object_acl, _VERSION),
    ("PUT", "acl"): _route(acl.put_object_acl, _VERSION),
    ("GET", "tagging"): _route(tagging.get_object_tags, _VERSION),
    ("PUT", "tagging"): _route(tagging.put_object_tags, _VERSION),
    ("DELETE", "tagging"): _route(tagging.delete_object_tags, _VERSION),
    ("GET", "symlink"): _route(symlinks.get_symlink, _READ),
    ("PUT", "symlink"): _route(symlinks.put_symlink),
    ("POST", "append"): _route(appending.append_object, "position"),
    ("POST", "restore"): _route(restoring.restore_object, _VERSION),
    ("DELETE", ""): _route(deleting.delete_object, _VERSION),
    ("DELETE", "symlink"): _route(deleting.delete_object, _VERSION),  # of the link: clients leave the parameter on
    ("DELETE", "uploadId"): _route(multipart.abort),
    ("POST", "uploads"): _route(multipart.initiate, "sequential encoding-type"),
    ("POST", "uploadId"): _route(multipart.complete, f"encoding-type {_CALLBACK}"),
}
# Where the vendor's own suite sends what nobody knows, and expects the operation: browsers and caches add such to reads, too.
_PASSING_OVER = frozenset([reading.get_object, reading.head_object, buckets.delete_bucket_tags])
_METHODS = frozenset({"GET", "PUT", "HEAD", "DELETE", "POST", "OPTIONS"})
_READING = frozenset({"GET", "HEAD"})
# What any request may carry in its URL: who signed it, and who pays.
_EVERYWHERE = frozenset(
    [
        "Expires",
        "OSSAccessKeyId",
        "Signature",
        "security-token",
        "x-oss-access-key-id",
        "x-oss-additional-headers",
        "x-oss-credential",
        "x-oss-date",
        "x-oss-expires",
        "x-oss-request-payer",
        "x-oss-security-token",
        "x-oss-signature",
        "x-oss-signature-version",
    ]
)
# Names that neither sign nor are in the tables, but do mean something to OSS.
_MORE_PARAMETERS = frozenset(
    [
        "accessmonitor",
        "cleanRestoredObject",
        "bucketInventory",
        "legalHold",
        "metadataConfiguration",
        "processConfiguration",
        "regions",
        "retention",
        "select",
        "sealAppend",
        "seal",
        "userQos",
    ]
)
_CONDITIONS = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since")
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
    _check_headers(call)
    table = _OBJECT if call.key else _BUCKET if call.bucket else _SERVICE
    subresource = _subresource(call, table)
    route = table.get((call.method, subresource))
    if route is None:
        if call.method not in _METHODS:
            raise OssFault(405, "MethodNotAllowed", "The method is not allowed.", elements={"Method": call.method})
        raise not_implemented(_request(call, subresource))
    known = route.parameters | _EVERYWHERE | (set(subresource.split()) - {"copy"})
    for name, value in call.query.items():
        if name in known or (route.operation in _PASSING_OVER and _means_nothing(name, value)):
            continue
        raise not_implemented(f"the parameter {name[:64]} of {_request(call, subresource)}")
    return route.operation


def makes_bucket(call: Call) -> bool:
    """Whether `call` is a PutBucket: the only one that a bucket need not be there for."""
    return call.method == "PUT" and not call.key and not _subresource(call, _BUCKET)


def _check_headers(call: Call) -> None:
    for name in call.headers:
        if name.startswith("x-oss-") and name not in _HEADERS and not name.startswith(USER_PREFIX):
            raise not_implemented(f"the header {name}")
        if name in _CONDITIONS and call.method not in _READING:
            raise not_implemented(f"the header {name} of a {call.method}")


def _subresource(call: Call, table: Mapping[tuple[str, str], _Route]) -> str:
    """The parameter that names the operation, in the table's words. Raises OssFault 501 where two of them are given."""
    asked = call.query.keys() & {word for _, words in table for word in words.split()} - {"copy"}
    if call.parameter("list-type") != "2":  # the first form has no number
        asked = asked - {"list-type"}
    if call.key and call.method == "PUT" and "x-oss-copy-source" in call.headers:
        return " ".join([*sorted(asked), "copy"])
    if len(asked) > 1:
        raise not_implemented(f"a request for {' and '.join(sorted(asked))}")
    return next(iter(asked), "")


def _means_nothing(name: str, value: str) -> bool:
    """Whether OSS passes a parameter over, as it seems: names without a value ask for another operation, and so may its own."""
    return bool(value) and not name.startswith("x-oss-") and name not in V1_SUBRESOURCES | _MORE_PARAMETERS


def _request(call: Call, subresource: str) -> str:
    what = "an object" if call.key else "a bucket" if call.bucket else "the service"
    return f"{call.method} {f'?{subresource} ' if subresource else ''}on {what}"
