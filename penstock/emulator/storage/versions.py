"""Versions of objects in the ledger, and the rules of versioning: what a put adds, what a delete hides or removes.

The newest version of a key has the largest number; `latest` marks it. In a bucket without versioning, or with
suspended versioning, the one with id `null` is replaced; with versioning every change adds one.
Calls sqlite3 through what it is handed.
"""

# ruff: noqa: S608 - only constant column lists are put into SQL; every value is bound

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penstock.emulator.protocol.errors import file_already_exists
from penstock.emulator.storage import contents, traits
from penstock.emulator.storage.buckets import Bucket, Versioning
from penstock.emulator.storage.ledger import Transaction
from penstock.emulator.storage.traits import Traits

NULL = "null"
DELETE_MARKER = "DeleteMarker"
_EVERYTHING = 2**62
_ID = re.compile(r"([0-9A-F]{16})[0-9A-F]{16}\Z")
COLUMNS = "version, key, version_id, latest, kind, size_bytes, etag, crc64, modified_ns, headers, content, traits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of one object, or one delete marker."""

    number: int
    key: bytes
    version_id: str
    latest: bool
    kind: str
    size_bytes: int
    etag: str
    crc64: int | None
    modified_ns: int
    headers: Mapping[str, str]
    content: str | None
    traits: Traits

    @property
    def is_marker(self) -> bool:
        """Whether this hides the object rather than being one."""
        return self.kind == DELETE_MARKER


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A version about to be: all but its place among the others."""

    kind: str
    size_bytes: int
    etag: str
    crc64: int | None
    headers: Mapping[str, str]
    content: str | None
    traits: Traits


_MARKER = Draft(kind=DELETE_MARKER, size_bytes=0, etag="", crc64=None, headers={}, content=None, traits=traits.NONE)


def from_row(row: tuple[Any, ...]) -> Version:
    """A Version out of a row of COLUMNS."""
    return Version(
        number=row[0],
        key=row[1],
        version_id=row[2],
        latest=bool(row[3]),
        kind=row[4],
        size_bytes=row[5],
        etag=row[6],
        crc64=None if row[7] is None else int(row[7]),
        modified_ns=row[8],
        headers=json.loads(row[9]),
        content=row[10],
        traits=traits.from_json(row[11]),
    )


def newest(database: sqlite3.Connection, bucket: Bucket, key: bytes) -> Version | None:
    """The newest version of the key, a delete marker too."""
    row = database.execute(
        f"SELECT {COLUMNS} FROM versions WHERE bucket = ? AND key = ? AND latest = 1", (bucket.id, key)
    ).fetchone()
    return from_row(row) if row else None


def by_id(database: sqlite3.Connection, bucket: Bucket, key: bytes, version_id: str) -> Version | None:
    """The version of the key that has this id."""
    row = database.execute(
        f"SELECT {COLUMNS} FROM versions WHERE bucket = ? AND key = ? AND version_id = ?", (bucket.id, key, version_id)
    ).fetchone()
    return from_row(row) if row else None


def may_be_id(version_id: str) -> bool:
    """Whether a version could have this id."""
    return version_id == NULL or _ID.match(version_id) is not None


def number_behind(database: sqlite3.Connection, bucket: Bucket, key: bytes, version_id: str) -> int:
    """A number such that the key's versions below it are those behind the version of this id, in a listing.

    The version may have been removed since its id was listed: ids begin with their number, so its place is still known.
    """
    found = by_id(database, bucket, key, version_id)
    if found is not None:
        return found.number
    match = _ID.match(version_id)
    return int(match.group(1), 16) if match else _EVERYTHING


def refuse_overwrite(database: sqlite3.Connection, bucket: Bucket, key: bytes) -> None:
    """Hold `x-oss-forbid-overwrite` against the key; it means nothing once versioning has been set.

    Raises OssFault 409 FileAlreadyExists.
    """
    if bucket.versioning is Versioning.UNSET and newest(database, bucket, key) is not None:
        raise file_already_exists(key)


def add(transaction: Transaction, bucket: Bucket, key: bytes, draft: Draft, *, token: str, modified_ns: int) -> str:
    """Make `draft` the key's newest version; its id is the answer. `token` makes the id unique."""
    number, version_id = _make_room(transaction, bucket, key, token)
    transaction.database.execute(
        "INSERT INTO versions (version, bucket, key, version_id, latest, kind, size_bytes, etag, crc64, modified_ns,"
        " headers, content, traits) VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            number,
            bucket.id,
            key,
            version_id,
            draft.kind,
            draft.size_bytes,
            draft.etag,
            None if draft.crc64 is None else str(draft.crc64),
            modified_ns,
            json.dumps(dict(draft.headers)),
            draft.content,
            draft.traits.to_json(),
        ),
    )
    return version_id


def change_traits(transaction: Transaction, version: Version, changed: Traits) -> None:
    """ACL, tags and restored copies change in place: they make no new version."""
    transaction.database.execute(
        "UPDATE versions SET traits = ? WHERE version = ?", (changed.to_json(), version.number)
    )


def grow(
    transaction: Transaction, version: Version, *, size_bytes: int, etag: str, crc64: int, modified_ns: int
) -> None:
    """Tell that bytes were appended to a version's content: it stays the same version."""
    transaction.database.execute(
        "UPDATE versions SET size_bytes = ?, etag = ?, crc64 = ?, modified_ns = ? WHERE version = ?",
        (size_bytes, etag, str(crc64), modified_ns, version.number),
    )


def _make_room(transaction: Transaction, bucket: Bucket, key: bytes, token: str) -> tuple[int, str]:
    """The number and id of a version about to be the newest; one it replaces is gone afterwards."""
    number = transaction.next_version()
    version_id = f"{number:016X}{token[:16]}"
    if bucket.versioning is not Versioning.ENABLED:
        version_id = NULL
        replaced = by_id(transaction.database, bucket, key, NULL)
        if replaced is not None:
            _erase(transaction, replaced)
    transaction.database.execute(
        "UPDATE versions SET latest = 0 WHERE bucket = ? AND key = ? AND latest = 1", (bucket.id, key)
    )
    return number, version_id


def _erase(transaction: Transaction, version: Version) -> None:
    transaction.database.execute("DELETE FROM versions WHERE version = ?", (version.number,))
    contents.drop(transaction, version.content)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """What a delete did. `version_id` is empty in a bucket that never had versioning."""

    version_id: str
    marker: bool
    """A delete marker was added, or the version removed was one."""


def delete(transaction: Transaction, bucket: Bucket, key: bytes, *, token: str, modified_ns: int) -> Deletion:
    """Delete without naming a version: remove (versioning unset) or hide behind a delete marker."""
    if bucket.versioning is Versioning.UNSET:
        found = newest(transaction.database, bucket, key)
        if found is not None:
            _erase(transaction, found)
        return Deletion(version_id="", marker=False)
    version_id = add(transaction, bucket, key, _MARKER, token=token, modified_ns=modified_ns)
    return Deletion(version_id=version_id, marker=True)


def delete_version(transaction: Transaction, bucket: Bucket, key: bytes, version_id: str) -> Deletion:
    """Remove one version for good; the next older one becomes the newest. One that is not there is no error."""
    found = by_id(transaction.database, bucket, key, version_id)
    if found is None:
        return Deletion(version_id=version_id, marker=False)
    _erase(transaction, found)
    if found.latest:
        transaction.database.execute(
            "UPDATE versions SET latest = 1 WHERE version ="
            " (SELECT max(version) FROM versions WHERE bucket = ? AND key = ?)",
            (bucket.id, key),
        )
    return Deletion(version_id=version_id, marker=found.is_marker)
