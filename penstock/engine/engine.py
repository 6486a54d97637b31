"""The engine: runner, settler, recorder, canceler, keeper and the like around one catalog and executor, each in its loop.

Makes accepted sub-tasks happen. Serves no HTTP, moves no byte itself, and knows the executor only by its contract.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping

from penstock import telemetry
from penstock.catalog.catalog import Catalog
from penstock.catalog.doorbell import Doorbell
from penstock.catalog.verbs import ClaimLane
from penstock.engine.canceler import Canceler
from penstock.engine.executor import Executor, Watched
from penstock.engine.fair import Fairness
from penstock.engine.flights import Flights
from penstock.engine.keeper import Keeper
from penstock.engine.limits import Limits
from penstock.engine.lister import Lister
from penstock.engine.loops import Bell, Loop, Step
from penstock.engine.messages import Control, Places
from penstock.engine.options import EngineOptions
from penstock.engine.outages import Outages
from penstock.engine.owners import Owners
from penstock.engine.recorder import Recorder
from penstock.engine.refresher import Refresher
from penstock.engine.rooms import Rooms
from penstock.engine.runner import Runner
from penstock.engine.settler import Settler
from penstock.engine.sight import Parts, Sight
from penstock.engine.soundness import MountTrouble
from penstock.engine.spaces import Spaces
from penstock.engine.tags import TagWatch
from penstock.engine.transitions import Transitions
from penstock.model import Bucket, Registry
from penstock.stores.base import Store

BELL_LIMIT_S = 5.0
KILL_GRACE_S = 2.0
SETTLE_LIMIT_S = 5.0


def places_of(registry: Registry) -> Places:
    """What movers are told of the registry: no access keys, no secrets."""
    return Places(file_systems=tuple(registry.file_systems.values()), buckets=tuple(registry.buckets.values()))


class Engine:
    """`start`, then `run` until `drain` or `stop`. `jitter` gives numbers in [0, 1)."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        executor: Executor,
        registry: Callable[[], Registry],
        open_bucket: Callable[[Bucket], Store],
        options: EngineOptions,
        now_ns: Callable[[], int],
        jitter: Callable[[], float],
    ) -> None:
        self._catalog = catalog
        self._executor = executor
        self._registry = registry
        self._open_bucket = open_bucket
        self._options = options
        self._now_ns = now_ns
        self._jitter = jitter
        self._stopping = asyncio.Event()
        self._is_running = False
        self._bells = defaultdict[str, Bell](Bell)
        self._owners = Owners(f"engine-{now_ns():x}")
        self.flights = Flights()
        self.rooms = Rooms(executor=executor, flights=self.flights, options=options.claim)
        self.fairness = {
            ClaimLane.SMALL: Fairness(file_cost_bytes=options.claim.small_file_cost_bytes),
            ClaimLane.LARGE: Fairness(file_cost_bytes=options.claim.large_file_cost_bytes),
        }
        self.tags = self._made_tags()
        self.recorder = self._made_recorder()
        self.outages = Outages(catalog=catalog, options=options.retry, now_ns=now_ns, wake=self._bells["outages"].ring)
        self.spaces = Spaces(
            catalog=catalog,
            options=options.retry,
            now_ns=now_ns,
            wake=self._bells["spaces"].ring,
            unsettled=lambda: self.settler.unsettled,
        )
        self.settler = self._made_settler()
        self.runner = self._made_runner()
        self.canceler = Canceler(
            catalog=catalog,
            executor=executor,
            flights=self.flights,
            runner=self.runner,
            owners=self._owners,
            now_ns=now_ns,
        )
        self.keeper = Keeper(
            catalog=catalog, flights=self.flights, owners=self._owners, options=options.keeper, now_ns=now_ns
        )
        self.lister = self._made_lister()
        self.refresher = self._made_refresher()
        self.limits = Limits(catalog=self._catalog, executor=executor)
        self.transitions = Transitions(catalog=catalog, options=options.transitions, now_ns=now_ns)
        self._loops = self._made_loops()
        self._tags_loop = Loop("tags", self.tags.step, self._bells["tags"], trouble_wait_s=options.trouble_wait_s)

    async def start(self) -> None:
        """Take up what an earlier service left unfinished, then bring movers up. Raises HomeInUseError, CatalogError."""
        async with self._executor.vacated():
            taken_up = await self._catalog.rescue_all()
        registry = self._registry()
        self.outages.begin(registry.buckets)
        await self.spaces.begin(registry.file_systems, registry.buckets)
        await self.limits.step()
        telemetry.event("engine.started", taken_up=taken_up)
        await self._executor.start(self.settler, places_of(self._registry()))

    async def run(self) -> None:
        """Run all loops until `stop` or the end of `drain`."""
        self._is_running = True
        try:
            await self._run_loops()
        finally:
            self._is_running = False

    async def _run_loops(self) -> None:
        async with asyncio.TaskGroup() as group:
            for loop in self._loops:
                group.create_task(loop.run())
            watching = group.create_task(self._tags_loop.run())
            group.create_task(self._listen(self._catalog.doorbell, "runner"))
            group.create_task(self._listen(self._catalog.cancel_bell, "canceler"))
            group.create_task(self._listen(self._catalog.batches.bell, "lister", "refresher", "limits"))
            await self._stopping.wait()
            for loop in self._loops:
                loop.stop()
            self.lister.close()
            watching.cancel()  # it may wait for a silent store, and leaves nothing half done
            self._catalog.doorbell.ring()
            self._catalog.cancel_bell.ring()
            self._catalog.batches.bell.ring()

    def stop(self) -> None:
        """End `run` after the steps that are under way. Movers are not told: `drain` ends them, or `executor.close`."""
        self._stopping.set()

    def sight(
        self,
        executor: Watched,
        *,
        mounts: Callable[[], Mapping[str, MountTrouble]],
        idle: Callable[[], float | None],
    ) -> Sight:
        """What people are shown of it. `executor` is the one that it works with."""
        return Sight(
            Parts(
                flights=self.flights,
                rooms=self.rooms,
                settler=self.settler,
                outages=self.outages,
                spaces=self.spaces,
                executor=executor,
                registry=self._registry,
                options=self._options,
                now_ns=self._now_ns,
                mounts=mounts,
                idle=idle,
            )
        )

    def registry_changed(self) -> None:
        """The registry has a new snapshot: tell movers, look at buckets, and at work that waited for it."""
        self._executor.place(places_of(self._registry()))
        self._bucket_trouble("")
        self._bells["runner"].ring()

    def time_moved(self) -> None:
        """The clock was advanced: look at everything that waits for a moment."""
        for bell in self._bells.values():
            bell.ring()

    async def drain(self, *, deadline_s: float = 20.0) -> None:
        """Claim nothing more, let movers finish or hand back, settle everything, end the movers, then end `run`.

        Work that is not done by the deadline is handed back when its mover has been ended; it costs no attempt.
        """
        telemetry.event("engine.draining", under_way=len(self.flights), deadline_s=deadline_s)
        self.runner.close()
        for mover in self._executor.movers():
            self._executor.control(mover.mover, Control(drain=True))
        within = await self._reached(lambda: not len(self.flights) and not self.settler.unsettled, deadline_s)
        await self._executor.close(grace_s=KILL_GRACE_S)
        settled = await self._reached(lambda: not self.settler.unsettled, SETTLE_LIMIT_S)
        telemetry.event("engine.drained", within_deadline=within, all_settled=settled)
        self.stop()

    # --------------------------------------------------------------------------------------------------------------- parts

    def _made_tags(self) -> TagWatch:
        return TagWatch(
            catalog=self._catalog,
            registry=self._registry,
            open_bucket=self._open_bucket,
            options=self._options.keeper,
            now_ns=self._now_ns,
        )

    def _made_recorder(self) -> Recorder:
        return Recorder(
            catalog=self._catalog,
            executor=self._executor,
            flights=self.flights,
            progress_every_s=self._options.progress_every_s,
            now_ns=self._now_ns,
            wake_progress=self._bells["progress"].ring,
            wake_checkpoints=self._bells["checkpoints"].ring,
        )

    def _made_settler(self) -> Settler:
        return Settler(
            catalog=self._catalog,
            flights=self.flights,
            fairness=self.fairness,
            rooms=self.rooms,
            recorder=self.recorder,
            outages=self.outages,
            spaces=self.spaces,
            options=self._options.retry,
            now_ns=self._now_ns,
            jitter=self._jitter,
            wake=self._bells["settler"].ring,
            room=self._room,
            bucket_trouble=self._bucket_trouble,
        )

    def _made_lister(self) -> Lister:
        return Lister(
            catalog=self._catalog,
            registry=self._registry,
            open_bucket=self._open_bucket,
            options=self._options.lister,
            retry=self._options.retry,
            now_ns=self._now_ns,
            wake=self._bells["lister"].ring,
        )

    def _made_refresher(self) -> Refresher:
        return Refresher(
            catalog=self._catalog,
            registry=self._registry,
            open_bucket=self._open_bucket,
            options=self._options.lister,
            retry=self._options.retry,
            now_ns=self._now_ns,
            wake=self._bells["refresher"].ring,
        )

    def _made_runner(self) -> Runner:
        return Runner(
            catalog=self._catalog,
            executor=self._executor,
            flights=self.flights,
            fairness=self.fairness,
            rooms=self.rooms,
            settler=self.settler,
            owners=self._owners,
            registry=self._registry,
            options=self._options,
            now_ns=self._now_ns,
        )

    def _made_loops(self) -> list[Loop]:
        steps: dict[str, Step] = {
            "runner": self.runner.step,
            "settler": self.settler.step,
            "progress": self.recorder.progress_step,
            "checkpoints": self.recorder.checkpoint_step,
            "canceler": self.canceler.step,
            "outages": self.outages.step,
            "spaces": self.spaces.step,
            "keeper": self.keeper.step,
            "transitions": self.transitions.step,
            "limits": self.limits.step,
        }
        wait_s = self._options.trouble_wait_s
        loops = [
            Loop(name, step, self._bells[name], trouble_wait_s=wait_s, gap_s=self._gap_s)
            for name, step in steps.items()
        ]
        gap_s = self._options.lister.gap_s
        batches = {"lister": self.lister.step, "refresher": self.refresher.step}
        return loops + [
            Loop(name, step, self._bells[name], trouble_wait_s=wait_s, gap_s=lambda: gap_s)
            for name, step in batches.items()
        ]

    def _gap_s(self) -> float:
        """The more is under way the less a file notices a little gathering, and the more it saves."""
        fullness = len(self.flights) / self._options.busy_flights
        return self._options.busy_gap_s * min(3.0, fullness) if fullness > 1 else 0.0

    # ------------------------------------------------------------------------------------------------------------- running

    def _room(self) -> None:
        """Places came free, or files have ended: there may be more to claim, and of batches more to list."""
        self._bells["runner"].ring()
        if self.lister.has_any:
            self._bells["lister"].ring()

    def _bucket_trouble(self, _bucket: str) -> None:
        self.tags.ask()
        self._bells["tags"].ring()

    async def _listen(self, doorbell: Doorbell, *loops: str) -> None:
        """Let loops step when a bell of the catalog rings."""
        while not self._stopping.is_set():
            await doorbell.wait(BELL_LIMIT_S)
            for loop in loops:
                self._bells[loop].ring()

    async def _reached(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Wait until `condition` holds; False when it did not within the limit."""
        loop = asyncio.get_running_loop()
        end = loop.time() + limit_s
        while not condition():
            if loop.time() >= end or not self._is_running:
                return False
            await asyncio.sleep(0.01)
        return True
