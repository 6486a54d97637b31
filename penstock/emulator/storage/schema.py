"""The ledger's tables, as text, and how a database file becomes a ledger. Calls sqlite3 only.

Keys are BLOBs, so that SQLite compares them byte by byte, as OSS lists them. A *content* is a list of segments; a
segment is one whole blob; a blob's bytes are in the row (small) or in the vault's file of the same id. Contents may
share blobs (copies), so a blob goes when its last segment goes.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

INDEX = "index.sqlite3"
LAYOUT = 2
LOG_BYTES = 1024 * 1024
"""How much the log holds before it moves into the database."""
_PAGE_BYTES = 4096
_PAGE_CACHE_KIB = 8192
BUSY_S = 30.0

TABLES = """
CREATE TABLE IF NOT EXISTS buckets (
    bucket       INTEGER PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    created_ns   INTEGER NOT NULL,
    versioning   TEXT NOT NULL,             -- '' (never set), 'Enabled' or 'Suspended'
    storage      TEXT NOT NULL,
    redundancy   TEXT NOT NULL,
    acl          TEXT NOT NULL DEFAULT 'private'
) STRICT;
CREATE TABLE IF NOT EXISTS bucket_documents (
    bucket       INTEGER NOT NULL REFERENCES buckets ON DELETE CASCADE,
    name         TEXT NOT NULL,             -- the sub-resource: 'lifecycle'
    body         BLOB NOT NULL,             -- as it was given
    PRIMARY KEY (bucket, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bucket_tags (
    bucket       INTEGER NOT NULL REFERENCES buckets ON DELETE CASCADE,
    position     INTEGER NOT NULL,
    name         TEXT NOT NULL,
    value        TEXT NOT NULL,
    PRIMARY KEY (bucket, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS versions (
    version      INTEGER PRIMARY KEY,       -- grows; the newest version of a key has the largest
    bucket       INTEGER NOT NULL REFERENCES buckets,
    key          BLOB NOT NULL,
    version_id   TEXT NOT NULL,             -- 'null' or an id
    latest       INTEGER NOT NULL,
    kind         TEXT NOT NULL,             -- x-oss-object-type, or 'DeleteMarker'
    size_bytes   INTEGER NOT NULL,
    etag         TEXT NOT NULL,
    crc64        TEXT,                      -- decimal: 64 unsigned bits do not fit an INTEGER
    modified_ns  INTEGER NOT NULL,
    headers      TEXT NOT NULL,             -- JSON: what was stored with the object and comes back with it
    content      TEXT,
    traits       TEXT NOT NULL DEFAULT '{}' -- JSON: what may change without a new version, and what a link points to
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS versions_by_age ON versions (bucket, key, version DESC);
CREATE UNIQUE INDEX IF NOT EXISTS versions_by_id ON versions (bucket, key, version_id);
CREATE UNIQUE INDEX IF NOT EXISTS versions_latest ON versions (bucket, key) WHERE latest = 1;
CREATE TABLE IF NOT EXISTS uploads (
    upload       TEXT PRIMARY KEY,
    bucket       INTEGER NOT NULL REFERENCES buckets,
    key          BLOB NOT NULL,
    initiated_ns INTEGER NOT NULL,
    headers      TEXT NOT NULL,
    traits       TEXT NOT NULL DEFAULT '{}' -- JSON: those of the version to be
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS uploads_by_key ON uploads (bucket, key, upload);
CREATE TABLE IF NOT EXISTS parts (
    upload       TEXT NOT NULL REFERENCES uploads ON DELETE CASCADE,
    number       INTEGER NOT NULL,
    size_bytes   INTEGER NOT NULL,
    etag         TEXT NOT NULL,
    crc64        TEXT NOT NULL,
    modified_ns  INTEGER NOT NULL,
    content      TEXT NOT NULL,
    PRIMARY KEY (upload, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS segments (
    content      TEXT NOT NULL,
    position     INTEGER NOT NULL,
    blob         TEXT NOT NULL REFERENCES blobs,
    size_bytes   INTEGER NOT NULL,
    PRIMARY KEY (content, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS segments_by_blob ON segments (blob);
CREATE TABLE IF NOT EXISTS blobs (
    blob         TEXT PRIMARY KEY,
    bytes        BLOB                       -- NULL: in the vault's file
) STRICT;
"""

# What a directory of an older layout lacks, by that layout.
_ADDED = {
    1: (
        "ALTER TABLE buckets ADD COLUMN acl TEXT NOT NULL DEFAULT 'private'",
        "ALTER TABLE versions ADD COLUMN traits TEXT NOT NULL DEFAULT '{}'",
        "ALTER TABLE uploads ADD COLUMN traits TEXT NOT NULL DEFAULT '{}'",
    )
}


def connect(path: Path) -> sqlite3.Connection:
    """A connection that commits durably (WAL, synchronous=FULL) and only when told to."""
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_BYTES // _PAGE_BYTES}")
        connection.execute(f"PRAGMA cache_size = -{_PAGE_CACHE_KIB}")
    except BaseException:
        connection.close()
        raise
    return connection


def open_ledger(path: Path) -> sqlite3.Connection:
    """A connection to a ledger whose tables are there. Raises ValueError, sqlite3.DatabaseError."""
    connection = connect(path)
    try:
        _prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if found > LAYOUT:
        raise ValueError(f"the bucket directory has layout {found}; this emulator reads up to {LAYOUT}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in (*_ADDED.get(found, ()), *statements()):
            connection.execute(statement)
        if found != LAYOUT:  # it writes even the number that is there, and the disk may be full
            connection.execute(f"PRAGMA user_version = {LAYOUT}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def statements() -> list[str]:
    """The statements that make the tables, one by one."""
    plain = "\n".join(line.partition("--")[0] for line in TABLES.splitlines())
    return [statement for statement in plain.split(";") if statement.strip()]
