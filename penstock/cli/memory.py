"""What a watch has exported, kept in a small file: so that a restart exports nothing twice, and forgets nothing.

SQLite, one row a file that is there; a row goes with its file. Losing the file costs a second export of each, no more. Whoever
holds it is the only one: a second watch of the same directory is refused.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Self

from penstock.errors import SettingsError

SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    name BLOB PRIMARY KEY, size_bytes INTEGER NOT NULL, modified_ns INTEGER NOT NULL, inode INTEGER NOT NULL,
    state TEXT NOT NULL, tries INTEGER NOT NULL, at_s INTEGER NOT NULL, walk INTEGER NOT NULL
) WITHOUT ROWID
"""


class State(StrEnum):
    """How far a file is."""

    HANDED_OVER = "handed over"
    EXPORTED = "exported"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """By what one content of a file is told from another."""

    size_bytes: int
    modified_ns: int
    inode: int

    @classmethod
    def of(cls, about: os.stat_result) -> Stamp:
        """From what the file system tells. Inode numbers of 64 bits are kept as signed ones."""
        return cls(
            size_bytes=about.st_size, modified_ns=about.st_mtime_ns, inode=(about.st_ino + 2**63) % 2**64 - 2**63
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is remembered of a file: `tries` counts how often this content failed, `at_s` is when (seconds since 1970)."""

    stamp: Stamp
    state: State
    tries: int = 0
    at_s: int = 0


class Memory:
    """The file at `path`. Changes are on disk after `commit`."""

    def __init__(self, path: str) -> None:
        """Raises SettingsError where another watch holds it, or it cannot be used."""
        try:
            os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)
            self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SettingsError(
                f"what was exported cannot be kept in {path}: {error.strerror}; see --state FILE"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._database = sqlite3.connect(path, isolation_level=None)
            self._database.execute("PRAGMA journal_mode = TRUNCATE")
            self._database.execute(SCHEMA)
            self._database.execute("BEGIN")
            self._walk = self._last_walk() + 1
        except BlockingIOError as error:
            os.close(self._lock)
            raise SettingsError(f"another watch of this directory runs: it holds {path}") from error
        except sqlite3.DatabaseError as error:
            os.close(self._lock)
            raise SettingsError(
                f"{path} cannot be read ({error}): remove it, and every file is exported once more"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.execute("COMMIT")
        self._database.close()
        os.close(self._lock)

    def known(self, name: str) -> Kept | None:
        """What is remembered of a file."""
        row = self._database.execute(
            "SELECT size_bytes, modified_ns, inode, state, tries, at_s FROM files WHERE name = ?", (os.fsencode(name),)
        ).fetchone()
        if row is None:
            return None
        stamp = Stamp(size_bytes=row[0], modified_ns=row[1], inode=row[2])
        return Kept(stamp=stamp, state=State(row[3]), tries=row[4], at_s=row[5])

    def keep(self, name: str, kept: Kept) -> None:
        """Remember it."""
        stamp = kept.stamp
        self._database.execute(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                os.fsencode(name),
                stamp.size_bytes,
                stamp.modified_ns,
                stamp.inode,
                kept.state.value,
                kept.tries,
                kept.at_s,
                self._walk,
            ),
        )

    def see(self, name: str) -> None:
        """The file was met on this walk."""
        self._database.execute("UPDATE files SET walk = ? WHERE name = ?", (self._walk, os.fsencode(name)))

    def end_walk(self) -> None:
        """All that is there was met: forget the rest."""
        self._database.execute("DELETE FROM files WHERE walk < ?", (self._walk,))
        self._walk += 1

    def commit(self) -> None:
        """Put what has changed on disk."""
        if self._database.in_transaction:
            self._database.execute("COMMIT")
        self._database.execute("BEGIN")

    def _last_walk(self) -> int:
        (last,) = self._database.execute("SELECT coalesce(max(walk), 0) FROM files").fetchone()
        return int(last)


def memory_path(environment_state: str, *about: str) -> str:
    """Where a watch keeps it unless told: one file for each directory and where it goes."""
    base = environment_state if os.path.isabs(environment_state) else os.path.expanduser("~/.local/state")
    digest = hashlib.sha256("\0".join(about).encode("utf-8", "surrogateescape")).hexdigest()[:24]
    return os.path.join(base, "penstock", f"watch-{digest}.db")
