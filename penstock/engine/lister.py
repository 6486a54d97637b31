"""The lister: gives batch tasks their places, lists what they are to move, feeds the catalog with it, and ends them.

One `step` takes every batch that has a place a little further. Listing and moving overlap: so many files of a batch wait at most,
and while they do, listing waits. All that counts is in the catalog, so a lister that is killed goes on where the catalog says.
What blocks (a bucket, a file system) is looked at in threads, one a batch, and stands in nobody else's way. Comparisons have
their places here, too, and are taken further by the `comparer`. Moves and claims nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from penstock.catalog.batchwork import Batch, Selection
from penstock.catalog.catalog import Catalog
from penstock.engine import looking
from penstock.engine.comparer import Comparer
from penstock.engine.feeding import Entry, Ways
from penstock.engine.looking import Found, Source
from penstock.engine.looks import Looks
from penstock.engine.options import ListerOptions, RetryOptions
from penstock.engine.orders import bucket_name
from penstock.engine.pieces import Seek, direction_of, pieces_of, seek_of
from penstock.engine.reporter import Reporter
from penstock.errors import FailureCode, TransferError
from penstock.model import Bucket, Direction, Registry, TaskAction, TaskStatus
from penstock.stores.base import Store


class Listing:
    """What is known here of a batch's listing: what was seen and not fed yet, and the look that is under way."""

    def __init__(self, selection: Selection, before: str, looks: Looks[Found]) -> None:
        self.selection = selection
        self.before = before  # how far it was, as the catalog knows it
        self.seek = seek_of(before)  # where the next look goes on
        self.seen: deque[Entry] = deque()
        self.is_seen_all = False
        self.looks = looks


class Lister:
    """`step` looks at every batch that has a place. `wake` is called when a look has come back."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        registry: Callable[[], Registry],
        open_bucket: Callable[[Bucket], Store],
        options: ListerOptions,
        retry: RetryOptions,
        now_ns: Callable[[], int],
        wake: Callable[[], None],
    ) -> None:
        self._batches = catalog.batches
        self._registry = registry
        self._open_bucket = open_bucket
        self._options = options
        self._retry = retry
        self._now_ns = now_ns
        self._wake = wake
        self._listings: dict[str, Listing] = {}
        self._reporter = Reporter(
            batches=catalog.batches,
            registry=registry,
            open_bucket=open_bucket,
            options=options,
            now_ns=now_ns,
            wake=wake,
        )
        self._comparer = Comparer(
            batches=catalog.batches, registry=registry, open_bucket=open_bucket, options=options, looks=self._new_looks
        )
        self._has_any = True  # nobody knows yet

    def _new_looks(self) -> Looks[Any]:
        return Looks(
            batches=self._batches, options=self._options, retry=self._retry, now_ns=self._now_ns, wake=self._wake
        )

    @property
    def has_any(self) -> bool:
        """Whether any batch had a place at the last look."""
        return self._has_any

    def close(self) -> None:
        """Let the threads end that would not end soon: the process does."""
        self._comparer.close()

    async def step(self) -> float:
        """Take every batch a little further; returns how long nothing has to be done, in seconds."""
        await self._batches.begin()
        placed = await self._batches.placed()
        self._has_any = bool(placed)
        here = {batch.task_id for batch in placed}
        self._listings = {task_id: listing for task_id, listing in self._listings.items() if task_id in here}
        self._reporter.keep(here)
        self._comparer.keep({batch.task_id for batch in placed if batch.status is TaskStatus.EXECUTING})
        if not placed:
            return self._options.look_again_s
        moved_on = await asyncio.gather(*(self._advance(batch) for batch in placed), return_exceptions=True)
        for error in moved_on:
            if isinstance(error, BaseException):  # only now: the others are a step further
                raise error
        return 0.0 if any(moved_on) else self._options.busy_look_s

    async def _advance(self, batch: Batch) -> bool:
        """One thing after the other; whether there is more to do at once."""
        limit = self._options.report_lines
        if batch.status is TaskStatus.CANCELING and batch.live:
            withdrawn = await self._batches.withdraw(batch.task_id, limit=limit)
            return withdrawn >= limit
        is_over = batch.live == 0 and (batch.is_listed or batch.status is TaskStatus.CANCELING)
        if batch.unreported >= limit or (is_over and batch.unreported):
            await self._batches.report(batch.task_id, limit=limit)
            return True
        if is_over:
            return await self._reporter.ended(batch)
        if batch.status is TaskStatus.EXECUTING and batch.is_working and not batch.is_listed and not batch.is_refresh:
            is_comparison = batch.action is TaskAction.COMPARE
            return await (self._comparer.advance(batch) if is_comparison else self._list(batch))
        return False

    # ------------------------------------------------------------------------------------------------------------- listing

    async def _list(self, batch: Batch) -> bool:
        """Feed what was seen, as far as there is room, and look for more. Whether more can be fed at once."""
        listing = await self._listing(batch)
        found = await listing.looks.taken(batch)
        if found is not None:
            listing.seen.extend(found.entries)
            listing.seek = found.behind or listing.seek
            listing.is_seen_all = found.behind is None
        listing.is_seen_all = listing.is_seen_all or listing.looks.is_given_up
        if listing.looks.may_begin and not listing.is_seen_all and len(listing.seen) < self._options.feed_max:
            look = partial(self._looked, batch, listing.selection, listing.seek)
            listing.looks.begin(look, f"list-{batch.task_id}")
        room = self._options.waiting_max - batch.waiting
        if room < self._options.feed_least and not (room > 0 and batch.waiting == 0):
            return False
        if not listing.seen and not listing.is_seen_all:
            return False
        return await self._feed(batch, listing, min(room, self._options.feed_max))

    async def _listing(self, batch: Batch) -> Listing:
        known = self._listings.get(batch.task_id)
        if known is not None and known.before == batch.seek:
            return known
        selection = await self._batches.selection(batch.task_id)
        known = Listing(selection, batch.seek, self._new_looks())
        self._listings[batch.task_id] = known
        return known

    def _looked(self, batch: Batch, selection: Selection, seek: Seek) -> Found:
        """In a thread. Raises TransferError."""
        registry = self._registry()
        file_system = registry.file_systems.get(batch.file_system_id)
        bucket = registry.buckets.get(bucket_name(batch.source_storage))
        if file_system is None or bucket is None:
            words = "its bucket or file system is not registered (any more); `penstock bucket add`, `penstock filesystem add`"
            raise TransferError(FailureCode.BUCKET_NOT_REGISTERED, words, waiting_helps=True)
        direction = direction_of(batch)
        limit_s = self._options.look_limit_s
        if not batch.seek and direction is Direction.IMPORT and not batch.create_dir_if_not_exist:
            target = f"{batch.file_system_path}{batch.target_directory.removeprefix('/')}"
            looking.require_target(file_system, target, limit_s)
        root = batch.source_storage_path if direction is Direction.IMPORT else batch.file_system_path
        source = Source(
            direction=direction,
            file_system=file_system,
            open_bucket=partial(self._open_bucket, bucket),
            root=root.removeprefix("/"),
            pieces=pieces_of(batch, selection),
            file_lists=selection.file_list_path.removeprefix("/"),
            is_named=bool(selection.entry_list or selection.includes or selection.file_list_path),
            limit_s=limit_s,
        )
        return looking.look(source, seek)

    async def _feed(self, batch: Batch, listing: Listing, count: int) -> bool:
        entries = [listing.seen.popleft() for _ in range(min(count, len(listing.seen)))]
        is_last = listing.is_seen_all and not listing.seen
        behind = listing.seek if not listing.seen else entries[-1].behind
        ways = Ways(batch, listing.selection, self._options.symlinks)
        feed = ways.feed(listing.before, entries, None if is_last else behind)
        if not await self._batches.feed(batch.task_id, feed):
            del self._listings[batch.task_id]  # it ends, or somebody else was quicker: what was seen here is old
            return False
        listing.before = feed.seek
        return bool(listing.seen)
