"""Unsigned requests: they do with objects what the ACLs allow, and nothing else. Calls the ledger only."""

from __future__ import annotations

import sqlite3

from penstock.emulator.operations.acl import READ, WRITE
from penstock.emulator.operations.symlinks import SYMLINK, followed
from penstock.emulator.protocol.call import Call
from penstock.emulator.protocol.errors import OssFault
from penstock.emulator.service import Service
from penstock.emulator.storage import versions
from penstock.emulator.storage.buckets import Bucket
from penstock.emulator.storage.traits import DEFAULT_ACL
from penstock.emulator.storage.versions import Version

_READING = frozenset({"GET", "HEAD"})
# What is the owner's alone, whatever the ACL says: rights, tags, and what is read from elsewhere in the owner's name.
_OWNERS_PARAMETERS = frozenset({"acl", "restore", "tagging"})
_OWNERS_HEADERS = frozenset({"x-oss-copy-source", "x-oss-object-acl"})


async def admit_stranger(service: Service, call: Call) -> None:
    """Let an unsigned request through where the object's ACL, or else the bucket's, allows it.

    Raises OssFault 403 AccessDenied, 404 NoSuchBucket, 400 InvalidRequest (response-* needs a signature).
    """
    if not call.bucket:
        raise _denied()
    allowed = await service.ledger.read(lambda database: _allowed(service, call, database))
    if not allowed or call.query.keys() & _OWNERS_PARAMETERS or call.headers.keys() & _OWNERS_HEADERS:
        raise _denied()
    if any(name.startswith("response-") for name in call.query):
        raise OssFault(400, "InvalidRequest", "response-* parameters are for signed requests.")


def _allowed(service: Service, call: Call, database: sqlite3.Connection) -> bool:
    bucket = service.require(call, database)
    if not call.key:
        return False
    named = call.query.get("versionId")
    found = (
        versions.newest(database, bucket, call.key)
        if named is None
        else versions.by_id(database, bucket, call.key, named)
    )
    if call.method not in _READING or "uploadId" in call.query:
        return _in_force(bucket, found) == WRITE
    if found is not None and found.kind == SYMLINK and "symlink" not in call.query:
        target = followed(database, bucket, found)  # who may not read the target may not read it by a link
        return _in_force(bucket, found) in {READ, WRITE} and _in_force(bucket, target) in {READ, WRITE}
    return _in_force(bucket, found) in {READ, WRITE}


def _in_force(bucket: Bucket, version: Version | None) -> str:
    return bucket.acl if version is None or version.traits.acl == DEFAULT_ACL else version.traits.acl


def _denied() -> OssFault:
    return OssFault(403, "AccessDenied", "Only signed requests may do that here.")
