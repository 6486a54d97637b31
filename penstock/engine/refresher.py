"""The refresher: looks at buckets whenever a dataflow's auto-refresh is due, and has imported what is new or has changed there.

One `step` takes every auto-refresh a little further. What has not changed costs its share of a listing and nothing else: the
catalog knows how each object was seen last. A look that was broken off begins anew, and finds only what is left. Buckets are
listed in threads. Compares and feeds; the lister ends what is fed, movers move it, and nothing is ever deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import NamedTuple

from penstock import telemetry
from penstock.catalog.batchwork import NO_SELECTION
from penstock.catalog.catalog import Catalog
from penstock.catalog.known import Portion, digest
from penstock.catalog.refreshwork import EVERYTHING, Marks, Refresh, Seen
from penstock.engine import apart
from penstock.engine.feeding import Entry, Ways
from penstock.engine.options import NS_PER_S, ListerOptions, RetryOptions, to_ns
from penstock.engine.orders import bucket_name
from penstock.engine.pieces import START
from penstock.errors import FailureCode, PenstockError, StoreError, TransferError
from penstock.model import Bucket, RefreshPolicy, Registry
from penstock.stores.base import ObjectInfo, Store
from penstock.transfer import keys
from penstock.transfer.listed import Kind, Listed, is_reserved
from penstock.transfer.refusals import from_store

OBJECTS_MAX = 1000
"""Objects of one page: as many as a store lists at once."""

STALE_MIN = 64
"""So many objects that are there no more are known for a page's worth of others without being forgotten at once."""


FRESH_NS = 1_500_000_000
"""Times of objects have whole seconds: one that is younger could be written again, and look no newer than what was imported."""


class Page(NamedTuple):
    """Objects between two keys, in order; `is_last`: there are no more beneath the directory."""

    behind: str
    until: str
    objects: Sequence[ObjectInfo]
    is_last: bool


class Look:
    """How far a look is, here: whoever starts anew begins it anew."""

    def __init__(self, refresh: Refresh) -> None:
        self.look_ns = refresh.look_ns
        self.paths = list(refresh.paths)
        self.behind = ""  # the key where it goes on in the first of the paths; "" at its beginning
        self.asked: asyncio.Future[Page] | None = None
        self.page: Page | None = None
        self.failures = 0
        self.due_ns = 0
        self.is_patient = True  # it has not waited yet for an object to be older
        self.seen = 0
        self.changed = 0


class Refresher:
    """`step` looks at every auto-refresh. `wake` is called when a page has come."""

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
        self._refreshes = catalog.refreshes
        self._registry = registry
        self._open_bucket = open_bucket
        self._options = options
        self._retry = retry
        self._now_ns = now_ns
        self._wake = wake
        self._looks: dict[str, Look] = {}

    async def step(self) -> float:
        """Take every auto-refresh a little further; returns how long nothing has to be done, in seconds."""
        found = await self._refreshes.every()
        here = {refresh.data_flow_id for refresh in found}
        self._looks = {data_flow_id: look for data_flow_id, look in self._looks.items() if data_flow_id in here}
        pauses = await asyncio.gather(*(self._advance(refresh) for refresh in found))
        return min((*pauses, self._options.look_again_s))

    async def _advance(self, refresh: Refresh) -> float:
        """One thing after the other; how long nothing has to be done for it."""
        if not refresh.look_ns:
            return await self._begin(refresh)
        if not refresh.is_working or refresh.has_manual:
            return self._options.look_again_s
        look = self._looks.get(refresh.data_flow_id)
        if look is None or look.look_ns != refresh.look_ns:
            look = self._looks[refresh.data_flow_id] = Look(refresh)
        while look.paths and (look.paths[0] not in refresh.paths or refresh.policy is RefreshPolicy.NONE):
            _next_path(look)
        if not look.paths:
            return await self._end(refresh, look)
        if look.page is None:
            return await self._ask(refresh, look)
        return await self._take(refresh, look, look.page)

    async def _begin(self, refresh: Refresh) -> float:
        """Begin a look if it is time."""
        is_on = refresh.policy is RefreshPolicy.IMPORT_CHANGED and refresh.paths
        if not is_on or not refresh.is_working or refresh.has_manual:
            return self._options.look_again_s
        wait_ns = refresh.due_ns - self._now_ns()
        if 0 < wait_ns <= refresh.interval_ns:  # it cannot be longer, but where the clock was put back
            return wait_ns / NS_PER_S
        if await self._refreshes.begin_look(refresh.data_flow_id):
            return 0.0
        telemetry.event(
            "refresher.skipped",
            level=telemetry.Level.WARNING,
            data_flow_id=refresh.data_flow_id,
            words="what the last look found is still under way when the next one is due: this one is left out",
        )
        return self._options.look_again_s

    async def _end(self, refresh: Refresh, look: Look) -> float:
        del self._looks[refresh.data_flow_id]
        in_time = await self._refreshes.end_look(refresh.data_flow_id, look.look_ns)
        telemetry.event(
            "refresher.looked",
            level=telemetry.Level.INFO if in_time else telemetry.Level.WARNING,
            data_flow_id=refresh.data_flow_id,
            objects=look.seen,
            changed=look.changed,
            in_time=in_time,
        )
        return 0.0

    # ------------------------------------------------------------------------------------------------------------- a page

    async def _ask(self, refresh: Refresh, look: Look) -> float:
        """Ask for the next page, and take it once it has come."""
        if look.asked is None:
            wait_ns = look.due_ns - self._now_ns()
            if 0 < wait_ns <= to_ns(self._options.wait_max_s):
                return wait_ns / NS_PER_S
            ask = partial(self._listed, refresh, look.paths[0], look.behind)
            look.asked = apart.ask(ask, f"refresh-{refresh.data_flow_id}")
            look.asked.add_done_callback(lambda _: self._wake())
        if not look.asked.done():
            return self._options.look_again_s
        asked, look.asked = look.asked, None
        try:
            page = asked.result()
        except PenstockError as error:
            return self._failed(refresh, look, error)
        look.failures = 0
        return self._settled(look, page)

    def _settled(self, look: Look, page: Page) -> float:
        """Leave out what is too young, for the next look; but a look waits once, and has it listed again."""
        now_ns = self._now_ns()
        old = [info for info in page.objects if not 0 <= now_ns - info.last_modified_ns < FRESH_NS]
        if len(old) < len(page.objects) and look.is_patient:
            look.is_patient = False
            look.due_ns = now_ns + FRESH_NS
            return FRESH_NS / NS_PER_S
        look.page = page._replace(objects=old)
        return 0.0

    def _failed(self, refresh: Refresh, look: Look, error: PenstockError) -> float:
        """Whatever it is may pass: a bucket that is gone for good is the dataflow's status to tell."""
        look.failures += 1
        waits_s = self._retry.waits_s
        wait_s = min(waits_s[min(look.failures, len(waits_s)) - 1], self._options.wait_max_s)
        look.due_ns = self._now_ns() + to_ns(wait_s)
        telemetry.event(
            "refresher.look_failed",
            level=telemetry.Level.WARNING,
            data_flow_id=refresh.data_flow_id,
            words=str(error),
            in_a_row=look.failures,
        )
        return wait_s

    def _listed(self, refresh: Refresh, path: str, behind: str) -> Page:
        """In a thread. Raises PenstockError."""
        bucket = self._registry().buckets.get(bucket_name(refresh.source_storage))
        if bucket is None:
            words = "its bucket is not registered (any more); `penstock bucket add`"
            raise TransferError(FailureCode.BUCKET_NOT_REGISTERED, words, waiting_helps=True)
        prefix = refresh.source_storage_path.removeprefix("/") + path.removeprefix("/")
        try:
            with closing(self._open_bucket(bucket)) as store:
                found = keys.listing(store, prefix, behind, OBJECTS_MAX)
        except StoreError as error:
            raise from_store(error) from error
        is_last = not (found.next_token and found.objects)
        until = prefix + EVERYTHING if is_last else found.objects[-1].key
        return Page(behind or prefix, until, [info for info in found.objects if _counts(info, prefix)], is_last)

    async def _take(self, refresh: Refresh, look: Look, page: Page) -> float:
        """Have imported what has changed on a page, as soon as there is room for it, and go on behind it."""
        portions = await self._refreshes.known(refresh.data_flow_id, page.behind, page.until)
        marks = {digest(info.key): _mark(info) for info in page.objects}
        changed = _changed(page, portions)
        if changed and refresh.waiting + len(changed) > self._options.waiting_max:
            return self._options.busy_look_s
        if changed or _stale(page, portions, marks):
            entries = [Entry(_entry(refresh, info), START) for info in changed]
            feed = Ways(refresh, NO_SELECTION, self._options.symlinks).feed("", entries, None)
            seen = Seen(
                look_ns=look.look_ns,
                path=look.paths[0],
                behind=page.behind,
                until=page.until,
                marks=marks,
                files=feed.files,
                remarks=feed.remarks,
            )
            if not await self._refreshes.take(refresh.data_flow_id, seen):
                look.paths.clear()  # its task was cancelled, say: what is left is for the next look
                return 0.0
        look.page = None
        look.behind = page.until
        look.seen += len(page.objects)
        look.changed += len(changed)
        if page.is_last:
            _next_path(look)
        return 0.0


def _next_path(look: Look) -> None:
    del look.paths[0]
    look.behind, look.page, look.asked = "", None, None


def _counts(info: ObjectInfo, prefix: str) -> bool:
    """Whether an object can be imported, or has to be told of: what only marks a directory brings nothing."""
    return not is_reserved(info.key[len(prefix) :]) and not (info.key.endswith("/") and info.size_bytes == 0)


def _mark(info: ObjectInfo) -> bytes:
    """How an object was seen: another one, if it is written again."""
    return digest(f"{info.size_bytes} {info.etag} {info.last_modified_ns}")


def _changed(page: Page, portions: Sequence[Portion]) -> Sequence[ObjectInfo]:
    """The objects that were not seen before as they are now."""
    return [
        info
        for info in page.objects
        if not any(portion.marks.get(digest(info.key)) == _mark(info) for portion in portions)
    ]


def _stale(page: Page, portions: Sequence[Portion], marks: Marks) -> bool:
    """Whether much is known between these keys that is there no more."""
    within = [portion for portion in portions if portion.behind >= page.behind and portion.until <= page.until]
    return sum(len(portion.marks.keys() - marks.keys()) for portion in within) > max(STALE_MIN, len(marks))


def _entry(refresh: Refresh, info: ObjectInfo) -> Listed:
    kind = Kind.MARKER if info.key.endswith("/") else Kind.FILE
    path = info.key[len(refresh.source_storage_path) - 1 :]
    return Listed(path, kind, info.size_bytes, info.last_modified_ns)
