"""Buckets in the ledger: rows, tags, versioning, and what a bucket holds. Calls sqlite3 through what it is handed."""

# ruff: noqa: S608 - only constant column lists are put into SQL; every value is bound

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from penstock.emulator.protocol.errors import OssFault


class Versioning(StrEnum):
    """The three states of a bucket; once set it never goes back to UNSET."""

    UNSET = ""
    ENABLED = "Enabled"
    SUSPENDED = "Suspended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A bucket's row. `id` is the ledger's, never shown."""

    id: int
    name: str
    created_ns: int
    versioning: Versioning
    storage: str
    redundancy: str
    acl: str


_CLASS = "json_extract(headers, '$.x-oss-storage-class')"
_COLUMNS = "bucket, name, created_ns, versioning, storage, redundancy, acl"


def _bucket(row: tuple[int, str, int, str, str, str, str]) -> Bucket:
    return Bucket(
        id=row[0],
        name=row[1],
        created_ns=row[2],
        versioning=Versioning(row[3]),
        storage=row[4],
        redundancy=row[5],
        acl=row[6],
    )


def find(database: sqlite3.Connection, name: str) -> Bucket | None:
    """The bucket of this name, if there is one."""
    row = database.execute(f"SELECT {_COLUMNS} FROM buckets WHERE name = ?", (name,)).fetchone()
    return _bucket(row) if row else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which buckets a listing tells: behind `marker`, beginning with `prefix`, with a tag of this name and value if given."""

    prefix: str = ""
    marker: str = ""
    tag_name: str | None = None
    tag_value: str | None = None


def page(database: sqlite3.Connection, wanted: Wanted, *, limit: int) -> list[Bucket]:
    """Buckets in order of name."""
    rows = database.execute(
        f"SELECT {_COLUMNS} FROM buckets WHERE name > ?1 AND substr(name, 1, ?2) = ?3"
        " AND (?4 IS NULL OR EXISTS (SELECT 1 FROM bucket_tags AS tags WHERE tags.bucket = buckets.bucket"
        " AND tags.name = ?4 AND (?5 IS NULL OR tags.value = ?5))) ORDER BY name LIMIT ?6",
        (wanted.marker, len(wanted.prefix), wanted.prefix, wanted.tag_name, wanted.tag_value, limit),
    )
    return [_bucket(row) for row in rows]


def create(database: sqlite3.Connection, *, name: str, created_ns: int, storage: str, redundancy: str) -> None:
    """Make the bucket; making it again the same way changes nothing. Raises OssFault 409 BucketAlreadyExists."""
    found = find(database, name)
    if found is None:
        database.execute(
            "INSERT INTO buckets (name, created_ns, versioning, storage, redundancy) VALUES (?, ?, '', ?, ?)",
            (name, created_ns, storage, redundancy),
        )
    elif (found.storage, found.redundancy) != (storage, redundancy):
        raise OssFault(
            409, "BucketAlreadyExists", "The bucket exists with other properties.", elements={"BucketName": name}
        )


def remove(database: sqlite3.Connection, bucket: Bucket) -> None:
    """Remove an empty bucket. Raises OssFault 409 BucketNotEmpty (versions and unfinished uploads count)."""
    for table in ("versions", "uploads"):
        if database.execute(f"SELECT 1 FROM {table} WHERE bucket = ? LIMIT 1", (bucket.id,)).fetchone():
            raise OssFault(
                409,
                "BucketNotEmpty",
                f"The bucket still has {table}.",
                elements={"BucketName": bucket.name},
            )
    database.execute("DELETE FROM buckets WHERE bucket = ?", (bucket.id,))


def set_versioning(database: sqlite3.Connection, bucket: Bucket, versioning: Versioning) -> None:
    """Enable or suspend versioning."""
    database.execute("UPDATE buckets SET versioning = ? WHERE bucket = ?", (versioning.value, bucket.id))


def set_acl(database: sqlite3.Connection, bucket: Bucket, acl: str) -> None:
    """Who may do what without signing: private, public-read or public-read-write."""
    database.execute("UPDATE buckets SET acl = ? WHERE bucket = ?", (acl, bucket.id))


def read_document(database: sqlite3.Connection, bucket: Bucket, name: str) -> bytes | None:
    """The document kept under this name, as it was given."""
    row = database.execute(
        "SELECT body FROM bucket_documents WHERE bucket = ? AND name = ?", (bucket.id, name)
    ).fetchone()
    return None if row is None else bytes(row[0])


def keep_document(database: sqlite3.Connection, bucket: Bucket, name: str, body: bytes | None) -> None:
    """Keep a document in place of the one before; None removes it."""
    database.execute("DELETE FROM bucket_documents WHERE bucket = ? AND name = ?", (bucket.id, name))
    if body is not None:
        database.execute("INSERT INTO bucket_documents (bucket, name, body) VALUES (?, ?, ?)", (bucket.id, name, body))


def tags(database: sqlite3.Connection, bucket: Bucket) -> list[tuple[str, str]]:
    """The bucket's tags, as they were given."""
    rows = database.execute("SELECT name, value FROM bucket_tags WHERE bucket = ? ORDER BY position", (bucket.id,))
    return [(name, value) for name, value in rows]


def replace_tags(database: sqlite3.Connection, bucket: Bucket, replacement: Mapping[str, str]) -> None:
    """All tags at once."""
    database.execute("DELETE FROM bucket_tags WHERE bucket = ?", (bucket.id,))
    database.executemany(
        "INSERT INTO bucket_tags (bucket, position, name, value) VALUES (?, ?, ?, ?)",
        [(bucket.id, position, name, value) for position, (name, value) in enumerate(replacement.items())],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What GetBucketStat tells."""

    classes: Mapping[str, tuple[int, int]]
    """Objects (all versions, no markers) and their bytes by storage class; parts count as bytes of their upload's."""
    delete_markers: int
    uploads: int
    parts: int


def usage(database: sqlite3.Connection, bucket: Bucket) -> Usage:
    """Count what the bucket holds, now."""
    classes = {
        storage: (count, size)
        for storage, count, size in database.execute(
            f"SELECT {_CLASS}, count(*), sum(size_bytes) FROM versions"
            " WHERE bucket = ? AND kind <> 'DeleteMarker' GROUP BY 1",
            (bucket.id,),
        )
    }
    parts = 0
    for storage, count, size in database.execute(
        f"SELECT {_CLASS}, count(*), sum(size_bytes) FROM parts JOIN uploads USING (upload) WHERE bucket = ? GROUP BY 1",
        (bucket.id,),
    ):
        objects, object_bytes = classes.get(storage, (0, 0))
        classes[storage] = (objects, object_bytes + size)
        parts += count
    (uploads,) = database.execute("SELECT count(*) FROM uploads WHERE bucket = ?", (bucket.id,)).fetchone()
    (markers,) = database.execute(
        "SELECT count(*) FROM versions WHERE bucket = ? AND kind = 'DeleteMarker'", (bucket.id,)
    ).fetchone()
    return Usage(classes=classes, delete_markers=markers, uploads=uploads, parts=parts)
