"""The one writer thread: everybody who waits is served by one transaction and one fsync (group commit).

Each piece of work runs in a savepoint of its own, so that a refusal touches nobody else; futures are resolved after
COMMIT. When the database fails, all who wait get CatalogUnavailableError and the connection is replaced: a failed
fsync is believed once. Knows no verb and no table.

The thread and the loop take turns: while the thread works the loop stands aside, while the thread waits for the disk the loop
goes on. Both at once would hand the interpreter's lock to and fro at each row that is read (docs/decisions/0020).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from penstock import failpoints, telemetry
from penstock.catalog.database import BrokenConnectionError, Connection, Durability
from penstock.catalog.doorbell import News
from penstock.catalog.session import Session
from penstock.errors import CatalogError, CatalogUnavailableError
from penstock.telemetry import meters

ASIDE_MAX_S = 0.02
"""The loop stands aside no longer, whatever the thread is busy with: a long verb, a lock that is not given, a disk that hangs."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A verb's refusal that leaves something to keep (a used nonce): the caller gets `error`, the rest is committed."""

    error: CatalogError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Verb(Generic[Item, Result]):
    """Work that can be done for several callers at once.

    `perform` gets their items in order and answers a result (or Refused) for each. When it raises for more than one
    item it is undone and called again for each item alone.
    """

    perform: Callable[[Session, Sequence[Item]], Sequence[Result | Refused]]
    durability: Durability = Durability.SYNCED


class _Job:
    """One caller's item on its way."""

    __slots__ = ("future", "item", "verb")

    def __init__(self, verb: Verb[Any, Any], item: object, future: asyncio.Future[Any]) -> None:
        self.verb = verb
        self.item = item
        self.future = future


class Ahead(Generic[Result]):
    """Work that was submitted before there is any: `done` gets its result, unless it is withdrawn."""

    def __init__(self, done: asyncio.Future[Result], withdraw: Callable[[], bool]) -> None:
        self.done = done
        self._withdraw = withdraw

    def withdraw(self) -> bool:
        """Have it not done. False when the writer has taken it: then `done` will get its result, or has it."""
        return self._withdraw()


class Writer:
    """A thread with one connection. `submit` is called on the loop; at most `queue_max` callers wait."""

    def __init__(
        self,
        *,
        open_connection: Callable[[], Connection],
        open_session: Callable[[Connection], Session],
        loop: asyncio.AbstractEventLoop,
        ring: Callable[[News], None],
        name: str,
        points: tuple[failpoints.ControlPoint, failpoints.ControlPoint],
        batch_max: int,
        queue_max: int,
    ) -> None:
        self._open_connection = open_connection
        self._open_session = open_session
        self._loop = loop
        self._ring = ring
        self._labels = (name.removeprefix("catalog-"),)
        self._points = points
        self._batch_max = batch_max
        self._queue_max = queue_max
        self._jobs: deque[_Job] = deque()
        self._is_called = False  # the thread is at work, or a turn of the loop comes that sets it to work
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = False
        self._ahead: _Job | None = None
        self._ahead_lock = threading.Lock()
        self._turns: SimpleQueue[_Turn | None] = SimpleQueue()
        self._connection: Connection | None = open_connection()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    # ---------------------------------------------------------------------------------------------------------- on the loop

    def submit(self, verb: Verb[Item, Result], item: Item) -> asyncio.Future[Result]:
        """Queue `item`; the future gets the verb's result once it is committed. CatalogUnavailableError when full."""
        if self._closing:
            raise CatalogUnavailableError("the catalog is closed")
        if len(self._jobs) >= self._queue_max:
            raise CatalogUnavailableError("too many calls wait for the catalog; try again")
        future: asyncio.Future[Result] = self._loop.create_future()
        self._jobs.append(_Job(verb, item, future))
        self._call()
        return future

    def submit_ahead(self, verb: Verb[Item, Result], item: Item) -> Ahead[Result]:
        """Have `item` done by the first transaction that rings for work, behind all else that it does.

        What finds that work needs no transaction, and no waking, of its own then. There is one such item at a time.
        """
        job = _Job(verb, item, self._loop.create_future())
        with self._ahead_lock:
            self._ahead = job
        return Ahead(job.future, lambda: self._taken_ahead(job) is not None)

    def forget_ahead(self) -> None:
        """Whoever has submitted something ahead is gone."""
        self._taken_ahead()

    async def close(self) -> None:
        """Finish what is queued, then end the thread."""
        self._closing = True
        await self._idle.wait()
        self._turns.put(None)
        await asyncio.to_thread(self._thread.join)

    def _call(self) -> None:
        """Have the thread set to work, behind all that the loop has to do right now: that joins the batch."""
        if not self._is_called:
            self._is_called = True
            self._idle.clear()
            self._loop.call_soon(self._give_turn)

    def _give_turn(self) -> None:
        """Hand over what waits, up to the bound, and stand aside until it is done and only the disk is waited for."""
        batch = [self._jobs.popleft() for _ in range(min(len(self._jobs), self._batch_max))]
        done = threading.Lock()
        done.acquire()
        self._turns.put((batch, done))
        done.acquire(timeout=ASIDE_MAX_S)

    def _deliver(self, news: News, answers: list[_Answer]) -> None:
        for future, result, error in answers:
            if future.done():
                continue  # the caller has gone away
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
        self._is_called = False
        if self._jobs:
            self._call()
        else:
            self._idle.set()
        if news:
            self._ring(news)

    # ------------------------------------------------------------------------------------------------------- in the thread

    def _run(self) -> None:
        while (turn := self._turns.get()) is not None:
            batch, done = turn
            try:
                try:
                    connection, news, answers = self._perform_all(batch)
                finally:
                    done.release()
                self._commit(connection, len(batch))
            except Exception as error:  # noqa: BLE001  nobody may be left waiting: every caller gets the error
                self._replace_connection()
                failure = error if isinstance(error, CatalogUnavailableError) else _surprise(error)
                news, answers = News.NONE, [(job.future, None, failure) for job in batch]
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._deliver, news, answers)
        if self._connection is not None:
            self._connection.close()

    def _perform_all(self, batch: list[_Job]) -> tuple[Connection, News, list[_Answer]]:
        """Do the whole batch in one transaction; what each caller gets is valid only once that is committed."""
        if self._connection is None:
            self._connection = self._open_connection()
            self._connection.renew_log()
        connection = self._connection
        synced = any(job.verb.durability is Durability.SYNCED for job in batch)
        connection.begin(Durability.SYNCED if synced else Durability.UNSYNCED)
        session = self._open_session(connection)
        together: dict[Verb[Any, Any], list[_Job]] = {}  # all wait at once, so nobody can tell who of them came first
        for job in batch:
            together.setdefault(job.verb, []).append(job)
        answers: list[_Answer] = []
        for jobs in together.values():
            answers += self._perform(session, jobs)
        if News.WORK in session.news and (ahead := self._taken_ahead()) is not None:
            batch.append(ahead)  # from here on it fares as all the others
            answers += self._perform(session, [ahead])
        connection.confirm()  # still in this turn: with the loop at work each look at the disk would wait for the interpreter
        return connection, session.news, answers

    def _commit(self, connection: Connection, count: int) -> None:
        began_s = time.perf_counter()
        failpoints.passing(self._points[0])
        connection.commit()
        failpoints.passing(self._points[1])
        telemetry.numbers.observe(meters.COMMITS, time.perf_counter() - began_s, self._labels)
        telemetry.numbers.count(meters.COMMITTED, self._labels, count)

    def _taken_ahead(self, wanted: _Job | None = None) -> _Job | None:
        """Take out what was submitted ahead, if it is there still (and is `wanted`). From either side."""
        with self._ahead_lock:
            job = self._ahead
            if job is None or (wanted is not None and wanted is not job):
                return None
            self._ahead = None
            return job

    def _perform(self, session: Session, jobs: list[_Job]) -> list[_Answer]:
        """One verb for its callers: together if that works, else one by one."""
        try:
            with session.all_or_nothing("verb"):
                results = jobs[0].verb.perform(session, [job.item for job in jobs])
        except BrokenConnectionError:
            raise
        except Exception as error:  # noqa: BLE001  it belongs to this caller alone and is handed to it
            if len(jobs) == 1:
                return [(jobs[0].future, None, error)]
            return [answer for job in jobs for answer in self._perform(session, [job])]
        return [
            (job.future, None, result.error) if isinstance(result, Refused) else (job.future, result, None)
            for job, result in zip(jobs, results, strict=True)
        ]

    def _replace_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None  # the next batch opens another one


_Answer = tuple["asyncio.Future[Any]", Any, BaseException | None]

_Turn = tuple[list[_Job], threading.Lock]
"""A batch, and what to release when all of it is done and only the disk is waited for."""


def _surprise(error: Exception) -> CatalogUnavailableError:
    failure = CatalogUnavailableError(f"the catalog failed: {error!r}")
    failure.__cause__ = error
    return failure
