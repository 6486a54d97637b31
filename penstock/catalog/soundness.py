"""Whether a catalog's file is sound, for `penstock doctor` and for backups: looked at from outside, read-only, bounded in time.

Opens the file by itself, beside a service that may be running; changes nothing.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote

from penstock.catalog.schema_versions import LEDGER, files
from penstock.errors import CatalogUnavailableError

_STEPS = 20_000
"""Instructions of SQLite between two looks at the clock: some milliseconds."""


class Soundness(StrEnum):
    """What the look has come to."""

    SOUND = "sound"
    DAMAGED = "damaged"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogLook:
    """`schema` is the newest that was applied, `known` the newest that this version has; `words` is SQLite's, where damaged."""

    soundness: Soundness
    schema: int
    known: int
    size_bytes: int
    log_bytes: int
    words: str = ""


def look_at_catalog(path: Path, *, until_s: float, clock_s: Callable[[], float] = time.monotonic) -> CatalogLook:
    """Reads all of it, but no longer than until then. Raises CatalogUnavailableError where none can be opened."""
    known = max(version for version, _ in files(LEDGER))
    log = Path(f"{path}-wal")
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=2)) as raw:
            raw.execute("BEGIN")
            schema = int(raw.execute("SELECT coalesce(max(version), 0) FROM schema_versions").fetchone()[0])
            soundness, words = _checked(raw, until_s, clock_s)
    except sqlite3.Error as error:
        raise CatalogUnavailableError(f"{path} cannot be read: {error}") from error
    return CatalogLook(
        soundness=soundness,
        schema=schema,
        known=known,
        size_bytes=path.stat().st_size,
        log_bytes=log.stat().st_size if log.exists() else 0,
        words=words,
    )


def _checked(raw: sqlite3.Connection, until_s: float, clock_s: Callable[[], float]) -> tuple[Soundness, str]:
    raw.set_progress_handler(lambda: clock_s() > until_s, _STEPS)
    try:
        found = [str(row[0]) for row in raw.execute("PRAGMA quick_check(5)")]
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
            return Soundness.UNDECIDED, ""
        raise
    return (Soundness.SOUND, "") if found == ["ok"] else (Soundness.DAMAGED, "; ".join(found))
