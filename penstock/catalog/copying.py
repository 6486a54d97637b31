"""A copy of a catalog as it was at one moment, made beside the service that writes to it; and what a copy needs to be served.

SQLite's online backup, in one read transaction, so that it need not begin anew however much is written meanwhile. Knows files
only, and no verb.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from penstock.errors import CatalogUnavailableError

_STEP_PAGES = 2_000
"""Some megabytes: between two of them progress is told."""

_LAST_NUMBERS = (
    "SELECT coalesce(max(number), 0) FROM data_flows",
    "SELECT coalesce(max(number), 0) FROM tasks",
    "SELECT coalesce(max(number), 0) FROM sub_tasks",
    "SELECT coalesce(max(number), 0) FROM last_number",
)


def copy_catalog(source: Path, target: Path, *, on_progress: Callable[[int, int], None]) -> None:
    """Copies it into the new file `target`, durably, in one file without a log. `on_progress` gets bytes done and the total.

    Raises CatalogUnavailableError.
    """
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with closing(_reader(source)) as raw, closing(sqlite3.connect(target)) as copy:
            (page_bytes,) = raw.execute("PRAGMA page_size").fetchone()
            raw.execute("BEGIN")
            raw.execute("SELECT count(*) FROM schema_versions").fetchone()  # from here on it sees this moment

            def tell(_: int, remaining: int, total: int) -> None:
                on_progress((total - remaining) * page_bytes, total * page_bytes)

            raw.backup(copy, pages=_STEP_PAGES, progress=tell)
            copy.execute("PRAGMA journal_mode = DELETE")  # it shall be whole without the log that a catalog has
    except sqlite3.Error as error:
        raise CatalogUnavailableError(f"{source} cannot be copied: {error}") from error
    _sync(target)


def last_number(path: Path) -> int:
    """The newest number that it knows to have been given; 0 where it cannot be read."""
    try:
        with closing(_reader(path)) as raw:
            return max(int(raw.execute(question).fetchone()[0]) for question in _LAST_NUMBERS)
    except sqlite3.Error:
        return 0


def begin_after(path: Path, number: int) -> None:
    """Let a copy that nobody serves yet give no number up to this one: ids that were given since it was made are not given again.

    Raises CatalogUnavailableError.
    """
    try:
        with closing(sqlite3.connect(path)) as raw, raw:
            raw.execute("UPDATE last_number SET number = max(number, ?)", (number,))
    except sqlite3.Error as error:
        raise CatalogUnavailableError(f"{path} cannot be written: {error}") from error
    _sync(path)


def _reader(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=10, isolation_level=None)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
