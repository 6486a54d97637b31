"""Reading objects: GetObject, HeadObject, GetObjectMeta. Calls the ledger and the vault; changes nothing."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import AsyncGenerator
from functools import partial

from penstock.emulator.operations import metadata
from penstock.emulator.operations.selection import select_version, version_header
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
        bucket, version, segments = await service.ledger.read(lambda database: _find(service, call, database))
        _check(call, version)
        span = Span(offset_bytes=0, length_bytes=version.size_bytes, partial=False)
        if "range" in call.headers:
            behavior = call.header("x-oss-range-behavior").lower()
            span = ranges.resolve(call.header("range"), behavior, version.size_bytes)
        headers = {**_described(bucket, version), **metadata.to_answer(version.headers, call.query)}
    except BaseException:
        service.vault.end_reading(ticket)
        raise
    if span.partial:
        last = span.offset_bytes + span.length_bytes - 1
        headers["Content-Range"] = f"bytes {span.offset_bytes}-{last}/{version.size_bytes}"
    return Answer(
        status=206 if span.partial else 200,
        headers=headers,
        stream=read_span(service, segments, span),
        length_bytes=span.length_bytes,
        release=lambda: service.vault.end_reading(ticket),
    )


async def head_object(service: Service, call: Call) -> Answer:
    """HeadObject: all of GetObject's headers."""
    bucket, version, _ = await service.ledger.read(lambda database: _find(service, call, database))
    _check(call, version)
    headers = {**_described(bucket, version), **metadata.to_answer(version.headers, call.query)}
    return Answer(headers=headers, length_bytes=version.size_bytes)


async def get_object_meta(service: Service, call: Call) -> Answer:
    """GetObjectMeta: size, ETag, time, version and crc64 only."""
    bucket, version, _ = await service.ledger.read(lambda database: _find(service, call, database))
    return Answer(headers=_described(bucket, version), length_bytes=version.size_bytes)


def _find(service: Service, call: Call, database: sqlite3.Connection) -> tuple[Bucket, Version, list[Segment]]:
    bucket = service.require(call, database)
    version = select_version(database, bucket, call.key, call.query.get("versionId"))
    return bucket, version, contents.segments(database, version.content) if call.method == "GET" else []


def _check(call: Call, version: Version) -> None:
    ranges.check_conditions(call.headers, prefix="", etag=version.etag, modified_ns=version.modified_ns)


def _described(bucket: Bucket, version: Version) -> dict[str, str]:
    headers = {
        "ETag": f'"{version.etag}"',
        "Last-Modified": http_time(version.modified_ns),
        "Accept-Ranges": "bytes",
        "x-oss-object-type": version.kind,
        **version_header(bucket, version.version_id),
    }
    if version.crc64 is not None:
        headers["x-oss-hash-crc64ecma"] = str(version.crc64)
    if version.kind == "Normal" and len(version.etag) == 32:
        headers["Content-MD5"] = base64.b64encode(bytes.fromhex(version.etag)).decode("ascii")
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
