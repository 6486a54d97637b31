"""Multipart uploads: Initiate, UploadPart, UploadPartCopy, Complete, Abort, ListParts. Calls the ledger and the vault.

Complete copies no byte: the new version consists of the parts' segments.
"""

from __future__ import annotations

import base64
import hashlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from penstock.emulator.operations import callback, metadata
from penstock.emulator.operations.acl import asked_object_acl
from penstock.emulator.operations.encoding import Encoding
from penstock.emulator.operations.intake import digest_headers, read_document, take_in
from penstock.emulator.operations.reading import read_span
from penstock.emulator.operations.selection import version_header
from penstock.emulator.protocol import documents
from penstock.emulator.protocol.answer import Answer, document, xml_time
from penstock.emulator.protocol.call import Call
from penstock.emulator.protocol.checksum import combine
from penstock.emulator.protocol.documents import Element
from penstock.emulator.protocol.errors import OssFault, invalid_argument, malformed_xml
from penstock.emulator.protocol.numerals import whole_number
from penstock.emulator.protocol.ranges import Span
from penstock.emulator.service import Service
from penstock.emulator.storage import contents, uploads, versions
from penstock.emulator.storage.buckets import Bucket
from penstock.emulator.storage.contents import Segment
from penstock.emulator.storage.ledger import Transaction
from penstock.emulator.storage.uploads import Part, Upload
from penstock.emulator.storage.vault import Blob
from penstock.emulator.storage.versions import Draft

PART_NUMBER_MAX = 10_000
PART_MIN_BYTES = 100 * 1024
OBJECT_MAX_BYTES = 48_800 * 1024**3
COMPLETE_MAX_BYTES = 4 * 1024 * 1024
LIST_PARTS_MAX = 1000


async def initiate(service: Service, call: Call) -> Answer:
    """InitiateMultipartUpload."""
    encoding = Encoding.of(call.parameter("encoding-type"))
    forbid = call.flag("x-oss-forbid-overwrite")
    headers, upload_id, now_ns = metadata.from_request(call), service.ordered_id(), service.clock()
    traits = replace(metadata.traits_from_request(call), sequential="sequential" in call.query)

    def commit(transaction: Transaction) -> None:
        bucket = service.require(call, transaction)
        if forbid:
            versions.refuse_overwrite(transaction.database, bucket, call.key)
        kept = metadata.in_bucket(headers, bucket)
        upload = Upload(id=upload_id, key=call.key, initiated_ns=now_ns, headers=kept, traits=traits)
        uploads.create(transaction, bucket, upload)

    await service.ledger.write(commit)
    return document(
        Element(
            "InitiateMultipartUploadResult",
            [
                *encoding.note(),
                Element("Bucket", call.bucket),
                Element("Key", encoding.text(call.key)),
                Element("UploadId", upload_id),
            ],
        )
    )


async def upload_part(service: Service, call: Call) -> Answer:
    """UploadPart: a part of the same number is replaced."""
    number = part_number(call)
    await service.ledger.read(lambda database: require_turn(database, require_upload(service, call, database), number))
    blob = await take_in(service, call)
    await keep_part(service, call, number, blob)
    return Answer(headers=digest_headers(blob))


def part_number(call: Call) -> int:
    """Raises OssFault 400 InvalidArgument."""
    number = call.number("partNumber", default=0, least=1, most=PART_NUMBER_MAX)
    if number == 0:
        raise invalid_argument("A part needs a partNumber.", name="partNumber", value="")
    return number


def require_upload(service: Service, call: Call, database: sqlite3.Connection) -> Upload:
    """The upload that the call names. Raises OssFault 404 NoSuchBucket, NoSuchUpload."""
    return uploads.require(database, service.require(call, database), call.key, call.parameter("uploadId"))


def require_turn(database: sqlite3.Connection, upload: Upload, number: int) -> None:
    """Hold a part of a sequential upload against those before it. Raises OssFault 400 PartNotSequential."""
    if not upload.traits.sequential:
        return
    last = max((part.number for part in uploads.parts(database, upload)), default=0)
    if number not in {last, last + 1}:
        raise OssFault(400, "PartNotSequential", f"The next part of this upload is {last + 1}.")


async def keep_part(service: Service, call: Call, number: int, blob: Blob) -> Part:
    """Commit `blob` as a part, or forget it. Raises OssFault 404 if the upload has gone meanwhile."""
    part = Part(
        number=number,
        size_bytes=blob.size_bytes,
        etag=blob.md5.hex().upper(),
        crc64=blob.crc64,
        modified_ns=service.clock(),
        content=service.new_token(),
    )

    def commit(transaction: Transaction) -> None:
        upload = require_upload(service, call, transaction.database)
        require_turn(transaction.database, upload, number)
        contents.add(transaction, part.content, blob)
        uploads.put_part(transaction, upload, part)

    try:
        await service.ledger.write(commit)
    except BaseException:
        service.vault.forget(blob)
        raise
    return part


async def abort(service: Service, call: Call) -> Answer:
    """AbortMultipartUpload."""

    def commit(transaction: Transaction) -> None:
        uploads.remove(transaction, require_upload(service, call, transaction.database))

    await service.ledger.free(commit)
    return Answer(status=204)


# ------------------------------------------------------------------------------------------------------------- complete


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    number: int
    etag: str


async def complete(service: Service, call: Call) -> Answer:
    """CompleteMultipartUpload, of the parts listed or (x-oss-complete-all: yes) of all."""
    encoding = Encoding.of(call.parameter("encoding-type"))
    forbid = call.flag("x-oss-forbid-overwrite")
    listed = _listed(call, await read_document(call, COMPLETE_MAX_BYTES))
    asked_acl, digested = asked_object_acl(call), await _digest_in_sequence(service, call)
    content, token, now_ns = service.new_token(), service.new_token(), service.clock()

    def commit(transaction: Transaction) -> tuple[Bucket, Draft, str]:
        bucket = service.require(call, transaction)
        upload = uploads.require(transaction.database, bucket, call.key, call.parameter("uploadId"))
        chosen = _chosen(call, uploads.parts(transaction.database, upload), listed)
        if forbid:
            versions.refuse_overwrite(transaction.database, bucket, call.key)
        pieces = [part.content for part in chosen]
        contents.join(transaction, content, pieces)
        md5 = digested.md5 if digested.pieces == pieces else ""
        draft = Draft(
            kind="Multipart",
            size_bytes=sum(part.size_bytes for part in chosen),
            etag=_etag(chosen),
            crc64=combine((part.crc64, part.size_bytes) for part in chosen),
            headers=upload.headers,
            content=content,
            traits=replace(upload.traits, sequential=False, md5=md5, acl=asked_acl or upload.traits.acl),
        )
        uploads.remove(transaction, upload)
        number = versions.add(transaction, bucket, call.key, draft, token=token, modified_ns=now_ns)
        return bucket, draft, number

    bucket, draft, chosen_id = await service.ledger.write(commit)
    root = Element(
        "CompleteMultipartUploadResult",
        [
            *encoding.note(),
            Element("Location", f"http://{call.host}/{call.bucket}/{Encoding(name='url').text(call.key)}"),
            Element("Bucket", call.bucket),
            Element("Key", encoding.text(call.key)),
            Element("ETag", f'"{draft.etag}"'),
        ],
    )
    headers = {
        "ETag": f'"{draft.etag}"',
        "x-oss-hash-crc64ecma": str(draft.crc64),
        **version_header(bucket, chosen_id),
        **metadata.encryption_of(draft.headers),
    }
    return callback.refused(call, document(root, headers=headers))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Digested:
    """The MD5 of parts put together, in base64; nothing is known of other parts, or of these when one was sent again."""

    pieces: list[str]
    md5: str


async def _digest_in_sequence(service: Service, call: Call) -> _Digested:
    """Read a sequential upload's parts once more: their object tells its MD5, which ETags cannot give. Of others: nothing."""

    def look(database: sqlite3.Connection) -> tuple[list[str], list[Segment]]:
        upload = require_upload(service, call, database)
        pieces = [part.content for part in uploads.parts(database, upload)] if upload.traits.sequential else []
        return pieces, [segment for piece in pieces for segment in contents.segments(database, piece)]

    ticket = service.vault.begin_reading()
    try:
        pieces, segments = await service.ledger.read(look)
        digest = hashlib.md5(usedforsecurity=False)
        whole = Span(offset_bytes=0, length_bytes=sum(segment.size_bytes for segment in segments), partial=False)
        async for block in read_span(service, segments, whole):
            digest.update(block)
    finally:
        service.vault.end_reading(ticket)
    return _Digested(pieces=pieces, md5=base64.b64encode(digest.digest()).decode("ascii"))


def _listed(call: Call, body: bytes) -> list[_Listed] | None:
    everything = call.header("x-oss-complete-all")
    if everything:
        if everything.lower() != "yes":
            raise invalid_argument("x-oss-complete-all is yes.", name="x-oss-complete-all", value=everything)
        if body.strip():
            raise invalid_argument("x-oss-complete-all takes no body.", name="x-oss-complete-all", value=everything)
        return None
    root = documents.parse(body, "CompleteMultipartUpload")
    listed = []
    for node in documents.children(root, "Part"):
        text = documents.text_of(node, "PartNumber").strip()
        number = whole_number(text)
        if number is None or not 1 <= number <= PART_NUMBER_MAX:
            raise invalid_argument(f"Part numbers are 1 to {PART_NUMBER_MAX}.", name="PartNumber", value=text[:64])
        listed.append(_Listed(number=number, etag=documents.text_of(node, "ETag").strip().strip('"').upper()))
    if not listed:
        raise malformed_xml("A CompleteMultipartUpload names at least one Part.")
    for earlier, later in pairwise(listed):
        if later.number <= earlier.number:
            raise OssFault(
                400,
                "InvalidPartOrder",
                "Parts are listed in ascending order of number.",
                elements={"PartNumber": str(later.number), "UploadId": call.parameter("uploadId")},
            )
    return listed


def _chosen(call: Call, kept: Sequence[Part], listed: list[_Listed] | None) -> list[Part]:
    upload_id = call.parameter("uploadId")
    if listed is None:
        chosen = list(kept)
        if not chosen:
            raise OssFault(400, "InvalidPart", "The upload has no parts.", elements={"UploadId": upload_id})
    else:
        by_number = {part.number: part for part in kept}
        chosen = []
        for wanted in listed:
            part = by_number.get(wanted.number)
            if part is None or part.etag != wanted.etag:
                raise OssFault(
                    400,
                    "InvalidPart",
                    "A part is missing, or its ETag is another.",
                    elements={"PartNumber": str(wanted.number), "ETag": wanted.etag, "UploadId": upload_id},
                )
            chosen.append(part)
    for part in chosen[:-1]:
        if part.size_bytes < PART_MIN_BYTES:
            raise OssFault(
                400,
                "EntityTooSmall",
                "Only the last part may be smaller than the least size.",
                elements={
                    "MinSizeAllowed": str(PART_MIN_BYTES),
                    "ProposedSize": str(part.size_bytes),
                    "PartNumber": str(part.number),
                    "ETag": part.etag,
                },
            )
    if sum(part.size_bytes for part in chosen) > OBJECT_MAX_BYTES:
        raise OssFault(
            400, "EntityTooLarge", "The object is too large.", elements={"MaxSizeAllowed": str(OBJECT_MAX_BYTES)}
        )
    return chosen


def _etag(parts: Sequence[Part]) -> str:
    digest = hashlib.md5(b"".join(bytes.fromhex(part.etag) for part in parts), usedforsecurity=False)
    return f"{digest.hexdigest().upper()}-{len(parts)}"


# ----------------------------------------------------------------------------------------------------------- list parts


async def list_parts(service: Service, call: Call) -> Answer:
    """ListParts."""
    encoding = Encoding.of(call.parameter("encoding-type"))
    limit = call.number("max-parts", default=LIST_PARTS_MAX, least=1, most=LIST_PARTS_MAX)
    marker = call.number("part-number-marker", default=0, least=0, most=PART_NUMBER_MAX)

    def look(database: sqlite3.Connection) -> tuple[Upload, list[Part]]:
        upload = require_upload(service, call, database)
        return upload, uploads.parts(database, upload, after=marker, limit=limit + 1)

    upload, found = await service.ledger.read(look)
    page = found[:limit]
    root = Element(
        "ListPartsResult",
        [
            *encoding.note(),
            Element("Bucket", call.bucket),
            Element("Key", encoding.text(call.key)),
            Element("UploadId", upload.id),
            Element("StorageClass", upload.headers[metadata.STORAGE_CLASS]),
            Element("PartNumberMarker", marker),
            Element("NextPartNumberMarker", page[-1].number if page else marker),
            Element("MaxParts", limit),
            Element("IsTruncated", "true" if len(found) > limit else "false"),
            *(_part(part) for part in page),
        ],
    )
    return document(root)


def _part(part: Part) -> Element:
    return Element(
        "Part",
        [
            Element("PartNumber", part.number),
            Element("LastModified", xml_time(part.modified_ns)),
            Element("ETag", f'"{part.etag}"'),
            Element("HashCrc64ecma", str(part.crc64)),
            Element("Size", part.size_bytes),
        ],
    )
