"""Reading objects: GetObject, HeadObject, GetObjectMeta. Calls the ledger and the vault; changes nothing."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import AsyncGenerator
from functools import partial

from penstock.emulator.operations import compression, metadata, restoring, tagging
from penstock.emulator.operations.appending import APPENDABLE, NEXT_POSITION
from penstock.emulator.operations.selection import select_version, version_header
from penstock.emulator.operations.symlinks import followed
from penstock.emulator.protocol import ranges
from penstock.emulator.protocol.answer import Answer, http_time
from penstock.emulator.protocol.call import Call
from penstock.emulator.protocol.ranges import Span
from penstock.emulator.service import Service
from penstock.emulator.storage import contents
from penstock.emulator.storage.buckets import Bucket
from penstock.emulator.storage.contents import Segment
from penstock.emulator.storage.vault import INLINE_MAX_BYTES
from penstock.emulator.storage.versions import Version


async def get_object(service: Service, call: Call) -> Answer:
    """GetObject: the object or a range of it. The crc64 told is always the whole object's."""
    ticket = service.vault.begin_reading()
    try:
        bucket, version, source, segments = await service.ledger.read(lambda database: _find(service, call, database))
        _check(call, source)
        restoring.require_readable(source, service.clock())
        size_bytes = source.size_bytes
        span = Span(offset_bytes=0, length_bytes=size_bytes, partial=False)
        if "range" in call.headers:
            behavior = call.header("x-oss-range-behavior").lower()
            span = ranges.resolve(call.header("range"), behavior, size_bytes)
        headers = {**_told(service, bucket, version, source), **metadata.to_answer(version.headers, call.query)}
    except BaseException:
        service.vault.end_reading(ticket)
        raise
    if span.partial:
        last = span.offset_bytes + span.length_bytes - 1
        headers["Content-Range"] = f"bytes {span.offset_bytes}-{last}/{size_bytes}"
    stream = read_span(service, segments, span)
    length_bytes: int | None = span.length_bytes
    if "range" not in call.headers and compression.applies(call.header("accept-encoding"), headers, size_bytes):
        headers.update({"Content-Encoding": "gzip", "Vary": "Accept-Encoding"})
        headers.pop("Content-MD5", None)
        stream, length_bytes = compression.compressed(stream), None
    return Answer(
        status=206 if span.partial else 200,
        headers=headers,
        stream=stream,
        length_bytes=length_bytes,
        release=lambda: service.vault.end_reading(ticket),
    )


async def head_object(service: Service, call: Call) -> Answer:
    """HeadObject: all of GetObject's headers."""
    bucket, version, source, _ = await service.ledger.read(lambda database: _find(service, call, database))
    _check(call, source)
    headers = {**_told(service, bucket, version, source), **metadata.to_answer(version.headers, call.query)}
    return Answer(headers=headers, length_bytes=source.size_bytes)


async def get_object_meta(service: Service, call: Call) -> Answer:
    """GetObjectMeta: size, ETag, time, version and crc64 only."""
    bucket, version, source, _ = await service.ledger.read(lambda database: _find(service, call, database))
    return Answer(headers=_described(bucket, version, source), length_bytes=source.size_bytes)


def _find(service: Service, call: Call, database: sqlite3.Connection) -> tuple[Bucket, Version, Version, list[Segment]]:
    """The bucket, the version named, the one whose bytes are read (another for a link), and those bytes' segments."""
    bucket = service.require(call, database)
    version = select_version(database, bucket, call.key, call.query.get("versionId"))
    source = followed(database, bucket, version)
    return bucket, version, source, contents.segments(database, source.content) if call.method == "GET" else []


def _check(call: Call, version: Version) -> None:
    ranges.check_conditions(call.headers, prefix="", etag=version.etag, modified_ns=version.modified_ns)


def _told(service: Service, bucket: Bucket, version: Version, source: Version) -> dict[str, str]:
    """What GET and HEAD tell beside the headers stored with the object."""
    headers = {**_described(bucket, version, source), **tagging.count_header(version.traits.tags)}
    if restored := restoring.describe(source, service.clock()):
        headers["x-oss-restore"] = restored
    if source.kind == APPENDABLE:
        headers[NEXT_POSITION] = str(source.size_bytes)
    return headers


def _described(bucket: Bucket, version: Version, source: Version) -> dict[str, str]:
    """Of a link: size, ETag, MD5 and CRC are the target's, the time is the later one, the rest is its own."""
    headers = {
        "ETag": f'"{source.etag}"',
        "Last-Modified": http_time(max(version.modified_ns, source.modified_ns)),
        "Accept-Ranges": "bytes",
        "x-oss-object-type": version.kind,
        **version_header(bucket, version.version_id),
    }
    if source.crc64 is not None:
        headers["x-oss-hash-crc64ecma"] = str(source.crc64)
    if source.kind == "Normal" and len(source.etag) == 32:
        headers["Content-MD5"] = base64.b64encode(bytes.fromhex(source.etag)).decode("ascii")
    elif source.traits.md5:
        headers["Content-MD5"] = source.traits.md5
    return headers


async def read_span(service: Service, segments: list[Segment], span: Span) -> AsyncGenerator[bytes, None]:
    """The bytes of `span`, segment by segment."""
    offset, remaining = span.offset_bytes, span.length_bytes
    for segment in segments:
        if remaining == 0:
            return
        if offset >= segment.size_bytes:
            offset -= segment.size_bytes
            continue
        length = min(segment.size_bytes - offset, remaining)
        inline = segment.inline
        if inline is None and segment.size_bytes <= INLINE_MAX_BYTES:
            inline = await service.ledger.read(partial(_inline, segment.blob))
        if inline is not None:
            yield inline[offset : offset + length]
        else:
            async for block in service.vault.read(segment.blob, offset, length):
                yield block
        offset, remaining = 0, remaining - length


def _inline(blob: str, database: sqlite3.Connection) -> bytes | None:
    return contents.inline(database, blob)
