"""Which version of an object a request means, and what the answer says of it. Calls sqlite3 through what it is handed."""

from __future__ import annotations

import sqlite3

from penstock.emulator.protocol.errors import OssFault, invalid_argument, no_such_key, no_such_version
from penstock.emulator.storage import versions
from penstock.emulator.storage.buckets import Bucket, Versioning
from penstock.emulator.storage.versions import Version


def version_header(bucket: Bucket, version_id: str) -> dict[str, str]:
    """`x-oss-version-id`, once the bucket has had versioning."""
    return {} if bucket.versioning is Versioning.UNSET else {"x-oss-version-id": version_id}


def check_version_id(version_id: str) -> None:
    """Raises OssFault 400 InvalidArgument for what can be no version id."""
    if not versions.may_be_id(version_id):
        raise invalid_argument("The version id is not valid.", name="versionId", value=version_id)


def select_version(database: sqlite3.Connection, bucket: Bucket, key: bytes, version_id: str | None) -> Version:
    """The version a read means. Raises OssFault 404 NoSuchKey, NoSuchVersion, 405 for a delete marker named by its id."""
    if version_id is None:
        found = versions.newest(database, bucket, key)
        if found is None:
            raise no_such_key(key)
        if found.is_marker:
            raise no_such_key(key, {"x-oss-delete-marker": "true", **version_header(bucket, found.version_id)})
        return found
    check_version_id(version_id)
    found = versions.by_id(database, bucket, key, version_id)
    if found is None:
        raise no_such_version(key, version_id)
    if found.is_marker:
        raise _unreadable(bucket, found)
    return found


def _unreadable(bucket: Bucket, marker: Version) -> OssFault:
    return OssFault(
        405,
        "MethodNotAllowed",
        "A delete marker cannot be read.",
        elements={"Method": "GET", "ResourceType": "DeleteMarker"},
        headers={"Allow": "DELETE", "x-oss-delete-marker": "true", **version_header(bucket, marker.version_id)},
    )
