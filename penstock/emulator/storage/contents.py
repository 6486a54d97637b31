"""What versions and parts consist of: lists of segments, each one whole blob. Copies share blobs; the last one frees them.

Calls sqlite3 through what it is handed.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from penstock.emulator.storage.ledger import Transaction
from penstock.emulator.storage.vault import Blob


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One blob of a content. `inline` holds its bytes where they are in the ledger."""

    blob: str
    size_bytes: int
    inline: bytes | None


def add(transaction: Transaction, content: str, blob: Blob) -> None:
    """A content of one new blob."""
    transaction.database.execute("INSERT INTO blobs (blob, bytes) VALUES (?, ?)", (blob.id, blob.inline))
    transaction.database.execute(
        "INSERT INTO segments (content, position, blob, size_bytes) VALUES (?, 0, ?, ?)",
        (content, blob.id, blob.size_bytes),
    )


def extend(transaction: Transaction, content: str, blob: Blob) -> None:
    """Append a new blob to a content. Who reads what it was before reads on: its segments stay."""
    transaction.database.execute("INSERT INTO blobs (blob, bytes) VALUES (?, ?)", (blob.id, blob.inline))
    transaction.database.execute(
        "INSERT INTO segments (content, position, blob, size_bytes)"
        " SELECT ?1, coalesce(max(position) + 1, 0), ?2, ?3 FROM segments WHERE content = ?1",
        (content, blob.id, blob.size_bytes),
    )


def join(transaction: Transaction, content: str, pieces: list[str]) -> None:
    """A content of all segments of `pieces` in order; no byte is copied."""
    position = 0
    for piece in pieces:
        cursor = transaction.database.execute(
            "INSERT INTO segments (content, position, blob, size_bytes)"
            " SELECT ?, position + ?, blob, size_bytes FROM segments WHERE content = ?",
            (content, position, piece),
        )
        position += cursor.rowcount


def drop(transaction: Transaction, content: str | None) -> None:
    """Forget a content; blobs that nothing else consists of are freed."""
    if content is None:
        return
    database = transaction.database
    blobs = [row[0] for row in database.execute("SELECT blob FROM segments WHERE content = ?", (content,))]
    database.execute("DELETE FROM segments WHERE content = ?", (content,))
    for blob in dict.fromkeys(blobs):
        gone = database.execute(
            "DELETE FROM blobs WHERE blob = ?1 AND NOT EXISTS (SELECT 1 FROM segments WHERE blob = ?1)"
            " RETURNING typeof(bytes)",  # not `bytes IS NULL`: SQLite 3.40 answers 0 to that here
            (blob,),
        ).fetchone()
        if gone and gone[0] == "null":
            transaction.freed.append(blob)


def segments(database: sqlite3.Connection, content: str | None) -> list[Segment]:
    """The segments in order; bytes only of a content that is one small blob (the rest is fetched when its turn comes)."""
    if content is None:
        return []
    rows = database.execute(
        "SELECT blob, size_bytes FROM segments WHERE content = ? ORDER BY position", (content,)
    ).fetchall()
    if len(rows) == 1:
        return [Segment(blob=rows[0][0], size_bytes=rows[0][1], inline=inline(database, rows[0][0]))]
    return [Segment(blob=blob, size_bytes=size, inline=None) for blob, size in rows]


def inline(database: sqlite3.Connection, blob: str) -> bytes | None:
    """The blob's bytes if they are in the ledger; None if they are in the vault."""
    row = database.execute("SELECT bytes FROM blobs WHERE blob = ?", (blob,)).fetchone()
    return None if row is None or row[0] is None else bytes(row[0])
