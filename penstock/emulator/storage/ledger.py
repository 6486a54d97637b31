"""The ledger: one SQLite database, one writer thread, a few readers.

All writes that wait at the same moment share one commit (and its fsync); each keeps its own savepoint, so a refused
one takes nothing down. The event loop never touches the database. Calls sqlite3; knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from penstock.emulator.storage import schema

READERS = 4
BATCH_MAX = 256
T = TypeVar("T")


class Transaction:
    """What a write sees. `freed` collects the ids of blobs whose files may go once this is committed."""

    __slots__ = ("_next_version", "database", "freed")

    def __init__(self, database: sqlite3.Connection, next_version: Callable[[], int]) -> None:
        self.database = database
        self.freed: list[str] = []
        self._next_version = next_version

    def next_version(self) -> int:
        """A number larger than that of any version so far."""
        return self._next_version()


class Ledger:
    """Open it inside the event loop that uses it; `read` and `write` are awaited there."""

    def __init__(self, path: Path, *, on_freed: Callable[[list[str]], None]) -> None:
        """`on_freed` is called in the event loop with blobs that no committed row names any more."""
        self._path = path
        self._on_freed = on_freed
        self._queue: queue.SimpleQueue[tuple[Callable[[Transaction], Any], asyncio.Future[Any]] | None]
        self._queue = queue.SimpleQueue()
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._guard = threading.Lock()
        self._last_version = 0

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Blocking: make the tables, start the threads. Raises ValueError, sqlite3.Error, OSError."""
        self._loop = loop
        self._writer = schema.open_ledger(self._path)
        self._last_version = int(self._writer.execute("SELECT coalesce(max(version), 0) FROM versions").fetchone()[0])
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="emulator-read")
        self._thread = threading.Thread(target=self._run, name="emulator-write", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Blocking: finish what is queued, then close."""
        self._queue.put(None)
        self._thread.join()
        self._readers.shutdown()
        for connection in (*self._connections, self._writer):
            connection.close()

    def file_blobs(self) -> set[str]:
        """Blocking, before the first request: the ids of all blobs that are files."""
        return {row[0] for row in self._writer.execute("SELECT blob FROM blobs WHERE bytes IS NULL")}

    async def read(self, look: Callable[[sqlite3.Connection], T]) -> T:
        """What `look` finds in one consistent snapshot."""
        return await self._loop.run_in_executor(self._readers, self._look, look)

    async def write(self, act: Callable[[Transaction], T]) -> T:
        """What `act` returns, once it is durable; whatever it raises, with nothing changed."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put((act, future))
        return await future

    def _look(self, look: Callable[[sqlite3.Connection], T]) -> T:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = schema.connect(self._path)
            connection.execute("PRAGMA query_only = ON")
            self._local.connection = connection
            with self._guard:
                self._connections.append(connection)
        connection.execute("BEGIN")
        try:
            return look(connection)
        finally:
            connection.execute("COMMIT")

    def _next_version(self) -> int:
        self._last_version += 1
        return self._last_version

    def _run(self) -> None:
        while True:
            first = self._queue.get()
            batch = [first]
            while len(batch) < BATCH_MAX and not self._queue.empty():
                batch.append(self._queue.get())
            jobs = [job for job in batch if job is not None]
            if jobs:
                self._commit(jobs)
            if len(jobs) < len(batch):
                return

    def _commit(self, jobs: list[tuple[Callable[[Transaction], Any], asyncio.Future[Any]]]) -> None:
        outcomes: list[tuple[asyncio.Future[Any], Any, BaseException | None]] = []
        freed: list[str] = []
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for act, future in jobs:
                outcomes.append((future, *self._attempt(act, freed)))
            self._writer.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - every waiting request is told, none was committed
            freed = []
            outcomes = [(future, None, error) for _, future in jobs]
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        self._loop.call_soon_threadsafe(self._settle, outcomes, freed)

    def _attempt(self, act: Callable[[Transaction], T], freed: list[str]) -> tuple[T | None, Exception | None]:
        self._writer.execute("SAVEPOINT request")
        transaction = Transaction(self._writer, self._next_version)
        try:
            result = act(transaction)
        except Exception as error:
            if not self._writer.in_transaction:  # SQLite rolled everything back by itself (disk full, I/O error)
                raise
            self._writer.execute("ROLLBACK TO request")
            self._writer.execute("RELEASE request")
            return None, error
        self._writer.execute("RELEASE request")
        freed.extend(transaction.freed)
        return result, None

    def _settle(self, outcomes: list[tuple[asyncio.Future[Any], Any, BaseException | None]], freed: list[str]) -> None:
        for future, result, error in outcomes:
            if future.done():
                continue  # its request was cancelled meanwhile
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
        if freed:
            self._on_freed(freed)
