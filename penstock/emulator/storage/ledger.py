"""The ledger: one SQLite database, one writer thread, a few readers.

All writes that wait at the same moment share one commit (and its fsync); each keeps its own savepoint, so a refused
one takes nothing down. On a full disk they are tried one by one, and what deletes gets the room that was kept back for it.
The event loop never touches the database. Calls sqlite3; knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from penstock.emulator.storage import schema
from penstock.emulator.storage.room import Reserve, is_full

READERS = 4
BATCH_MAX = 256
_RESTOCK_MS = 50
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


class _Job(NamedTuple):
    """A write that waits. `frees`: whether it deletes."""

    act: Callable[[Transaction], Any]
    future: asyncio.Future[Any]
    frees: bool


class _Outcome(NamedTuple):
    """What became of one: a result, or an error."""

    future: asyncio.Future[Any]
    result: Any
    error: BaseException | None


class Ledger:
    """Open it inside the event loop that uses it; `read` and `write` are awaited there."""

    def __init__(self, path: Path, *, reserve: Reserve, on_freed: Callable[[list[str]], None]) -> None:
        """`on_freed` is called in the event loop with blobs that no committed row names any more. `reserve` is its own."""
        self._path = path
        self._reserve = reserve
        self._on_freed = on_freed
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._guard = threading.Lock()
        self._last_version = 0

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Blocking: make the tables, start the threads. Raises ValueError, sqlite3.Error, OSError."""
        self._loop = loop
        self._reserve.give_up()  # SQLite maps a file that may have holes: on a full disk touching one is SIGBUS
        self._writer = schema.open_ledger(self._path)
        self._reserve.keep()
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
        """What `act` returns, once it is durable; whatever it raises, with nothing changed. On a full disk it is called again."""
        return await self._queued(act, frees=False)

    async def free(self, act: Callable[[Transaction], T]) -> T:
        """As `write`, for what deletes: on a full disk it may use the room that is kept back."""
        return await self._queued(act, frees=True)

    async def _queued(self, act: Callable[[Transaction], T], *, frees: bool) -> T:
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Job(act, future, frees))
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

    def _commit(self, jobs: list[_Job]) -> None:
        freed: list[str] = []
        try:
            outcomes = self._together(jobs, freed)
        except Exception as error:  # noqa: BLE001 - every waiting request is told, none was committed
            outcomes = [_Outcome(job.future, None, error) for job in jobs]
            if is_full(error):
                outcomes = [self._alone(job, freed) for job in jobs]
        if not self._reserve.whole:
            self._restock()
        self._loop.call_soon_threadsafe(self._settle, outcomes, freed)

    def _together(self, jobs: list[_Job], freed: list[str]) -> list[_Outcome]:
        """One transaction for all. What it raises undid all of them; a job's own failure is its outcome."""
        released: list[str] = []
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            outcomes = [self._attempt(job, released) for job in jobs]
            self._writer.execute("COMMIT")
        except Exception:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise
        freed.extend(released)
        return outcomes

    def _attempt(self, job: _Job, released: list[str]) -> _Outcome:
        self._writer.execute("SAVEPOINT request")
        transaction = Transaction(self._writer, self._next_version)
        try:
            result = job.act(transaction)
        except Exception as error:
            if is_full(error) or not self._writer.in_transaction:  # SQLite rolled everything back by itself
                raise
            self._writer.execute("ROLLBACK TO request")
            self._writer.execute("RELEASE request")
            return _Outcome(job.future, None, error)
        self._writer.execute("RELEASE request")
        released.extend(transaction.freed)
        return _Outcome(job.future, result, None)

    # ------------------------------------------------------------------------------------------------- on a full disk

    def _alone(self, job: _Job, freed: list[str]) -> _Outcome:
        """One job after another, each with what may help: its log begun anew and, for one that frees, the reserve."""
        remedies = [self._begin_log_anew, *([self._give_up_reserve] if job.frees else [])]
        while True:
            try:
                return self._together([job], freed)[0]
            except Exception as error:  # noqa: BLE001 - the waiting request is told
                if not remedies or not is_full(error):
                    return _Outcome(job.future, None, error)
                remedies.pop(0)()

    def _begin_log_anew(self) -> None:
        """What is committed moves from the log into the database, whose file keeps its length; the log's room is used again."""
        with contextlib.suppress(sqlite3.OperationalError):  # no room for that, either
            self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _give_up_reserve(self) -> None:
        self._reserve.give_up()
        self._begin_log_anew()

    def _restock(self) -> None:
        """Keep room back again as soon as there is some; the log's own is given back where no reader is at work."""
        with contextlib.suppress(sqlite3.OperationalError, OSError):
            self._writer.execute(f"PRAGMA busy_timeout = {_RESTOCK_MS}")
            try:
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                self._writer.execute(f"PRAGMA busy_timeout = {round(schema.BUSY_S * 1000)}")
            self._reserve.keep()

    def _settle(self, outcomes: list[_Outcome], freed: list[str]) -> None:
        for future, result, error in outcomes:
            if future.done():
                continue  # its request was cancelled meanwhile
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
        if freed:
            self._on_freed(freed)
