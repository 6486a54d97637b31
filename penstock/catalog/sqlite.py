"""SQLite as the catalog's database: WAL, one writer, any number of readers, in files beside each other.

Calls only sqlite3. Every sqlite3 error is mapped here; nothing outside knows which database this is.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from penstock.catalog.database import BrokenConnectionError, Connection, Dialect, Durability, Parameters, Row
from penstock.errors import CatalogUnavailableError

CACHE_KIB = 16 << 10
STATEMENTS_KEPT = 400
CHECKPOINT_PAGES = 4_000  # of 4 KiB: the log is copied into the database about every 16 MiB
LOG_BYTES_KEPT = 64 << 20
LOG_BYTES_READY = 17 << 20
"""As long as the log becomes between two copies."""

SYNCS: Mapping[Durability, str] = {Durability.SYNCED: "FULL", Durability.UNSYNCED: "NORMAL"}
NO_SYNCS: Mapping[Durability, str] = dict.fromkeys(Durability, "OFF")
"""For what nobody needs after a power cut."""

_FILLER_BYTES = 1 << 20
_SPILL_PAGES = 50
_FREE_FACTOR = 64  # a log is made ready only where that many times its bytes are free

NONCES_NAME = "nonces.db"
"""The nonces of reads, beside the catalog; made after it."""

DIALECT = Dialect(
    number_key="INTEGER PRIMARY KEY", bytewise="COLLATE BINARY", for_update="", skip_locked="", parameter="?"
)

# These spoil one statement, not the connection: the surrounding savepoint undoes it.
_STATEMENT_ERRORS = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError, sqlite3.NotSupportedError)

_PRIMARY = 0xFF  # the rest tells which call it was
_TROUBLES = {
    sqlite3.SQLITE_BUSY: "another program holds it locked; it goes on when that one is done",
    sqlite3.SQLITE_FULL: "its disk is full: free some space where the service keeps its data (HOME)",
    sqlite3.SQLITE_READONLY: "it may not be written to: see its owner and mode, and whether its file system is mounted read-only",
    sqlite3.SQLITE_IOERR: (
        "its disk answers with errors: see the kernel's log, and whether there is space where the service keeps its data (HOME)"
    ),
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: it or its directory is gone, or the service has too many files open",
    sqlite3.SQLITE_CORRUPT: "it is damaged",
    sqlite3.SQLITE_NOTADB: "it is damaged",
}
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

Identity = tuple[int, int] | None


class SqliteConnection:
    """One sqlite3 connection in autocommit mode, so that transactions are only those asked for.

    `guard` is called by `confirm`: it raises where what is committed would be lost with a file that has been removed.
    """

    def __init__(
        self,
        path: Path,
        *,
        busy_wait_s: float,
        guard: Callable[[], None] = lambda: None,
        syncs: Mapping[Durability, str] = SYNCS,
    ) -> None:
        self._path = path
        self._syncs = syncs
        self._guard = guard
        self._log_path = Path(f"{path}-wal")
        self._log_identity: Identity = None
        self._durability = Durability.SYNCED
        self._log = f"{path}-wal"
        try:
            self._raw = sqlite3.connect(
                path,
                timeout=busy_wait_s,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=STATEMENTS_KEPT,
            )
        except sqlite3.Error as error:
            raise self._mapped(error) from error
        self._raw.row_factory = sqlite3.Row
        try:
            for pragma in (
                "journal_mode=WAL",
                f"synchronous={syncs[Durability.SYNCED]}",
                "foreign_keys=ON",
                f"cache_size=-{CACHE_KIB}",
                f"wal_autocheckpoint={CHECKPOINT_PAGES}",
                f"journal_size_limit={LOG_BYTES_KEPT}",
                "temp_store=MEMORY",
            ):
                self._execute(f"PRAGMA {pragma}")
        except CatalogUnavailableError:
            self.close()
            raise

    def begin(self, durability: Durability) -> None:
        """Start a transaction that may write; takes the write lock at once."""
        if durability is not self._durability:
            self._execute(f"PRAGMA synchronous={self._syncs[durability]}")
            self._durability = durability
        self._execute("BEGIN IMMEDIATE")

    def begin_read(self) -> None:
        """Start a transaction on one snapshot."""
        self._execute("BEGIN")

    def confirm(self) -> None:
        """As `Connection` says. Two looks at the file system, each of which lets go of the interpreter."""
        self._guard()
        found = _identity(self._log_path)
        if self._log_identity is not None and found != self._log_identity:
            self._save_log()
            raise _replaced(self._log_path)
        self._log_identity = found

    def commit(self) -> None:
        """End the transaction. Any failure means that the connection must be replaced: a failed fsync is believed."""
        try:
            self._raw.execute("COMMIT")
        except sqlite3.Error as error:
            raise BrokenConnectionError(f"the catalog could not commit: {_told(error, self._path)}") from error

    def _save_log(self) -> None:
        """Its name is gone, and with it what was committed, but this connection still has it open: copy it into the database."""
        with suppress(sqlite3.Error):
            self._raw.execute("ROLLBACK")
            self._raw.execute("PRAGMA wal_checkpoint(FULL)")

    def rollback(self) -> None:
        """Undo the transaction; silent when there is none."""
        if self._raw.in_transaction:
            self._execute("ROLLBACK")

    def savepoint(self, name: str) -> None:
        """Open a nested unit of work."""
        self._execute(f"SAVEPOINT {name}")

    def release(self, name: str) -> None:
        """Keep the nested unit's work."""
        self._execute(f"RELEASE {name}")

    def rollback_to(self, name: str) -> None:
        """Undo the nested unit's work and close it."""
        self._execute(f"ROLLBACK TO {name}")
        self._execute(f"RELEASE {name}")

    def change(self, text: str, parameters: Parameters) -> int:
        """Run a statement that answers no rows; the number of rows it changed."""
        try:
            return self._raw.execute(text, parameters).rowcount
        except sqlite3.Error as error:
            raise self._mapped(error) from error

    def fetch(self, text: str, parameters: Parameters) -> Sequence[Row]:
        """Run a statement and answer all of its rows."""
        try:
            return self._raw.execute(text, parameters).fetchall()
        except sqlite3.Error as error:
            raise self._mapped(error) from error

    def script(self, text: str) -> None:
        """Run several statements, one by one: `executescript` would commit first."""
        statement = ""
        for line in text.splitlines(keepends=True):
            statement += line
            if sqlite3.complete_statement(statement):
                self._execute(statement)
                statement = ""

    def renew_log(self) -> None:
        """Copy the log into the database and begin a new one, after a commit has failed.

        After a failed fsync the kernel may call pages of the log clean that never reached the disk. Were it only synced once
        more, the database would be copied from what a power cut can still take away. So it is written anew in its place first.
        """
        self._rewrite_log()
        (row,) = self.fetch("PRAGMA wal_checkpoint(TRUNCATE)", ())
        if row["busy"]:
            raise BrokenConnectionError("the catalog's log cannot be renewed while somebody reads from it; try again")

    def _rewrite_log(self) -> None:
        """The same bytes: readers see no difference, and there is no other writer. SQLite keeps no lock on this file."""
        try:
            log = os.open(self._log, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        except OSError as error:
            raise BrokenConnectionError(f"the catalog's log cannot be opened: {error.strerror}") from error
        try:
            offset = 0
            while piece := os.pread(log, _FILLER_BYTES, offset):
                offset += os.pwrite(log, piece, offset)
            os.fsync(log)
        except OSError as error:
            raise BrokenConnectionError(f"the catalog's log cannot be written anew: {error.strerror}") from error
        finally:
            os.close(log)

    def lengthen_log(self, bytes_ready: int) -> None:
        """Let the log's file have that length before it is needed: a commit into a file that grows takes half as long again.

        What fills it is taken back, so it is in no commit and never reaches the database; a small cache makes SQLite write it.
        """
        self._execute(f"PRAGMA cache_size={_SPILL_PAGES}")
        self._execute("BEGIN IMMEDIATE")
        try:
            self._execute("CREATE TABLE filler (bytes)")
            for _ in range(0, bytes_ready, _FILLER_BYTES):
                self.change("INSERT INTO filler VALUES (zeroblob(?1))", (_FILLER_BYTES,))
        finally:
            self.rollback()
        self._execute(f"PRAGMA cache_size=-{CACHE_KIB}")

    def close(self) -> None:
        """Close; silent when closed already."""
        with suppress(sqlite3.Error):
            self._raw.close()

    def _mapped(self, error: sqlite3.Error) -> CatalogUnavailableError:
        """What sqlite3 has raised, in our words."""
        if isinstance(error, _STATEMENT_ERRORS):
            return CatalogUnavailableError(f"the catalog refused a statement: {error}")
        return BrokenConnectionError(f"the catalog cannot be used now: {_told(error, self._path)}")

    def _execute(self, text: str) -> None:
        try:
            self._raw.execute(text)
        except sqlite3.Error as error:
            raise self._mapped(error) from error


class SqliteDatabase:
    """The catalog in `path`, the nonces of reads in `nonces.db` beside it.

    Only one process writes to them; `busy_wait_s` is for a person who looks inside with another program. The writer's log is made
    `log_bytes_ready` long when it is opened, where there is plenty of room.
    """

    def __init__(
        self,
        path: Path,
        *,
        busy_wait_s: float = 5.0,
        log_bytes_ready: int = 0,
        syncs: Mapping[Durability, str] = SYNCS,
    ) -> None:
        self.path = path
        self._syncs = syncs
        self._busy_wait_s = busy_wait_s
        self._log_bytes_ready = log_bytes_ready
        self._opened: dict[Path, Identity] = {}

    @property
    def dialect(self) -> Dialect:
        """SQLite's words; its own locking makes row locks needless."""
        return DIALECT

    def open_writer(self) -> Connection:
        """The one writer's connection; makes the file when it is missing, but not in the place of one that was lost."""
        connection = self._open(self.path)
        free_bytes = shutil.disk_usage(self.path.parent).free
        if 0 < self._log_bytes_ready <= free_bytes // _FREE_FACTOR:
            try:
                connection.lengthen_log(self._log_bytes_ready)
            except CatalogUnavailableError:
                connection.close()
                raise
        return connection

    def open_reader(self) -> Connection:
        """A reader's connection."""
        return self._open(self.path)

    def open_nonces(self) -> Connection:
        """The small database of read nonces."""
        return self._open(self.path.with_name(NONCES_NAME))

    def loss(self) -> str:
        """Why nothing that is committed now would be kept, "" where the file lies where it was opened."""
        try:
            self._require_same(self.path)
        except BrokenConnectionError as error:
            return str(error)
        return ""

    def _open(self, path: Path) -> SqliteConnection:
        if path in self._opened:
            self._require_same(path)
        elif path == self.path:
            self._require_not_lost()
        guard = partial(self._require_same, path)
        connection = SqliteConnection(path, busy_wait_s=self._busy_wait_s, guard=guard, syncs=self._syncs)
        self._opened.setdefault(path, _identity(path))
        return connection

    def _require_same(self, path: Path) -> None:
        """Another file under that name is not ours to go on with: what we know belongs to the first. BrokenConnectionError."""
        if _identity(path) != self._opened.get(path):
            raise _replaced(path)

    def _require_not_lost(self) -> None:
        """The nonces are made after the catalog: where they are there, it was. CatalogUnavailableError."""
        if _size_bytes(self.path) == 0 < _size_bytes(self.path.with_name(NONCES_NAME)):
            raise CatalogUnavailableError(
                f"{self.path} is missing or empty, but this HOME was served before: its dataflows and tasks are lost, unless you "
                f"put a backup there. To begin with an empty catalog, remove {NONCES_NAME} too"
            )


def _told(error: sqlite3.Error, path: Path) -> str:
    """What a person can do about it."""
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY  # one that Python has found itself has none
    words = _TROUBLES.get(code)
    if words is None:
        return f"{path}: {error}"
    if code not in _DAMAGED:
        return f"{path}: {words} ({error})"
    if path.name == NONCES_NAME:
        return f"{path}: {words} ({error}); stop the service and remove it with its -wal and -shm, a new one is made"
    return (
        f"{path}: {words} ({error}); stop the service, keep the file, and put a backup in its place (without the old -wal), "
        f"or what can be read of it: sqlite3 {path.name} .recover"
    )


def _identity(path: Path) -> Identity:
    """Device and inode; None where there is nothing."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _replaced(path: Path) -> BrokenConnectionError:
    return BrokenConnectionError(
        f"{path} was removed or replaced under the running service, and nothing more is accepted; put the same file back, or "
        "stop the service, put the file there that is to be used, and start it"
    )
