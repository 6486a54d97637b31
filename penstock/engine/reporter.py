"""The end of a batch: its reports are written into the bucket, then it is Completed, Failed or Canceled.

What cannot be written there (a bucket that may only be read) stays in the catalog alone, from where the service hands it out in
any case: a batch does not wait for its bucket longer than a few tries. Written again after a crash, a report is the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from functools import partial
from typing import Any, TypeVar

from penstock import telemetry
from penstock.catalog.batches import Batches
from penstock.catalog.batchwork import Batch
from penstock.catalog.reports import head_of
from penstock.engine import apart
from penstock.engine.options import ListerOptions, to_ns
from penstock.engine.orders import bucket_name
from penstock.errors import FailureCode, PenstockError, StoreError, TransferError
from penstock.model import Bucket, Registry, Report
from penstock.stores.base import Overwrite, Store
from penstock.transfer import crc64
from penstock.transfer.refusals import from_store
from penstock.transfer.transfer import RESERVED_PREFIX

DIRECTORY = f"{RESERVED_PREFIX}reports"
"""Beneath SourceStoragePath; a name of ours, so that nobody lists, imports or exports what lies there."""

OBJECT_MAX_BYTES = 1 << 30
"""A longer report is continued in another object."""

SEGMENTS_AT_ONCE = 16
Read = TypeVar("Read")


class _Writing:
    """A batch whose reports are being written."""

    def __init__(self) -> None:
        self.under_way: asyncio.Future[str] | None = None
        self.failures = 0
        self.due_ns = 0


class _Body:
    """One object's worth of a report: its head and the lines of some segments, read anew in each pass. For one thread."""

    def __init__(self, head: bytes, read: Callable[[int], Iterator[bytes]], after: int) -> None:
        self._head = head
        self._read = read
        self._after = after
        self.length_bytes, self.crc64 = 0, crc64.EMPTY
        for piece in self:
            self.length_bytes += len(piece)
            self.crc64 = crc64.update(piece, self.crc64)

    def preview(self) -> Iterator[memoryview]:
        """One pass over the bytes beforehand."""
        return iter(self)

    def __iter__(self) -> Iterator[memoryview]:
        yield memoryview(self._head)
        for lines in self._read(self._after):
            yield memoryview(lines)


class Reporter:
    """`ended` for a batch of which nothing is live and all is reported. `wake` is called when its reports are written."""

    def __init__(
        self,
        *,
        batches: Batches,
        registry: Callable[[], Registry],
        open_bucket: Callable[[Bucket], Store],
        options: ListerOptions,
        now_ns: Callable[[], int],
        wake: Callable[[], None],
    ) -> None:
        self._batches = batches
        self._registry = registry
        self._open_bucket = open_bucket
        self._options = options
        self._now_ns = now_ns
        self._wake = wake
        self._writings: dict[str, _Writing] = {}

    def keep(self, task_ids: set[str]) -> None:
        """Forget all but these."""
        self._writings = {task_id: one for task_id, one in self._writings.items() if task_id in task_ids}

    async def ended(self, batch: Batch) -> bool:
        """End it once its reports are written, or cannot be; whether there is more to do at once."""
        writing = self._writings.setdefault(batch.task_id, _Writing())
        if writing.under_way is None:
            if writing.due_ns <= self._now_ns():
                loop = asyncio.get_running_loop()
                writing.under_way = apart.ask(partial(self._written, batch, loop), f"report-{batch.task_id}")
                writing.under_way.add_done_callback(lambda _: self._wake())
            return False
        if not writing.under_way.done():
            return False
        under_way, writing.under_way = writing.under_way, None
        try:
            path = under_way.result()
        except PenstockError as error:
            if self._may_try_again(batch, writing, error):
                return False
            path = ""
        return await self._batches.end(batch.task_id, report_path=path)

    def _may_try_again(self, batch: Batch, writing: _Writing, error: PenstockError) -> bool:
        writing.failures += 1
        waits_s = self._options.report_waits_s
        is_over = not (isinstance(error, TransferError) and error.waiting_helps) or writing.failures > len(waits_s)
        telemetry.event(
            "reporter.not_written" if is_over else "reporter.written_later",
            level=telemetry.Level.WARNING,
            task_id=batch.task_id,
            words=str(error),
        )
        if not is_over:
            writing.due_ns = self._now_ns() + to_ns(waits_s[writing.failures - 1])
        return not is_over

    # ------------------------------------------------------------------------------------------------------- in a thread

    def _written(self, batch: Batch, loop: asyncio.AbstractEventLoop) -> str:
        """Where the reports lie now; "" where there are none. Raises TransferError."""
        bucket = self._registry().buckets.get(bucket_name(batch.source_storage))
        if bucket is None:
            raise TransferError(FailureCode.BUCKET_NOT_REGISTERED, "the bucket is not registered (any more)")
        directory = f"{batch.source_storage_path.removeprefix('/')}{DIRECTORY}/{batch.task_id}/"
        try:
            with closing(self._open_bucket(bucket)) as store:
                objects = [self._put(store, batch, report, directory, loop) for report in Report]
        except StoreError as error:
            raise from_store(error) from error
        return f"{bucket.scheme}://{bucket.name}/{directory}" if any(objects) else ""

    def _put(self, store: Store, batch: Batch, report: Report, directory: str, loop: asyncio.AbstractEventLoop) -> int:
        """Write one report; in how many objects. Raises StoreError."""
        after, number = 0, 0
        while _wait(loop, self._batches.segments(batch.task_id, report, after=after, limit=1)):
            last = [after]
            body = _Body(head_of(report), partial(self._lines, batch.task_id, report, loop, last), after)
            number += 1
            name = report.value if number == 1 else f"{report.value}-{number}"
            store.put(f"{directory}{name}.csv", body, crc64=body.crc64, metadata={}, precondition=Overwrite())
            after = last[0]
        return number

    def _lines(
        self, task_id: str, report: Report, loop: asyncio.AbstractEventLoop, last: list[int], after: int
    ) -> Iterator[bytes]:
        """Lines behind a segment, as many as go into one object; `last` is told the last segment."""
        total = 0
        while found := _wait(loop, self._batches.segments(task_id, report, after=after, limit=SEGMENTS_AT_ONCE)):
            for segment in found:
                yield segment.lines
                total += len(segment.lines)
                after = last[0] = segment.number
                if total >= OBJECT_MAX_BYTES:
                    return


def _wait(loop: asyncio.AbstractEventLoop, reading: Coroutine[Any, Any, Read]) -> Read:
    """What the catalog answers, for a thread that is not the loop's."""
    try:
        return asyncio.run_coroutine_threadsafe(reading, loop).result()
    except RuntimeError:  # the loop has ended
        reading.close()
        raise
