"""Answers of OSS and S3 turned into the contract's values: headers of objects, and the documents of the listings.

The two protocols name the same things alike here; where they differ, the caller passes the header prefix or the decoder
of URL-encoded names. Whatever cannot be understood is a broken answer: StoreUnavailableError. Never sends anything.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from penstock.errors import SizeUntoldError, StoreUnavailableError
from penstock.stores.base import ByteRange, Listing, ObjectInfo, Part, PutResult, Upload, Version, Versioning
from penstock.stores.digits import number_of
from penstock.stores.documents import Document

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})")
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], start=1
    )
}
_HTTP_DATE = re.compile(
    f"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ([0-9]{{2}}) ({'|'.join(_MONTHS)}) ([0-9]{{4}})"
    " ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
).fullmatch
_SECOND_NS = 10**9

Decoder = Callable[[str], str]


def object_info(key: str, headers: Mapping[str, str], prefix: str, *, size_bytes: int) -> ObjectInfo:
    """An object as HEAD and GET describe it; `prefix` is `x-oss-` or `x-amz-`."""
    meta = f"{prefix}meta-"
    etag = headers.get("etag", "")
    return ObjectInfo(
        key=key,
        size_bytes=size_bytes,
        etag=bare_etag(etag),
        last_modified_ns=_http_date_ns(headers.get("last-modified", "")),
        version_id=_version_id(headers, prefix),
        crc64=crc64_of(headers),
        metadata={name[len(meta) :]: value for name, value in headers.items() if name.startswith(meta)},
        storage_class=headers.get(f"{prefix}storage-class", ""),
        object_type=headers.get("x-oss-object-type", ""),
        has_weak_etag=etag.startswith("W/"),
    )


def put_result(headers: Mapping[str, str], prefix: str, *, etag: str) -> PutResult:
    """The answer of PUT and of Complete."""
    return PutResult(
        etag=bare_etag(etag),
        version_id=_version_id(headers, prefix),
        crc64=crc64_of(headers),
    )


def crc64_of(headers: Mapping[str, str]) -> int | None:
    """CRC-64/XZ, where the store told one."""
    told = headers.get("x-oss-hash-crc64ecma")
    return None if told is None else _crc64(told)


def etag_of(headers: Mapping[str, str]) -> str:
    """The ETag of what was sent. A 200 without one was not said by a store that keeps anything: StoreUnavailableError."""
    etag = bare_etag(headers.get("etag", ""))
    if not etag:
        raise StoreUnavailableError("the answer to what was sent tells no ETag: it may not be the store's")
    return etag


def length_of(headers: Mapping[str, str]) -> int:
    """Content-Length of an object that was asked for. Raises SizeUntoldError."""
    told = number_of(headers.get("content-length", ""))
    if told is None:
        raise SizeUntoldError("the store's answer does not tell the object's length")
    return told


def range_answered(headers: Mapping[str, str], asked: ByteRange) -> tuple[int, int]:
    """Length of the body and of the object, out of a 206. Raises StoreUnavailableError when another range came."""
    told = headers.get("content-range", "")
    match = _CONTENT_RANGE.fullmatch(told.strip())
    if match is None:
        raise StoreUnavailableError(f"the store answered a range without a usable Content-Range: {told[:80]!r}")
    first, last, size = (int(group) for group in match.groups())
    if first != asked.offset or last != min(asked.offset + asked.length_bytes, size) - 1:
        raise StoreUnavailableError(
            f"the store answered another range ({told[:80]}) than asked ({asked.length_bytes} bytes from {asked.offset})"
        )
    return last - first + 1, size


def listing(document: Document, decoder: Decoder) -> Listing:
    """A page of ListObjectsV2."""
    decode = _decoder(document, decoder)
    truncated = document.text("IsTruncated") == "true"
    token = document.text("NextContinuationToken") if truncated else ""
    if truncated and not token:
        raise StoreUnavailableError("the store says that its listing goes on, but not where")
    return Listing(
        objects=[
            ObjectInfo(
                key=decode(entry.text("Key")),
                size_bytes=entry.number("Size"),
                etag=bare_etag(entry.text("ETag")),
                last_modified_ns=_iso_date_ns(entry.text("LastModified")),
                storage_class=entry.text("StorageClass"),
                object_type=entry.text("Type"),
            )
            for entry in document.children("Contents")
        ],
        common_prefixes=[decode(entry.text("Prefix")) for entry in document.children("CommonPrefixes")],
        next_token=token,
    )


def versions(document: Document, decoder: Decoder) -> list[Version]:
    """A page of versions and delete markers, by key, newest first.

    Raises StoreUnavailableError for one of objects: taken for one of versions it would say that there are none.
    """
    if document.children("Contents"):
        raise StoreUnavailableError("the store listed objects when it was asked for versions")
    decode = _decoder(document, decoder)
    found = [
        Version(
            key=decode(entry.text("Key")),
            version_id=entry.text("VersionId"),
            is_latest=entry.text("IsLatest") == "true",
            is_delete_marker=entry.tag == "DeleteMarker",
            last_modified_ns=_iso_date_ns(entry.text("LastModified")),
            etag=bare_etag(entry.text("ETag")),
            size_bytes=0 if entry.tag == "DeleteMarker" else entry.number("Size"),
        )
        for entry in document.children("Version", "DeleteMarker")
    ]
    # Some servers list all versions and then all markers. Sorting is stable: a key's own order stays the store's.
    return sorted(found, key=lambda version: (version.key.encode(), not version.is_latest))


def uploads(document: Document, decoder: Decoder) -> list[Upload]:
    """A page of unfinished multipart uploads."""
    decode = _decoder(document, decoder)
    return [
        Upload(
            key=decode(entry.text("Key")),
            upload_id=entry.text("UploadId"),
            initiated_ns=_iso_date_ns(entry.text("Initiated")),
        )
        for entry in document.children("Upload")
    ]


def parts(document: Document, checksum_element: str = "") -> list[Part]:
    """A page of uploaded parts."""
    return [
        Part(
            number=entry.number("PartNumber"),
            etag=bare_etag(entry.text("ETag")),
            size_bytes=entry.number("Size"),
            crc64=_crc64(entry.text("HashCrc64ecma")),
            checksum=entry.text(checksum_element) if checksum_element else "",
        )
        for entry in document.children("Part")
    ]


def next_markers(document: Document, decoder: Decoder, names: Mapping[str, str]) -> dict[str, str]:
    """Where the next page begins: the query parameters of `names` (parameter: element); empty on the last page."""
    if document.text("IsTruncated") != "true":
        return {}
    decode = _decoder(document, decoder)
    found = {name: document.text(element) for name, element in names.items()}
    if not any(found.values()):
        raise StoreUnavailableError("the store says that its listing goes on, but not where")
    return {name: decode(value) if name == "key-marker" else value for name, value in found.items() if value}


def versioning(document: Document) -> Versioning:
    """State of a bucket's versioning; without a Status it was never set."""
    status = document.text("Status").strip()
    try:
        return Versioning(status) if status else Versioning.NEVER
    except ValueError as error:
        raise StoreUnavailableError(
            f"the store names a state of versioning that is not known: {status[:40]!r}"
        ) from error


def bucket_tags(document: Document) -> dict[str, str]:
    """Tags out of a `<Tagging>` document."""
    tag_set = document.child("TagSet")
    return {} if tag_set is None else {tag.text("Key"): tag.text("Value") for tag in tag_set.children("Tag")}


def bare_etag(etag: str) -> str:
    """An ETag without its quotes, and without what says that it is weak."""
    return etag.strip().removeprefix("W/").strip('"')


def _decoder(document: Document, decoder: Decoder) -> Decoder:
    """Names are decoded only when the store says that it encoded them."""
    return decoder if document.text("EncodingType") == "url" else str


def _version_id(headers: Mapping[str, str], prefix: str) -> str:
    return headers.get(f"{prefix}version-id", "")


def _crc64(text: str) -> int | None:
    if not text.strip():
        return None
    told = number_of(text)
    if told is None:
        raise StoreUnavailableError(f"the store told a crc64 that is no number: {text[:40]!r}")
    return told


@functools.lru_cache(maxsize=1024)  # files that were made together were made within a few seconds
def _http_date_ns(text: str) -> int:
    """`Wed, 23 Oct 2024 16:28:16 GMT`, read by hand (a tenth of the library's time), or an older form."""
    match = _HTTP_DATE(text)
    try:
        if match is None:
            return int(parsedate_to_datetime(text).timestamp()) * _SECOND_NS
        day, month, year, hour, minute, second = match.groups()
        moment = datetime(int(year), _MONTHS[month], int(day), int(hour), int(minute), int(second), tzinfo=UTC)
        return int(moment.timestamp()) * _SECOND_NS
    except (ValueError, OverflowError) as error:
        raise StoreUnavailableError(f"the store told a Last-Modified that is no date: {text[:60]!r}") from error


def _iso_date_ns(text: str) -> int:
    """`2024-10-23T16:28:16.000Z`, fractions optional."""
    try:
        moment = datetime.fromisoformat(text.strip())
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return int(moment.replace(microsecond=0).timestamp()) * _SECOND_NS + moment.microsecond * 1000
    except (ValueError, OverflowError) as error:
        raise StoreUnavailableError(f"the store told a time that is none: {text[:60]!r}") from error
