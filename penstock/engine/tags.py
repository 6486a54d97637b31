"""The tag watch: whether the buckets of all dataflows still say that they may be used, read by a few threads of its own.

Only a definite word of the store ("no such bucket", or tags without `cpfs-dataflow=true`) makes a dataflow Misconfigured;
silence, time-outs and 5xx never do, and a dataflow returns to Running by itself.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from contextlib import closing, suppress

from penstock import telemetry
from penstock.catalog.catalog import Catalog
from penstock.catalog.verbs import Health
from penstock.engine.options import NS_PER_S, KeeperOptions, to_ns
from penstock.errors import BucketNotFoundError, NotSupportedError
from penstock.model import Bucket, DataFlow, DataFlowStatus, Registry
from penstock.stores.base import Store

TAG_KEY = "cpfs-dataflow"
TAG_VALUE = "true"


def judged(tags: Mapping[str, str]) -> Health:
    """What a bucket's tags say."""
    return Health.REACHABLE if tags.get(TAG_KEY) == TAG_VALUE else Health.UNREACHABLE


class TagWatch:
    """Looks at each watched bucket once a turn; what `open_bucket` gives is closed after each look.

    A store that answers slowly is not asked again before it has answered.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        registry: Callable[[], Registry],
        open_bucket: Callable[[Bucket], Store],
        options: KeeperOptions,
        now_ns: Callable[[], int],
    ) -> None:
        self._catalog = catalog
        self._registry = registry
        self._open_bucket = open_bucket
        self._now_ns = now_ns
        self._options = options
        self._free = asyncio.Semaphore(options.tag_threads)
        self._asking: dict[str, asyncio.Future[Health | None]] = {}
        self._looked_ns = 0
        self._due_ns = 0

    def ask(self) -> None:
        """Something hints that a bucket has changed (a refusal, a new registry): look before the rhythm says so."""
        soonest_ns = self._looked_ns + to_ns(self._options.tags_soonest_s)
        self._due_ns = min(self._due_ns, max(soonest_ns, self._now_ns()))

    async def step(self) -> float:
        """Look if it is time to; returns how long it is not, in seconds."""
        if self._now_ns() >= self._due_ns:
            await self.look()
        return max(0.05, (self._due_ns - self._now_ns()) / NS_PER_S)

    async def look(self) -> int:
        """Look at all buckets of watched dataflows; returns how many dataflows changed their status."""
        self._looked_ns = self._now_ns()
        self._due_ns = self._looked_ns + to_ns(self._options.tags_every_s)
        flows = await self._catalog.watched_data_flows()
        registry = self._registry()
        names = {flow.bucket for flow in flows}
        answers = await asyncio.gather(*(self._known(name, registry) for name in names))
        health = dict(zip(names, answers, strict=True))
        changed = 0
        for flow in flows:
            changed += await self._apply(flow, health[flow.bucket])
        return changed

    async def _apply(self, flow: DataFlow, health: Health | None) -> int:
        shown = Health.UNREACHABLE if flow.status is DataFlowStatus.MISCONFIGURED else Health.REACHABLE
        if health is None or health is shown:
            return 0
        telemetry.event("keeper.data_flow_health", data_flow_id=flow.data_flow_id, bucket=flow.bucket, health=health)
        await self._catalog.set_health(flow.data_flow_id, health=health)
        return 1

    async def _known(self, name: str, registry: Registry) -> Health | None:
        """What is known for certain about a bucket; None when nothing is, or the store takes its time."""
        bucket = registry.buckets.get(name)
        if bucket is None:
            return Health.UNREACHABLE
        asking = self._asking.get(name)
        if asking is None:
            asking = asyncio.ensure_future(self._ask(bucket))
            self._asking[name] = asking
            asking.add_done_callback(lambda _: self._asking.pop(name, None))
        done, _ = await asyncio.wait({asking}, timeout=self._options.duty_limit_s)
        return asking.result() if done else None

    async def _ask(self, bucket: Bucket) -> Health | None:
        """Read the tags in a thread that the process need not wait for when it ends: a store may be silent for long."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Health | None] = loop.create_future()

        def say(health: Health | None) -> None:
            if not answer.done():
                answer.set_result(health)

        def read() -> None:
            health = self._read(bucket)
            with suppress(RuntimeError):  # the loop has ended meanwhile: nobody wants to know any more
                loop.call_soon_threadsafe(say, health)

        async with self._free:
            threading.Thread(target=read, name=f"tags-{bucket.name}", daemon=True).start()
            return await answer

    def _read(self, bucket: Bucket) -> Health | None:
        try:
            if not bucket.tag_check:
                return Health.REACHABLE
            with closing(self._open_bucket(bucket)) as store:
                return judged(store.bucket_tags())
        except BucketNotFoundError:
            return Health.UNREACHABLE
        except NotSupportedError:
            return Health.REACHABLE
        except Exception as error:  # noqa: BLE001  (one bucket's trouble must not keep the others from being looked at)
            telemetry.failure("keeper.tags_unread", error, bucket=bucket.name)
            return None
