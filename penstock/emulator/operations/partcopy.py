"""UploadPartCopy: a part read from an object, or from a range of one. Calls the ledger and the vault."""

from __future__ import annotations

import sqlite3

from penstock.emulator.operations import restoring
from penstock.emulator.operations.copying import copy_source
from penstock.emulator.operations.intake import PUT_MAX_BYTES
from penstock.emulator.operations.multipart import keep_part, part_number, require_turn, require_upload
from penstock.emulator.operations.reading import read_span
from penstock.emulator.operations.selection import select_version
from penstock.emulator.operations.symlinks import followed
from penstock.emulator.protocol import ranges
from penstock.emulator.protocol.answer import Answer, document, xml_time
from penstock.emulator.protocol.call import Call
from penstock.emulator.protocol.documents import Element
from penstock.emulator.protocol.errors import OssFault, no_such_bucket
from penstock.emulator.protocol.ranges import Span
from penstock.emulator.service import Service
from penstock.emulator.storage import buckets, contents
from penstock.emulator.storage.buckets import Versioning
from penstock.emulator.storage.contents import Segment
from penstock.emulator.storage.versions import Version

_TOO_LARGE = OssFault(400, "EntityTooLarge", "The part is too large.", elements={"MaxSizeAllowed": str(PUT_MAX_BYTES)})


async def upload_part_copy(service: Service, call: Call) -> Answer:
    """UploadPartCopy. A range that does not lie inside the source is ignored, as in a GET."""
    number = part_number(call)
    name, key, version_id = copy_source(call)

    def look(database: sqlite3.Connection) -> tuple[Versioning, Version, list[Segment]]:
        require_turn(database, require_upload(service, call, database), number)
        origin = buckets.find(database, name)
        if origin is None:
            raise no_such_bucket(name)
        version = followed(database, origin, select_version(database, origin, key, version_id))
        restoring.require_readable(version, service.clock())
        return origin.versioning, version, contents.segments(database, version.content)

    ticket = service.vault.begin_reading()
    try:
        versioning, source, segments = await service.ledger.read(look)
        ranges.check_conditions(
            call.headers, prefix="x-oss-copy-source-", etag=source.etag, modified_ns=source.modified_ns
        )
        span = Span(offset_bytes=0, length_bytes=source.size_bytes, partial=False)
        if "x-oss-copy-source-range" in call.headers:
            span = ranges.resolve(call.header("x-oss-copy-source-range"), "", source.size_bytes)
        if span.length_bytes > PUT_MAX_BYTES:
            raise _TOO_LARGE
        body = read_span(service, segments, span)
        blob = await service.vault.take_in(body, size_max_bytes=PUT_MAX_BYTES, too_large=_TOO_LARGE)
    finally:
        service.vault.end_reading(ticket)
    part = await keep_part(service, call, number, blob)
    headers = {"ETag": f'"{part.etag}"', "x-oss-hash-crc64ecma": str(part.crc64)}
    if versioning is not Versioning.UNSET:
        headers["x-oss-copy-source-version-id"] = source.version_id
    told = [Element("LastModified", xml_time(part.modified_ns)), Element("ETag", f'"{part.etag}"')]
    return document(Element("CopyPartResult", told), headers=headers)
