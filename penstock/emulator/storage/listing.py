"""Walking a bucket in order of key, folding keys that share a prefix up to a delimiter, a page at a time.

One walk serves ListObjects (both versions), ListObjectVersions and ListMultipartUploads: they differ in what a row is.
A folded prefix costs one index seek, however many keys lie beneath it. Calls sqlite3 through what it is handed.
"""

# ruff: noqa: S608 - only constant column lists are put into SQL; every value is bound

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from penstock.emulator.storage import uploads, versions
from penstock.emulator.storage.buckets import Bucket
from penstock.emulator.storage.uploads import Upload
from penstock.emulator.storage.versions import Version

_BATCH_MAX = 1001


class _Keyed(Protocol):
    @property
    def key(self) -> bytes: ...


R = TypeVar("R", bound=_Keyed)


@dataclass(slots=True, kw_only=True)  # house: it is filled row by row
class Page(Generic[R]):
    """Rows and folded prefixes in order; `last` is the last of either, `truncated` tells that more follow."""

    rows: list[R] = field(default_factory=list)
    prefixes: list[bytes] = field(default_factory=list)
    last: R | bytes | None = None
    truncated: bool = False

    @property
    def count(self) -> int:
        """Rows and prefixes together: what max-keys bounds."""
        return len(self.rows) + len(self.prefixes)


def successor(prefix: bytes) -> bytes | None:
    """The least byte string greater than all that begin with `prefix`; None if there is none."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes([trimmed[-1] + 1]) if trimmed else None


def walk(
    fetch: Callable[[R | None, bytes, bytes | None, int], Sequence[R]],
    *,
    prefix: bytes,
    delimiter: bytes,
    start: bytes,
    skip_folded: bytes,
    limit: int,
) -> Page[R]:
    """A page of at most `limit` entries.

    `fetch(after, at_least, before, limit)` yields rows in order: behind the row `after` if given, of keys >= `at_least`
    and < `before`. `skip_folded` is a folded prefix that an earlier page has told.
    """
    page: Page[R] = Page()
    before = successor(prefix) if prefix else None
    at_least: bytes | None = max(start, prefix)
    if skip_folded:
        at_least = successor(skip_folded)
    after: R | None = None
    while at_least is not None and (before is None or at_least < before):
        wanted = min(_BATCH_MAX, limit - page.count + 1)
        rows = fetch(after, at_least, before, wanted)
        after, at_least = None, None
        for row in rows:
            cut = row.key.find(delimiter, len(prefix)) if delimiter else -1
            if page.count == limit:
                page.truncated = True
                return page
            if cut >= 0:
                folded = row.key[: cut + len(delimiter)]
                page.prefixes.append(folded)
                page.last = folded
                at_least = successor(folded)
                break
            page.rows.append(row)
            page.last = row
        else:
            if len(rows) == wanted:
                after, at_least = rows[-1], rows[-1].key
    return page


def objects(
    database: sqlite3.Connection, bucket: Bucket, *, prefix: bytes, delimiter: bytes, marker: bytes, limit: int
) -> Page[Version]:
    """Live objects behind `marker` (a key, or a folded prefix that was told)."""

    def fetch(after: Version | None, at_least: bytes, before: bytes | None, count: int) -> list[Version]:
        rows = database.execute(
            f"SELECT {versions.COLUMNS} FROM versions WHERE bucket = ?1 AND latest = 1 AND kind <> 'DeleteMarker'"
            " AND key >= ?2 AND (?3 IS NULL OR key > ?3) AND (?4 IS NULL OR key < ?4) ORDER BY key LIMIT ?5",
            (bucket.id, at_least, after.key if after else None, before, count),
        )
        return [versions.from_row(row) for row in rows]

    start, skip = _begin(marker, prefix, delimiter)
    return walk(fetch, prefix=prefix, delimiter=delimiter, start=start, skip_folded=skip, limit=limit)


def all_versions(
    database: sqlite3.Connection,
    bucket: Bucket,
    *,
    prefix: bytes,
    delimiter: bytes,
    key_marker: bytes,
    older_than: int | None,
    limit: int,
) -> Page[Version]:
    """Versions and delete markers by key, newest first; of `key_marker` itself only those numbered below `older_than`."""

    def fetch(after: Version | None, at_least: bytes, before: bytes | None, count: int) -> list[Version]:
        last = (after.key, after.number) if after else (key_marker, older_than if older_than is not None else 0)
        rows = database.execute(
            f"SELECT {versions.COLUMNS} FROM versions WHERE bucket = ?1 AND key >= ?2"
            " AND (key > ?3 OR (key = ?3 AND version < ?4)) AND (?5 IS NULL OR key < ?5)"
            " ORDER BY key, version DESC LIMIT ?6",
            (bucket.id, at_least, *last, before, count),
        )
        return [versions.from_row(row) for row in rows]

    if older_than is not None:
        start, skip = key_marker, b""
    else:
        start, skip = _begin(key_marker, prefix, delimiter)
    return walk(fetch, prefix=prefix, delimiter=delimiter, start=start, skip_folded=skip, limit=limit)


def unfinished(
    database: sqlite3.Connection,
    bucket: Bucket,
    *,
    prefix: bytes,
    delimiter: bytes,
    key_marker: bytes,
    upload_id_marker: str,
    limit: int,
) -> Page[Upload]:
    """Uploads by (key, id) behind (`key_marker`, `upload_id_marker`); without the latter all of the key's are behind."""

    def fetch(after: Upload | None, at_least: bytes, before: bytes | None, count: int) -> list[Upload]:
        if after is not None:
            key, upload_id = after.key, after.id
        elif at_least == key_marker and upload_id_marker:
            key, upload_id = key_marker, upload_id_marker
        else:
            key, upload_id = at_least, ""
        return uploads.page(database, bucket, key=key, upload_id=upload_id, before=before, limit=count)

    if upload_id_marker:
        start, skip = key_marker, b""
    else:
        start, skip = _begin(key_marker, prefix, delimiter)
    return walk(fetch, prefix=prefix, delimiter=delimiter, start=start, skip_folded=skip, limit=limit)


def _begin(marker: bytes, prefix: bytes, delimiter: bytes) -> tuple[bytes, bytes]:
    """Where to start behind `marker`, and the folded prefix to skip if the marker is one."""
    if not marker:
        return b"", b""
    cut = marker.find(delimiter, len(prefix)) if delimiter and marker.startswith(prefix) else -1
    folded = cut >= 0 and cut + len(delimiter) == len(marker)
    return marker + b"\0", marker if folded else b""
