"""AppendObject: bytes join the end of an object of kind Appendable, in place. Calls the ledger and the vault."""

from __future__ import annotations

import hashlib
import sqlite3

from penstock.emulator.operations import metadata
from penstock.emulator.operations.intake import PUT_MAX_BYTES, take_in
from penstock.emulator.operations.selection import version_header
from penstock.emulator.protocol.answer import Answer
from penstock.emulator.protocol.call import Call
from penstock.emulator.protocol.checksum import combine
from penstock.emulator.protocol.errors import OssFault, invalid_argument
from penstock.emulator.service import Service
from penstock.emulator.storage import contents, versions
from penstock.emulator.storage.buckets import Bucket
from penstock.emulator.storage.ledger import Transaction
from penstock.emulator.storage.vault import Blob
from penstock.emulator.storage.versions import Draft, Version

APPENDABLE = "Appendable"
POSITION_MAX = 2**62
NEXT_POSITION = "x-oss-next-append-position"


async def append_object(service: Service, call: Call) -> Answer:
    """AppendObject: makes the object at position 0, grows it at its end; its version stays the same."""
    if "position" not in call.query:
        raise invalid_argument("An append needs a position.", name="position", value="")
    position = call.number("position", default=0, least=0, most=POSITION_MAX)
    if position == 0:  # later ones change neither tags nor ACL, so nobody looks at them
        metadata.traits_from_request(call)

    def place(database: sqlite3.Connection) -> tuple[Bucket, Version | None]:
        bucket = service.require(call, database)
        return bucket, _grown(call, versions.newest(database, bucket, call.key), position)

    await service.ledger.read(place)
    blob = await take_in(service, call)

    def commit(transaction: Transaction) -> tuple[dict[str, str], int, int]:
        bucket, version = place(transaction.database)
        if version is None:
            return _begin(service, call, transaction, bucket, blob)
        return _grow(service, transaction, bucket, version, blob)

    try:
        headers, size_bytes, crc64 = await service.ledger.write(commit)
    except BaseException:
        service.vault.forget(blob)
        raise
    return Answer(headers={**headers, NEXT_POSITION: str(size_bytes), "x-oss-hash-crc64ecma": str(crc64)})


def _grown(call: Call, newest: Version | None, position: int) -> Version | None:
    """The version to grow; None to begin one. Raises OssFault 409."""
    found = None if newest is None or newest.is_marker else newest
    if found is not None and found.kind != APPENDABLE:
        raise OssFault(409, "ObjectNotAppendable", "The object was not made by an append.")
    size_bytes = 0 if found is None else found.size_bytes
    if position != size_bytes:
        raise OssFault(
            409,
            "PositionNotEqualToLength",
            "The position is not where the object ends.",
            headers={NEXT_POSITION: str(size_bytes)},
        )
    if position + (call.body.length_bytes or 0) > PUT_MAX_BYTES:
        raise OssFault(
            400, "EntityTooLarge", "The object is too large.", elements={"MaxSizeAllowed": str(PUT_MAX_BYTES)}
        )
    return found


def _begin(
    service: Service, call: Call, transaction: Transaction, bucket: Bucket, blob: Blob
) -> tuple[dict[str, str], int, int]:
    content, etag = service.new_token(), _etag("", blob)
    contents.add(transaction, content, blob)
    draft = Draft(
        kind=APPENDABLE,
        size_bytes=blob.size_bytes,
        etag=etag,
        crc64=blob.crc64,
        headers=metadata.in_bucket(metadata.from_request(call), bucket),
        content=content,
        traits=metadata.traits_from_request(call),
    )
    chosen = versions.add(transaction, bucket, call.key, draft, token=service.new_token(), modified_ns=service.clock())
    return {"ETag": f'"{etag}"', **version_header(bucket, chosen)}, blob.size_bytes, blob.crc64


def _grow(
    service: Service, transaction: Transaction, bucket: Bucket, version: Version, blob: Blob
) -> tuple[dict[str, str], int, int]:
    assert version.content is not None
    assert version.crc64 is not None
    contents.extend(transaction, version.content, blob)
    size_bytes, etag = version.size_bytes + blob.size_bytes, _etag(version.etag, blob)
    crc64 = combine([(version.crc64, version.size_bytes), (blob.crc64, blob.size_bytes)])
    versions.grow(transaction, version, size_bytes=size_bytes, etag=etag, crc64=crc64, modified_ns=service.clock())
    return {"ETag": f'"{etag}"', **version_header(bucket, version.version_id)}, size_bytes, crc64


def _etag(before: str, blob: Blob) -> str:
    """Other for every state of the object, and visibly no MD5."""
    digest = hashlib.md5(before.encode() + blob.md5, usedforsecurity=False).hexdigest().upper()
    return f"{digest[:24]}00000000"
