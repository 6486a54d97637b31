"""Symbolic links: PutSymlink, GetSymlink, and whose bytes a read of one gives. Calls the ledger only."""

from __future__ import annotations

import hashlib
import sqlite3
from urllib.parse import unquote_to_bytes

from penstock.emulator.operations import metadata
from penstock.emulator.operations.selection import select_version, version_header
from penstock.emulator.protocol import names
from penstock.emulator.protocol.answer import Answer, http_time
from penstock.emulator.protocol.call import Call
from penstock.emulator.protocol.errors import OssFault, invalid_argument
from penstock.emulator.service import Service
from penstock.emulator.storage import versions
from penstock.emulator.storage.buckets import Bucket
from penstock.emulator.storage.ledger import Transaction
from penstock.emulator.storage.traits import Traits
from penstock.emulator.storage.versions import Draft, Version

SYMLINK = "Symlink"
TARGET = "x-oss-symlink-target"


async def put_symlink(service: Service, call: Call) -> Answer:
    """PutSymlink: a version of its own that points to a key of the same bucket. The target need not be there."""
    target = call.header(TARGET)
    if not target:
        raise invalid_argument("A link needs a target.", name=TARGET, value="")
    names.check_object_key(_key(target))
    forbid = call.flag("x-oss-forbid-overwrite")
    headers, asked = metadata.from_request(call), metadata.traits_from_request(call)
    traits = Traits(acl=asked.acl, tags=asked.tags, target=target)
    etag = hashlib.md5(_key(target), usedforsecurity=False).hexdigest().upper()
    token, now_ns = service.new_token(), service.clock()

    def commit(transaction: Transaction) -> dict[str, str]:
        bucket = service.require(call, transaction)
        if forbid:
            versions.refuse_overwrite(transaction.database, bucket, call.key)
        kept = metadata.in_bucket(headers, bucket)
        draft = Draft(kind=SYMLINK, size_bytes=0, etag=etag, crc64=None, headers=kept, content=None, traits=traits)
        chosen = versions.add(transaction, bucket, call.key, draft, token=token, modified_ns=now_ns)
        return version_header(bucket, chosen)

    return Answer(headers={"ETag": f'"{etag}"', **await service.ledger.write(commit)})


async def get_symlink(service: Service, call: Call) -> Answer:
    """GetSymlink: where it points, the way it was given."""

    def look(database: sqlite3.Connection) -> tuple[Bucket, Version]:
        bucket = service.require(call, database)
        return bucket, select_version(database, bucket, call.key, call.query.get("versionId"))

    bucket, version = await service.ledger.read(look)
    if version.kind != SYMLINK:
        raise OssFault(400, "NotSymlink", "The object is no symbolic link.")
    headers = {
        TARGET: version.traits.target,
        "ETag": f'"{version.etag}"',
        "Last-Modified": http_time(version.modified_ns),
        **version_header(bucket, version.version_id),
        **metadata.to_answer(version.headers, call.query),
    }
    return Answer(headers=headers)


def followed(database: sqlite3.Connection, bucket: Bucket, version: Version) -> Version:
    """The version that is read where `version` is: itself, or what it points to.

    Raises OssFault 404 SymlinkTargetNotExist, 400 InvalidTargetType for a link to a link.
    """
    if version.kind != SYMLINK:
        return version
    found = versions.newest(database, bucket, _key(version.traits.target))
    if found is None or found.is_marker:
        raise OssFault(404, "SymlinkTargetNotExist", "The link points to an object that does not exist.")
    if found.kind == SYMLINK:
        raise OssFault(400, "InvalidTargetType", "The link points to a link.")
    return found


def _key(target: str) -> bytes:
    return unquote_to_bytes(target.encode("utf-8", "surrogateescape"))
