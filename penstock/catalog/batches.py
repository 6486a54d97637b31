"""The verbs on batch tasks, as the engine's lister has them: the catalog's, in a class of their own because they are many.

Made by the Catalog; runs each verb of `batching` in one transaction of its writer, or reads.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from penstock import telemetry
from penstock.catalog import batching, comparing, placing
from penstock.catalog.batchwork import Batch, Compared, Feed, Segment, Selection
from penstock.catalog.doorbell import Doorbell
from penstock.catalog.session import Session
from penstock.model import Report
from penstock.telemetry import meters


class Do(Protocol):
    """Runs work on a session."""

    def __call__(self, work: Callable[[Session], Any], /) -> Awaitable[Any]: ...


class Batches:
    """`bell` rings when a batch was made, canceled, or has given up its place."""

    def __init__(self, *, write: Do, read: Do, bell: Doorbell) -> None:
        self._write = write
        self._read = read
        self.bell = bell

    async def begin(self) -> int:
        """Pending -> Executing, while their dataflows are Running and have places; how many."""
        return int(await self._write(placing.begin)) if await self._read(placing.is_any_next) else 0

    async def placed(self) -> Sequence[Batch]:
        """Those that have a place: Executing or Canceling."""
        found: Sequence[Batch] = await self._read(batching.placed)
        return found

    async def selection(self, task_id: str) -> Selection:
        """What a batch was asked to move, besides its Directory."""
        found: Selection = await self._read(lambda session: batching.selection(session, task_id))
        return found

    async def feed(self, task_id: str, new: Feed) -> bool:
        """Take what was listed next, and note how far that was, in one transaction; False where that was not next, or it ends."""
        is_taken = bool(await self._write(lambda session: batching.feed(session, task_id, new)))
        if is_taken:
            telemetry.numbers.count(meters.SUB_TASKS_CREATED, (), len(new.files))
        return is_taken

    async def compared(self, task_id: str, new: Compared) -> bool:
        """Take what was compared next, and note how far that was, as `feed` does."""
        return bool(await self._write(lambda session: comparing.take(session, task_id, new)))

    async def give_up_listing(self, task_id: str, *, code: str, message: str) -> None:
        """Let it be Failed once all that was listed is final."""
        await self._write(lambda session: batching.give_up_listing(session, task_id, code, message))

    async def explain(self, task_id: str, words: str) -> None:
        """Say what its listing waits for; "" where it goes on."""
        await self._write(lambda session: batching.explain(session, task_id, words))

    async def report(self, task_id: str, *, limit: int) -> int:
        """Have at most `limit` final files become lines of its reports; how many."""
        return int(await self._write(lambda session: batching.report(session, task_id, limit)))

    async def segments(self, task_id: str, report: Report, *, after: int, limit: int) -> Sequence[Segment]:
        """The next lines of a report, without its head."""
        found: Sequence[Segment] = await self._read(
            lambda session: batching.segments(session, task_id, report, after, limit)
        )
        return found

    async def report_size(self, task_id: str, report: Report) -> int | None:
        """How many bytes a report has, without its head; None where it has no line, or is too old."""
        found: int | None = await self._read(lambda session: batching.report_size(session, task_id, report))
        return found

    async def report_key(self) -> str:
        """What links to reports are signed with, in this catalog."""
        return str(await self._write(batching.report_key))

    async def withdraw(self, task_id: str, *, limit: int) -> int:
        """End files of a Canceling batch; how many were left to end. Call again while it answers `limit`."""
        return int(await self._write(lambda session: batching.withdraw(session, task_id, limit)))

    async def end(self, task_id: str, *, report_path: str) -> bool:
        """Executing -> Completed|Failed, Canceling -> Canceled; False while files of it are live."""
        return bool(await self._write(lambda session: placing.end(session, task_id, report_path)))
