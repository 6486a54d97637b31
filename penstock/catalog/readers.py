"""The reader threads: each has a connection of its own and reads one snapshot a call. Nothing here writes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from penstock.catalog.database import BrokenConnectionError, Connection
from penstock.catalog.session import Session
from penstock.errors import CatalogUnavailableError

Result = TypeVar("Result")


class Readers:
    """`threads` readers; at most `queue_max` calls wait for them."""

    def __init__(
        self,
        *,
        open_connection: Callable[[], Connection],
        open_session: Callable[[Connection], Session],
        threads: int,
        queue_max: int,
    ) -> None:
        self._open_connection = open_connection
        self._open_session = open_session
        self._queue_max = queue_max
        self._waiting = 0
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="catalog-reader")
        self._mine = threading.local()
        self._lock = threading.Lock()
        self._connections: list[Connection] = []

    async def read(self, work: Callable[[Session], Result]) -> Result:
        """Run `work` on one snapshot. CatalogUnavailableError when too many wait or the database cannot be read."""
        if self._waiting >= self._queue_max:
            raise CatalogUnavailableError("too many calls wait to read the catalog; try again")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self.read_here, work)
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """End the threads and close their connections."""
        await asyncio.to_thread(self._pool.shutdown)
        for connection in self._connections:
            connection.close()

    def read_here(self, work: Callable[[Session], Result]) -> Result:
        """Run `work` on one snapshot in the calling thread, which gets a connection of its own. BrokenConnectionError."""
        connection: Connection | None = getattr(self._mine, "connection", None)
        if connection is None:
            connection = self._open_connection()
            self._mine.connection = connection
            with self._lock:
                self._connections.append(connection)
        try:
            connection.begin_read()
            try:
                return work(self._open_session(connection))
            finally:
                connection.rollback()
        except BrokenConnectionError:
            self._mine.connection = None
            connection.close()
            with self._lock:
                self._connections.remove(connection)
            raise
