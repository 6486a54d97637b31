"""The service as a stand-in: the same parts, with faults, another clock, ids that come again, and an end to everything on demand.

Replaces what `app.service` lets be replaced, and what is replaced is there in this mode alone. Its bucket server comes up while
the rest does, its catalog syncs nothing. Implements `StandIn`, which the API's own actions of a stand-in ask.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from penstock import telemetry
from penstock.api.application import make_desk
from penstock.api.errors import ApiError
from penstock.api.faults import FaultBook
from penstock.api.operation import Desk
from penstock.api.operations.standin import ClockView, ClockWish
from penstock.api.standin import StandInApi
from penstock.app.addresses import Addresses
from penstock.app.boot import boot_id
from penstock.app.filesets import FilesetKeeper
from penstock.app.founder import HomeFounder
from penstock.app.limits import connections_within_limit
from penstock.app.lock import HeldHome
from penstock.app.metrics_listener import MetricsListener
from penstock.app.options import api_options, catalog_bounds
from penstock.app.seeing import make_sight
from penstock.app.service import ServeOptions, Service
from penstock.app.standin.clock import SEEDED_BEGIN_NS, StandInClock
from penstock.app.standin.contents import Contents
from penstock.app.standin.executor import StandInExecutor
from penstock.app.standin.expiring import ExpiringRing
from penstock.app.standin.life import Life, Lives
from penstock.app.standin.seeing import seeing_now
from penstock.app.standin.sizes import Sizes
from penstock.app.working import Work
from penstock.catalog.catalog import Catalog
from penstock.catalog.sqlite import NO_SYNCS, SqliteDatabase
from penstock.engine.local import LocalExecutor
from penstock.model import BucketKind
from penstock.settings.choices import Settings

SNAPSHOTS_MAX = 50
PARENT_LOOK_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class StandInOptions:
    """`seed` makes ids come again (None: they do not); `ends_with_stdin` has the service end when its stdin does."""

    seed: int | None = None
    ends_with_stdin: bool = False


class StandInService(Service):
    """One run of a stand-in."""

    def __init__(self, held: HeldHome, settings: Settings, options: ServeOptions, chosen: StandInOptions) -> None:
        super().__init__(held, settings, options)
        self.faults = FaultBook()
        self._chosen = chosen
        self._time = StandInClock(
            wall_ns=time.time_ns,
            passed_ns=time.monotonic_ns,
            begin_ns=None if chosen.seed is None else SEEDED_BEGIN_NS,
        )
        self._now_ns = self._time.now_ns
        self._contents = Contents(held.home)
        self._turn = asyncio.Lock()
        self._lives: Lives | None = None
        self._stand_in_api: StandInApi | None = None
        self._coming_up: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """As any service; it also ends with its stdin, where that was asked for."""
        telemetry.event(
            "service.is_a_stand_in",
            level=telemetry.Level.WARNING,
            home=os.fspath(self._home.path),
            advice="for tests of programs, never for real data: a reset removes everything, and nothing is synced to disks",
        )
        loop = asyncio.get_running_loop()
        if self._chosen.ends_with_stdin:
            threading.Thread(target=self._hear_stdin, args=(loop,), name="stdin", daemon=True).start()
            self._watching = asyncio.create_task(self._watch_parent(), name="look at the parent")
        try:
            await super().run()
        finally:
            if self._watching is not None:
                self._watching.cancel()

    async def _watch_parent(self) -> None:
        """A pipe may be held open by others that the parent has forked."""
        parent = os.getppid()
        while os.getppid() == parent:  # noqa: ASYNC110  the kernel sets no event
            await asyncio.sleep(PARENT_LOOK_S)
        self._stopping.set()

    def _hear_stdin(self, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread: stdin may be a file, which no loop can watch."""
        while os.read(sys.stdin.fileno(), 4096):
            pass
        with contextlib.suppress(RuntimeError):  # it has ended by itself
            loop.call_soon_threadsafe(self._stopping.set)

    # ------------------------------------------------------------------------------------------- what is as in no other one

    async def _start_emulator(self) -> None:
        """While the rest comes up; `_begin_work` waits for it."""
        if self._lives is None:
            self._coming_up = asyncio.create_task(super()._start_emulator(), name="bucket server comes up")
        else:
            await super()._start_emulator()

    async def _begin_work(
        self, stack: contextlib.AsyncExitStack, executor: LocalExecutor, metrics: MetricsListener
    ) -> Work:
        carrying = StandInExecutor(
            executor, faults=self.faults, size_of=Sizes(self._registry.current, self._open_bucket)
        )

        async def begin() -> Life:
            return await self._begin_life(carrying, executor, metrics)

        self._lives = lives = Lives(begin, carrying)
        stack.push_async_callback(lives.close)
        life = await lives.first()
        self._stand_in_api = api = StandInApi(
            self._desk(life),
            self,
            system_ns=time.time_ns,
            callers_ns=self._time.callers_ns,
            entropy=self._chance("requests"),
            reasons=self._health.reasons,
        )
        if self._coming_up is not None:
            await self._coming_up
        return Work(engine=lives, api=api, seeing=seeing_now(lambda: lives.now.seeing), keeping={})

    async def _begin_life(self, carrying: StandInExecutor, movers: LocalExecutor, metrics: MetricsListener) -> Life:
        database = SqliteDatabase(self._home.catalog_file, syncs=NO_SYNCS)
        catalog = await Catalog.open(
            database,
            now_ns=self._now_ns,
            entropy=self._chance("ids"),
            boot_id=boot_id(os.urandom),
            bounds=catalog_bounds(self._settings),
            numbers_ns=self._time.numbers_ns,
            ring=ExpiringRing(self.faults),
        )
        self._engine = engine = self._make_engine(catalog, carrying)
        await engine.start()
        seeing = make_sight(
            catalog=catalog, engine=engine, executor=carrying, mounts=self._looks.troubles, clock_s=time.monotonic
        )
        self._health.watch(catalog, lambda: movers.movers_up, loss=database.loss)
        metrics.tell_of(catalog=catalog, engine=engine, executor=movers, seeing=seeing, registry=self._registry.current)
        filesets = FilesetKeeper(catalog, registry=self._registry.current, now_ns=self._now_ns)
        return Life(catalog=catalog, engine=engine, seeing=seeing, keeping=filesets.run)

    def _desk(self, life: Life) -> Desk:
        return make_desk(
            catalog=life.catalog,
            seeing=life.seeing,
            registry=self._registry.current,
            open_bucket=self._open_bucket,
            options=api_options(self._settings, connections_max=connections_within_limit()),
            now_ns=self._now_ns,
            founder=HomeFounder(
                self._home,
                root=self._settings.file_system_root,
                registry=self._registry,
                now_ns=self._now_ns,
                entropy=self._chance("file systems"),
            ),
        )

    def _chance(self, what: str) -> Callable[[int], bytes]:
        """Of a seed the same bytes each time, for each use of its own."""
        if self._chosen.seed is None:
            return os.urandom
        return random.Random(f"{self._chosen.seed} {what}").randbytes  # noqa: S311  it is to be foreseen

    def _ready_line(self, addresses: Addresses) -> str:
        """With all that a test needs to begin."""
        registry = self._registry.current()
        told = json.loads(super()._ready_line(addresses)) | {"stand_in": True, "home": os.fspath(self._home.path)}
        key = next((key for key in registry.access_keys.values() if key.active and "*" in key.allow), None)
        if key is not None:
            told |= {"access_key_id": key.access_key_id, "access_key_secret": key.secret}
        for file_system in list(registry.file_systems.values())[:1]:
            told |= {"file_system_id": file_system.file_system_id, "root": file_system.root}
        embedded = [bucket for bucket in registry.buckets.values() if bucket.kind is BucketKind.EMBEDDED]
        for bucket in embedded[:1]:
            told |= {"bucket": bucket.name, "region": bucket.region}
        return json.dumps(told)

    # ------------------------------------------------------------------------------------------------------ as `StandIn` says

    @property
    def seed(self) -> int | None:
        """As `StandIn` says."""
        return self._chosen.seed

    def clock(self) -> ClockView:
        """As `StandIn` says."""
        return self._time.view()

    def set_clock(self, wish: ClockWish) -> ClockView:
        """As `StandIn` says."""
        view = self._time.set(wish)
        if self._engine is not None:
            self._engine.time_moved()
        return view

    def snapshots(self) -> Sequence[str]:
        """As `StandIn` says."""
        return self._contents.snapshots()

    async def reset(self) -> None:
        """As `StandIn` says."""

        async def forget() -> None:
            self.faults.clear()
            async with self._closed_buckets():
                await asyncio.to_thread(self._contents.empty, self._registry.current())
            self._time.reset()

        await self._exchange(forget)

    async def restore(self, name: str) -> None:
        """As `StandIn` says."""
        if name not in self._contents.snapshots():
            raise ApiError("InvalidParameter.InvalidFormat", "There is no such snapshot; DescribeStandIn lists them.")

        async def put_back() -> None:
            self.faults.clear()
            async with self._closed_buckets():
                clock = await asyncio.to_thread(self._contents.put_back, name, self._registry.current())
            self._time.reset()
            self._time.go_on_after(clock["now_ns"], clock["advanced_s"])

        await self._exchange(put_back)

    async def snapshot(self, name: str) -> None:
        """As `StandIn` says. Raises ApiError where files move or wait, and go on so."""
        assert self._lives is not None
        assert self._stand_in_api is not None
        kept = self._contents.snapshots()
        if name not in kept and len(kept) >= SNAPSHOTS_MAX:
            raise ApiError(
                "OperationDenied.InvalidState",
                f"{SNAPSHOTS_MAX} states are kept: keep this one under one of their names.",
            )
        async with self._turn:
            await self._stand_in_api.hold_back()
            try:
                if not await self._lives.is_quiet():
                    raise ApiError(
                        "OperationDenied.InvalidState",
                        "Files are moving, or wait for it: wait for them, or cancel them, and ask again.",
                    )
                view = self._time.view()
                clock = {"now_ns": view.now_ns, "advanced_s": view.advanced_s}
                async with self._closed_buckets():
                    await asyncio.to_thread(self._contents.keep, name, self._registry.current(), clock)
            finally:
                self._stand_in_api.go_on()

    async def _exchange(self, what: Callable[[], Awaitable[None]]) -> None:
        """One life for another; calls wait meanwhile."""
        assert self._lives is not None
        assert self._stand_in_api is not None
        async with self._turn:
            await self._stand_in_api.hold_back()
            try:
                life = await self._lives.next(what)
            except BaseException:
                self._stopping.set()  # nothing is left to go on with
                raise
            self._stand_in_api.move(self._desk(life), entropy=self._chance("requests"))

    @contextlib.asynccontextmanager
    async def _closed_buckets(self) -> AsyncIterator[None]:
        if self._emulator is None:
            yield
            return
        async with self._emulator.closed():
            yield


def stand_in_service(chosen: StandInOptions) -> Callable[[HeldHome, Settings, ServeOptions], Service]:
    """What makes such a service."""

    def make(held: HeldHome, settings: Settings, options: ServeOptions) -> Service:
        return StandInService(held, settings, options, chosen)

    return make
