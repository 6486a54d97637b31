"""The comparer: takes Compare tasks that have a place further, step by step, and has the catalog keep what was found.

A part of the lister's step, as the reporter is. One thread a comparison; what counts is in the catalog, so one that was killed
goes on behind what it has told. Moves nothing, and writes to neither side.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from penstock.catalog.batches import Batches
from penstock.catalog.batchwork import Batch, Compared, Selection
from penstock.engine.comparing import Found, Ground, Running, spot_of
from penstock.engine.feeding import END
from penstock.engine.looks import Looks
from penstock.engine.options import ListerOptions
from penstock.engine.orders import bucket_name
from penstock.engine.pieces import pieces_of
from penstock.errors import FailureCode, TransferError
from penstock.model import Bucket, Checksums, Registry
from penstock.stores.base import Store


class _Work:
    """What is known here of one comparison: how far it is, the step under way, and whether it is to end."""

    def __init__(self, selection: Selection, before: str, looks: Looks[Found]) -> None:
        self.selection = selection
        self.before = before  # how far it is, as the catalog knows it
        self.looks = looks
        self.stop = threading.Event()
        self.running: Running | None = None


class Comparer:
    """`advance` one that has a place and is not at its end."""

    def __init__(
        self,
        *,
        batches: Batches,
        registry: Callable[[], Registry],
        open_bucket: Callable[[Bucket], Store],
        options: ListerOptions,
        looks: Callable[[], Looks[Found]],
    ) -> None:
        self._batches = batches
        self._registry = registry
        self._open_bucket = open_bucket
        self._options = options
        self._looks = looks
        self._works: dict[str, _Work] = {}
        self._is_closed = threading.Event()

    def close(self) -> None:
        """Let all threads end, and none begin that does not end at once: the process ends."""
        self._is_closed.set()

    def keep(self, task_ids: set[str]) -> None:
        """Forget all but these, and let their threads end."""
        for task_id in [task_id for task_id in self._works if task_id not in task_ids]:
            self._forget(task_id)

    def _forget(self, task_id: str) -> None:
        self._works.pop(task_id).stop.set()

    async def advance(self, batch: Batch) -> bool:
        """Keep what a step has found, and begin the next one; whether there is more to do at once."""
        work = await self._work(batch)
        found = await work.looks.taken(batch)
        if found is not None and not await self._kept(batch, work, found):
            return False
        if work.looks.may_begin:
            work.looks.begin(partial(self._stepped, batch, work), f"compare-{batch.task_id}")
        return False

    async def _work(self, batch: Batch) -> _Work:
        known = self._works.get(batch.task_id)
        if known is not None and known.before == batch.seek:
            return known
        if known is not None:  # somebody else was quicker: what was seen here is old
            self._forget(batch.task_id)
        selection = await self._batches.selection(batch.task_id)
        known = self._works[batch.task_id] = _Work(selection, batch.seek, self._looks())
        return known

    async def _kept(self, batch: Batch, work: _Work, found: Found) -> bool:
        """Whether it goes on."""
        seek = END if found.behind is None else found.behind.text
        new = Compared(
            before=work.before,
            seek=seek,
            is_last=found.behind is None,
            differences=found.differences,
            remarks=found.remarks,
            found=found.counts,
            bytes_total=found.bytes_total,
            bytes_done=found.bytes_done,
        )
        if not await self._batches.compared(batch.task_id, new) or new.is_last:
            self._forget(batch.task_id)
            return False
        work.before = seek
        return True

    # ------------------------------------------------------------------------------------------------------- in a thread

    def _stepped(self, batch: Batch, work: _Work) -> Found:
        """Raises TransferError, StoppedError. A step that failed is made again from where the last kept one ended."""
        running = work.running or self._begun(batch, work)
        work.running = None
        found = running.step()
        work.running = running
        return found

    def _begun(self, batch: Batch, work: _Work) -> Running:
        def is_stopped() -> bool:
            return work.stop.is_set() or self._is_closed.is_set()

        return Running(self._ground(batch, work.selection), spot_of(work.before), is_stopped)

    def _ground(self, batch: Batch, selection: Selection) -> Ground:
        registry = self._registry()
        file_system = registry.file_systems.get(batch.file_system_id)
        bucket = registry.buckets.get(bucket_name(batch.source_storage))
        if file_system is None or bucket is None:
            words = "its bucket or file system is not registered (any more); `penstock bucket add`, `penstock filesystem add`"
            raise TransferError(FailureCode.BUCKET_NOT_REGISTERED, words, waiting_helps=True)
        return Ground(
            file_system=file_system,
            open_bucket=partial(self._open_bucket, bucket),
            here=batch.file_system_path,
            there=batch.source_storage_path[:-1] + batch.target_directory,
            cut=0 if selection.entry_list else len(batch.directory) - 1,
            pieces=pieces_of(batch, selection),
            checksums=selection.checksums or Checksums.NONE,
            symlinks=self._options.symlinks,
            limit_s=self._options.look_limit_s,
        )
