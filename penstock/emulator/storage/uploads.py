"""Multipart uploads and their parts in the ledger. Calls sqlite3 through what it is handed."""

# ruff: noqa: S608 - only constant column lists are put into SQL; every value is bound

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penstock.emulator.protocol.errors import no_such_upload
from penstock.emulator.storage import contents
from penstock.emulator.storage.buckets import Bucket
from penstock.emulator.storage.ledger import Transaction
from penstock.emulator.storage.traits import Traits, from_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An unfinished upload. Ids sort by the time they were given."""

    id: str
    key: bytes
    initiated_ns: int
    headers: Mapping[str, str]
    traits: Traits


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part that arrived whole."""

    number: int
    size_bytes: int
    etag: str
    crc64: int
    modified_ns: int
    content: str


_UPLOAD = "upload, key, initiated_ns, headers, traits"
_PART = "number, size_bytes, etag, crc64, modified_ns, content"


def _upload(row: tuple[Any, ...]) -> Upload:
    return Upload(id=row[0], key=row[1], initiated_ns=row[2], headers=json.loads(row[3]), traits=from_json(row[4]))


def _part(row: tuple[Any, ...]) -> Part:
    return Part(number=row[0], size_bytes=row[1], etag=row[2], crc64=int(row[3]), modified_ns=row[4], content=row[5])


def create(transaction: Transaction, bucket: Bucket, upload: Upload) -> None:
    """Begin an upload."""
    transaction.database.execute(
        "INSERT INTO uploads (upload, bucket, key, initiated_ns, headers, traits) VALUES (?, ?, ?, ?, ?, ?)",
        (
            upload.id,
            bucket.id,
            upload.key,
            upload.initiated_ns,
            json.dumps(dict(upload.headers)),
            upload.traits.to_json(),
        ),
    )


def require(database: sqlite3.Connection, bucket: Bucket, key: bytes, upload_id: str) -> Upload:
    """The upload of this key. Raises OssFault 404 NoSuchUpload."""
    row = database.execute(
        f"SELECT {_UPLOAD} FROM uploads WHERE upload = ? AND bucket = ? AND key = ?", (upload_id, bucket.id, key)
    ).fetchone()
    if row is None:
        raise no_such_upload(upload_id)
    return _upload(row)


def put_part(transaction: Transaction, upload: Upload, part: Part) -> None:
    """Add a part; one of the same number is replaced."""
    database = transaction.database
    old = database.execute(
        "DELETE FROM parts WHERE upload = ? AND number = ? RETURNING content", (upload.id, part.number)
    ).fetchone()
    if old is not None:
        contents.drop(transaction, old[0])
    database.execute(
        "INSERT INTO parts (upload, number, size_bytes, etag, crc64, modified_ns, content) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (upload.id, part.number, part.size_bytes, part.etag, str(part.crc64), part.modified_ns, part.content),
    )


def parts(database: sqlite3.Connection, upload: Upload, *, after: int = 0, limit: int = -1) -> list[Part]:
    """Parts in order of number, behind number `after`; all of them by default."""
    rows = database.execute(
        f"SELECT {_PART} FROM parts WHERE upload = ? AND number > ? ORDER BY number LIMIT ?", (upload.id, after, limit)
    )
    return [_part(row) for row in rows]


def remove(transaction: Transaction, upload: Upload) -> None:
    """End the upload; blobs that no version consists of are freed."""
    for part in parts(transaction.database, upload):
        contents.drop(transaction, part.content)
    transaction.database.execute("DELETE FROM uploads WHERE upload = ?", (upload.id,))


def page(
    database: sqlite3.Connection, bucket: Bucket, *, key: bytes, upload_id: str, before: bytes | None, limit: int
) -> list[Upload]:
    """Uploads in order of (key, id) behind (`key`, `upload_id`), of keys less than `before`."""
    rows = database.execute(
        f"SELECT {_UPLOAD} FROM uploads WHERE bucket = ? AND (key, upload) > (?, ?) AND (?4 IS NULL OR key < ?4)"
        " ORDER BY key, upload LIMIT ?5",
        (bucket.id, key, upload_id, before, limit),
    )
    return [_upload(row) for row in rows]
