"""ACLs: what requests name, and the two operations on an object's. Calls the ledger only."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from penstock.emulator.operations.owner import owner
from penstock.emulator.operations.selection import select_version, version_header
from penstock.emulator.protocol.answer import Answer, document
from penstock.emulator.protocol.call import Call
from penstock.emulator.protocol.documents import Element
from penstock.emulator.protocol.errors import invalid_argument
from penstock.emulator.service import Service
from penstock.emulator.storage import versions
from penstock.emulator.storage.buckets import Bucket
from penstock.emulator.storage.ledger import Transaction
from penstock.emulator.storage.traits import DEFAULT_ACL
from penstock.emulator.storage.versions import Version

PRIVATE, READ, WRITE = "private", "public-read", "public-read-write"
BUCKET_ACLS = (PRIVATE, READ, WRITE)
OBJECT_ACLS = (DEFAULT_ACL, *BUCKET_ACLS)


def asked_bucket_acl(call: Call) -> str | None:
    """The bucket ACL that a request names; None if it names none. Raises OssFault 400 InvalidArgument."""
    return _asked(call, "x-oss-acl", BUCKET_ACLS)


def asked_object_acl(call: Call) -> str | None:
    """The object ACL that a request names; None if it names none. Raises OssFault 400 InvalidArgument."""
    return _asked(call, "x-oss-object-acl", OBJECT_ACLS)


def _asked(call: Call, header: str, known: tuple[str, ...]) -> str | None:
    asked = call.headers.get(header)
    if asked is not None and asked not in known:
        raise invalid_argument("There is no such access control list.", name=header, value=asked)
    return asked


async def get_object_acl(service: Service, call: Call) -> Answer:
    """GetObjectACL."""

    def look(database: sqlite3.Connection) -> tuple[Bucket, Version]:
        bucket = service.require(call, database)
        return bucket, select_version(database, bucket, call.key, call.query.get("versionId"))

    bucket, version = await service.ledger.read(look)
    grant = Element("AccessControlList", [Element("Grant", version.traits.acl)])
    root = Element("AccessControlPolicy", [owner(), grant])
    return document(root, headers=version_header(bucket, version.version_id))


async def put_object_acl(service: Service, call: Call) -> Answer:
    """PutObjectACL, of the newest version or of the one named; no new version."""
    asked = asked_object_acl(call)
    if asked is None:
        raise invalid_argument("x-oss-object-acl is missing.", name="x-oss-object-acl", value="")

    def commit(transaction: Transaction) -> dict[str, str]:
        bucket = service.require(call, transaction)
        version = select_version(transaction.database, bucket, call.key, call.query.get("versionId"))
        versions.change_traits(transaction, version, replace(version.traits, acl=asked))
        return version_header(bucket, version.version_id)

    return Answer(headers=await service.ledger.write(commit))
