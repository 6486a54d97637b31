"""Listings: ListObjects, ListObjectsV2, ListObjectVersions, ListMultipartUploads. Calls the ledger; changes nothing."""

from __future__ import annotations

import base64
import binascii
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from penstock.emulator.operations import restoring
from penstock.emulator.operations.encoding import Encoding
from penstock.emulator.operations.owner import owner
from penstock.emulator.operations.selection import check_version_id
from penstock.emulator.protocol.answer import Answer, document, xml_time
from penstock.emulator.protocol.call import Call
from penstock.emulator.protocol.documents import Element
from penstock.emulator.protocol.errors import invalid_argument
from penstock.emulator.service import Service
from penstock.emulator.storage import listing, versions
from penstock.emulator.storage.buckets import Bucket
from penstock.emulator.storage.listing import Page
from penstock.emulator.storage.uploads import Upload
from penstock.emulator.storage.versions import Version

KEYS_DEFAULT = 100
KEYS_MAX = 1000
TEXT_MAX_BYTES = 1024
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What all listings take."""

    prefix: bytes
    delimiter: bytes
    encoding: Encoding
    limit: int


def _asked(call: Call, limit_name: str, default: int) -> _Asked:
    return _Asked(
        prefix=_text(call, "prefix"),
        delimiter=_text(call, "delimiter"),
        encoding=Encoding.of(call.parameter("encoding-type")),
        limit=call.number(limit_name, default=default, least=1, most=KEYS_MAX),
    )


def _text(call: Call, name: str) -> bytes:
    value = call.parameter(name).encode("utf-8", "surrogateescape")
    if len(value) > TEXT_MAX_BYTES:
        raise invalid_argument(f"{name} is longer than {TEXT_MAX_BYTES} bytes.", name=name, value=call.parameter(name))
    return value


async def _look(service: Service, call: Call, look: Callable[[sqlite3.Connection, Bucket], T]) -> T:
    return await service.ledger.read(lambda database: look(database, service.require(call, database)))


def _flag(value: object) -> str:
    return "true" if value else "false"


def _prefixes(encoding: Encoding, prefixes: Sequence[bytes]) -> list[Element]:
    return [Element("CommonPrefixes", [Element("Prefix", encoding.text(prefix))]) for prefix in prefixes]


def _key_of(last: Version | Upload | bytes | None) -> bytes:
    return last if isinstance(last, bytes) else b"" if last is None else last.key


def _described(
    encoding: Encoding, version: Version, owner_element: Element | None, now_ns: int
) -> list[Element | None]:
    restored = restoring.describe(version, now_ns)
    return [
        Element("Key", encoding.text(version.key)),
        Element("LastModified", xml_time(version.modified_ns)),
        Element("ETag", f'"{version.etag}"'),
        Element("Type", version.kind),
        Element("Size", version.size_bytes),
        Element("StorageClass", version.headers.get("x-oss-storage-class", "Standard")),
        owner_element,
        Element("RestoreInfo", restored) if restored else None,
    ]


# -------------------------------------------------------------------------------------------------------------- objects


async def list_objects(service: Service, call: Call) -> Answer:
    """ListObjects, the first form: marker and NextMarker."""
    asked, marker = _asked(call, "max-keys", KEYS_DEFAULT), _text(call, "marker")
    page = await _objects(service, call, asked, marker)
    write = asked.encoding.text
    root = Element(
        "ListBucketResult",
        [
            *asked.encoding.note(),
            Element("Name", call.bucket),
            Element("Prefix", write(asked.prefix)),
            Element("Marker", write(marker)),
            Element("MaxKeys", asked.limit),
            Element("Delimiter", write(asked.delimiter)),
            Element("IsTruncated", _flag(page.truncated)),
            Element("NextMarker", write(_key_of(page.last))) if page.truncated else None,
            *(
                Element("Contents", _described(asked.encoding, version, owner(), call.received_ns))
                for version in page.rows
            ),
            *_prefixes(asked.encoding, page.prefixes),
        ],
    )
    return document(root)


async def list_objects_v2(service: Service, call: Call) -> Answer:
    """ListObjectsV2: continuation tokens, start-after, fetch-owner."""
    asked, start_after = _asked(call, "max-keys", KEYS_DEFAULT), _text(call, "start-after")
    token = call.parameter("continuation-token")
    marker = _from_token(token) if token else start_after
    told_owner = owner() if call.parameter("fetch-owner", "false").lower() == "true" else None
    page = await _objects(service, call, asked, marker)
    write = asked.encoding.text
    root = Element(
        "ListBucketResult",
        [
            *asked.encoding.note(),
            Element("Name", call.bucket),
            Element("Prefix", write(asked.prefix)),
            Element("StartAfter", write(start_after)) if start_after else None,
            Element("MaxKeys", asked.limit),
            Element("Delimiter", write(asked.delimiter)),
            Element("IsTruncated", _flag(page.truncated)),
            Element("ContinuationToken", token) if token else None,
            Element("NextContinuationToken", _token(_key_of(page.last))) if page.truncated else None,
            Element("KeyCount", page.count),
            *(
                Element("Contents", _described(asked.encoding, version, told_owner, call.received_ns))
                for version in page.rows
            ),
            *_prefixes(asked.encoding, page.prefixes),
        ],
    )
    return document(root)


async def _objects(service: Service, call: Call, asked: _Asked, marker: bytes) -> Page[Version]:
    return await _look(
        service,
        call,
        lambda database, bucket: listing.objects(
            database, bucket, prefix=asked.prefix, delimiter=asked.delimiter, marker=marker, limit=asked.limit
        ),
    )


def _token(marker: bytes) -> str:
    return base64.urlsafe_b64encode(b"after:" + marker).decode("ascii")


def _from_token(token: str) -> bytes:
    try:
        raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not raw.startswith(b"after:"):
        raise invalid_argument("The continuation token is not valid.", name="continuation-token", value=token)
    return raw.removeprefix(b"after:")


# ------------------------------------------------------------------------------------------------------------- versions


async def list_object_versions(service: Service, call: Call) -> Answer:
    """ListObjectVersions: every version and delete marker."""
    asked, key_marker = _asked(call, "max-keys", KEYS_DEFAULT), _text(call, "key-marker")
    id_marker = call.parameter("version-id-marker")
    if id_marker:
        check_version_id(id_marker)
        if not key_marker:
            raise invalid_argument("version-id-marker needs key-marker.", name="version-id-marker", value=id_marker)

    def look(database: sqlite3.Connection, bucket: Bucket) -> Page[Version]:
        older_than = versions.number_behind(database, bucket, key_marker, id_marker) if id_marker else None
        return listing.all_versions(
            database,
            bucket,
            prefix=asked.prefix,
            delimiter=asked.delimiter,
            key_marker=key_marker,
            older_than=older_than,
            limit=asked.limit,
        )

    page = await _look(service, call, look)
    write = asked.encoding.text
    last = page.last
    next_markers = (
        [
            Element("NextKeyMarker", write(_key_of(last))),
            Element("NextVersionIdMarker", last.version_id if isinstance(last, Version) else ""),
        ]
        if page.truncated
        else []
    )
    root = Element(
        "ListVersionsResult",
        [
            *asked.encoding.note(),
            Element("Name", call.bucket),
            Element("Prefix", write(asked.prefix)),
            Element("KeyMarker", write(key_marker)),
            Element("VersionIdMarker", id_marker),
            *next_markers,
            Element("MaxKeys", asked.limit),
            Element("Delimiter", write(asked.delimiter)),
            Element("IsTruncated", _flag(page.truncated)),
            *(_version(asked.encoding, version, call.received_ns) for version in page.rows),
            *_prefixes(asked.encoding, page.prefixes),
        ],
    )
    return document(root)


def _version(encoding: Encoding, version: Version, now_ns: int) -> Element:
    place = [Element("VersionId", version.version_id), Element("IsLatest", _flag(version.latest))]
    if version.is_marker:
        told: list[Element | None] = [
            Element("Key", encoding.text(version.key)),
            *place,
            Element("LastModified", xml_time(version.modified_ns)),
            owner(),
        ]
        return Element("DeleteMarker", told)
    key, *rest = _described(encoding, version, owner(), now_ns)
    return Element("Version", [key, *place, *rest])


# -------------------------------------------------------------------------------------------------------------- uploads


async def list_uploads(service: Service, call: Call) -> Answer:
    """ListMultipartUploads."""
    asked, key_marker = _asked(call, "max-uploads", KEYS_MAX), _text(call, "key-marker")
    id_marker = call.parameter("upload-id-marker") if key_marker else ""

    page = await _look(
        service,
        call,
        lambda database, bucket: listing.unfinished(
            database,
            bucket,
            prefix=asked.prefix,
            delimiter=asked.delimiter,
            key_marker=key_marker,
            upload_id_marker=id_marker,
            limit=asked.limit,
        ),
    )
    write = asked.encoding.text
    last = page.last if page.truncated else None
    root = Element(
        "ListMultipartUploadsResult",
        [
            *asked.encoding.note(),
            Element("Bucket", call.bucket),
            Element("KeyMarker", write(key_marker)),
            Element("UploadIdMarker", id_marker),
            Element("NextKeyMarker", write(_key_of(last))),
            Element("NextUploadIdMarker", last.id if isinstance(last, Upload) else ""),
            Element("Delimiter", write(asked.delimiter)),
            Element("Prefix", write(asked.prefix)),
            Element("MaxUploads", asked.limit),
            Element("IsTruncated", _flag(page.truncated)),
            *(_upload(asked.encoding, upload) for upload in page.rows),
            *_prefixes(asked.encoding, page.prefixes),
        ],
    )
    return document(root)


def _upload(encoding: Encoding, upload: Upload) -> Element:
    return Element(
        "Upload",
        [
            Element("Key", encoding.text(upload.key)),
            Element("UploadId", upload.id),
            Element("StorageClass", upload.headers["x-oss-storage-class"]),
            Element("Initiated", xml_time(upload.initiated_ns)),
        ],
    )
