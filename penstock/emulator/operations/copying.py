"""CopyObject: a new version that shares the source's bytes. Calls the ledger only."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from penstock.emulator.operations import metadata, restoring
from penstock.emulator.operations.appending import APPENDABLE
from penstock.emulator.operations.selection import select_version, version_header
from penstock.emulator.protocol import names, ranges
from penstock.emulator.protocol.answer import Answer, document, xml_time
from penstock.emulator.protocol.call import Call
from penstock.emulator.protocol.documents import Element
from penstock.emulator.protocol.errors import invalid_argument, no_such_bucket, not_implemented
from penstock.emulator.service import Service
from penstock.emulator.storage import buckets, contents, versions
from penstock.emulator.storage.buckets import Bucket, Versioning
from penstock.emulator.storage.ledger import Transaction
from penstock.emulator.storage.traits import Traits
from penstock.emulator.storage.versions import Draft, Version


def copy_source(call: Call) -> tuple[str, bytes, str | None]:
    """Bucket, key and version id of x-oss-copy-source. Raises OssFault 400."""
    text = call.header("x-oss-copy-source")
    path, _, query = text.partition("?")
    raw = unquote_to_bytes(path)
    bucket, slash, key = raw.removeprefix(b"/").partition(b"/")
    name = bucket.decode("utf-8", "replace")
    if not slash or not names.is_bucket_name(name):
        raise invalid_argument("x-oss-copy-source is /bucket/key.", name="x-oss-copy-source", value=text)
    names.check_object_key(key)
    if not query:
        return name, key, None
    parameter, _, value = query.partition("=")
    if parameter != "versionId":
        raise invalid_argument("x-oss-copy-source may name a versionId only.", name="x-oss-copy-source", value=text)
    return name, key, value


def _replaces_tags(call: Call) -> bool:
    """Whether the copy's tags are the request's. Raises OssFault 400 InvalidArgument."""
    directive = call.header("x-oss-tagging-directive", "COPY").upper()
    if directive not in {"COPY", "REPLACE"}:
        raise invalid_argument("Copy or Replace.", name="x-oss-tagging-directive", value=directive)
    return directive == "REPLACE"


async def copy_object(service: Service, call: Call) -> Answer:
    """CopyObject: the copy shares the source's bytes."""
    source_bucket, source_key, source_version = copy_source(call)
    directive = call.header("x-oss-metadata-directive", "COPY").upper()
    if directive not in {"COPY", "REPLACE"}:
        raise invalid_argument("COPY or REPLACE.", name="x-oss-metadata-directive", value=directive)
    forbid = call.flag("x-oss-forbid-overwrite")
    replacement, asked = metadata.from_request(call), metadata.traits_from_request(call)
    retag = _replaces_tags(call)
    content, token, now_ns = service.new_token(), service.new_token(), service.clock()

    def commit(transaction: Transaction) -> tuple[Bucket, Bucket, Version, str]:
        bucket = service.require(call, transaction)
        origin = buckets.find(transaction.database, source_bucket)
        if origin is None:
            raise no_such_bucket(source_bucket)
        source = select_version(transaction.database, origin, source_key, source_version)
        ranges.check_conditions(
            call.headers, prefix="x-oss-copy-source-", etag=source.etag, modified_ns=source.modified_ns
        )
        if forbid:
            versions.refuse_overwrite(transaction.database, bucket, call.key)
        restoring.require_readable(source, now_ns)
        if source.kind == APPENDABLE:  # OSS has documented that it refuses them, and no longer says what it does
            raise not_implemented("a copy of an object that was made by appends")
        if source.content is not None:
            contents.join(transaction, content, [source.content])
        headers = dict(replacement if directive == "REPLACE" else source.headers)
        headers |= metadata.encryption_of(replacement)
        headers[metadata.STORAGE_CLASS] = replacement.get(metadata.STORAGE_CLASS, bucket.storage)
        draft = Draft(
            kind=source.kind,
            size_bytes=source.size_bytes,
            etag=source.etag,
            crc64=source.crc64,
            headers=headers,
            content=None if source.content is None else content,
            traits=Traits(acl=asked.acl, tags=asked.tags if retag else source.traits.tags, target=source.traits.target),
        )
        chosen = versions.add(transaction, bucket, call.key, draft, token=token, modified_ns=now_ns)
        return bucket, origin, source, chosen

    bucket, origin, source, chosen = await service.ledger.write(commit)
    headers = {"ETag": f'"{source.etag}"', **version_header(bucket, chosen)}
    if source.crc64 is not None:
        headers["x-oss-hash-crc64ecma"] = str(source.crc64)
    if origin.versioning is not Versioning.UNSET:
        headers["x-oss-copy-source-version-id"] = source.version_id
    root = Element("CopyObjectResult", [Element("ETag", f'"{source.etag}"'), Element("LastModified", xml_time(now_ns))])
    return document(root, headers=headers)
