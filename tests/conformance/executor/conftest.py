"""Executors to be judged by one suite, each with work that ends by itself and work that is stuck until it is stopped."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import fastcrc
import pytest
from msgspec.structs import replace

from penstock.engine.engine import places_of
from penstock.engine.executor import Death, Executor, MoverPurpose
from penstock.engine.local import LocalExecutor, LocalExecutorOptions
from penstock.engine.messages import Control, MoverLimits, Places, Report
from penstock.model import Direction, FileSystem
from penstock.stores.base import Overwrite
from penstock.transfer.transfer import Intent, Outcome, Transfer, TransferLimits
from tests.fixtures.emulator import EmulatorServer
from tests.fixtures.fakeexecutor import FakeExecutor, complete
from tests.fixtures.gate import transfer
from tests.fixtures.holdproxy import HoldProxy
from tests.fixtures.plant import FS, open_bucket, registry_of, with_endpoint
from tests.fixtures.waiting import seen_until

MIB = 1 << 20
STUCK = bytes(4 * MIB)
LIMITS = MoverLimits(
    small_threads=4,
    large_files=2,
    sweep_threads=1,
    transfer=TransferLimits(small_file_max_bytes=MIB, part_size_bytes=MIB, parts_in_flight=2),
)


@dataclass(slots=True)
class Recorder:
    """An inbox that remembers, and says of each record that it is durable. `after_death` counts reports of movers that had been
    declared dead."""

    executor: Executor
    outcomes: list[tuple[str, Outcome]] = field(default_factory=list)
    deaths: list[Death] = field(default_factory=list)
    after_death: int = 0
    rooms: int = 0

    def report(self, report: Report) -> None:
        self.after_death += report.mover in {death.mover for death in self.deaths}
        self.outcomes += [(report.mover, outcome) for outcome in report.outcomes]
        if report.checkpoints:
            kept = tuple(request.sequence for request in report.checkpoints)
            self.executor.control(report.mover, Control(checkpointed=kept))

    def died(self, death: Death) -> None:
        self.deaths.append(death)

    def room_changed(self) -> None:
        self.rooms += 1

    def of(self, moved: Transfer) -> list[Outcome]:
        """All outcomes of this attempt."""
        attempt = (moved.sub_task_id, moved.attempt)
        return [outcome for _, outcome in self.outcomes if (outcome.sub_task_id, outcome.attempt) == attempt]


class Hands(Protocol):
    """What differs between the executors: their work, and how one of their movers is killed."""

    places: Places

    def quick(self, count: int, *, file_system_id: str = FS) -> list[Transfer]: ...

    def stuck(self, count: int) -> list[Transfer]: ...

    def kill(self, mover: str) -> None: ...

    def occupy(self) -> Executor:
        """Another executor of the same HOME, while movers of this one live."""
        ...


@dataclass(slots=True)
class Rig:
    """One executor under judgement."""

    executor: Executor
    inbox: Recorder
    hands: Hands

    def work_mover(self) -> str:
        """The name of a mover that takes work."""
        movers = self.executor.movers()
        return next((room.mover for room in movers if room.purpose is MoverPurpose.WORK), "")

    async def until(self, look: Callable[[], object], otherwise: str, *, patience_s: float = 20.0) -> None:
        """Wait for what `look` sees."""
        await seen_until(look, patience_s, otherwise)

    async def up(self) -> str:
        """Wait for a mover that takes work."""
        await self.until(self.work_mover, "no mover came up")
        return self.work_mover()

    async def ended(self, *moved: Transfer) -> list[Outcome]:
        """The one outcome of each of these."""
        await self.until(lambda: all(self.inbox.of(one) for one in moved), "an outcome is missing")
        return [self.inbox.of(one)[0] for one in moved]


class FakeHands:
    """Everything succeeds at once but what is called stuck."""

    def __init__(self) -> None:
        self.places = Places(file_systems=(FileSystem(file_system_id=FS, root="/mnt"),))
        self.executor = FakeExecutor(
            small_threads=4,
            large_files=2,
            by_itself=lambda one: None if one.path.startswith("stuck") and one.intent is Intent.MOVE else complete(one),
        )
        self._number = 0

    def quick(self, count: int, *, file_system_id: str = FS) -> list[Transfer]:
        return [replace(one, file_system_id=file_system_id) for one in self._made("quick", count)]

    def stuck(self, count: int) -> list[Transfer]:
        return self._made("stuck", count)

    def kill(self, mover: str) -> None:
        begun = [transfer.sub_task_id for transfer in self.executor.held.get(mover, {}).values()][:2]
        self.executor.die(mover, begun=begun)

    def occupy(self) -> Executor:
        other = FakeExecutor()
        other.occupied = not self.executor.closed
        return other

    def _made(self, kind: str, count: int) -> list[Transfer]:
        names = [f"{kind}-{self._number + index}" for index in range(count)]
        self._number += count
        return [transfer(sub_task_id=name, path=name, key=name, file_system_id=FS) for name in names]


class LocalHands:
    """Small exports end by themselves; large imports come slowly, through a proxy that holds them back."""

    def __init__(self, path: Path, server: EmulatorServer, proxy: HoldProxy) -> None:
        self.home, self.root = path / "home", path / "root"
        self.home.mkdir()
        self.root.mkdir()
        bucket = server.bucket()
        self._plain = registry_of(self.home, self.root, server, bucket)
        self.places = places_of(with_endpoint(self._plain, proxy.endpoint))
        self.executor = self._made_executor()
        self.bucket = bucket
        self.proxy = proxy
        self._number = 0

    def quick(self, count: int, *, file_system_id: str = FS) -> list[Transfer]:
        made: list[Transfer] = []
        for _ in range(count):
            name = self._name("quick")
            (self.root / name).write_bytes(b"x" * 100)
            made.append(
                transfer(
                    Direction.EXPORT,
                    sub_task_id=name,
                    path=name,
                    key=name,
                    base="",
                    bucket=self.bucket,
                    file_system_id=file_system_id,
                )
            )
        return made

    def stuck(self, count: int) -> list[Transfer]:
        store = open_bucket(self.home, self._plain.buckets[self.bucket])
        store.put("stuck", [STUCK], crc64=fastcrc.crc64.xz(STUCK), metadata={}, precondition=Overwrite())
        store.close()
        self.proxy.hold(down_bytes=MIB, trickle=True)
        names = [self._name("stuck") for _ in range(count)]
        return [
            transfer(sub_task_id=name, path=name, key="stuck", base="", bucket=self.bucket, file_system_id=FS)
            for name in names
        ]

    def kill(self, mover: str) -> None:
        for seat in self.executor._all():
            if seat.process is not None and seat.process.name == mover:
                os.kill(seat.process.process_id, signal.SIGKILL)

    def occupy(self) -> Executor:
        return self._made_executor()

    def _made_executor(self) -> LocalExecutor:
        options = LocalExecutorOptions(
            lock_path=self.home / "movers.lock",
            secrets_path=self.home / "secrets.toml",
            movers=1,
            limits=LIMITS,
            vacate_wait_s=0.3,
        )
        return LocalExecutor(options=options)

    def _name(self, kind: str) -> str:
        self._number += 1
        return f"{kind}-{self._number}"


@asynccontextmanager
async def started(executor: Executor, hands: Hands) -> AsyncIterator[Rig]:
    rig = Rig(executor, Recorder(executor), hands)
    async with executor.vacated():
        pass
    await executor.start(rig.inbox, hands.places)
    try:
        yield rig
    finally:
        await executor.close(grace_s=2.0)


@pytest.fixture(
    params=[
        pytest.param(("asyncio", {"use_uvloop": uvloop}), id="uvloop" if uvloop else "asyncio")
        for uvloop in (True, False)
    ]
)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """The service runs on uvloop; tests and embedders mostly on asyncio's own loop."""
    backend: tuple[str, dict[str, bool]] = request.param
    return backend


@pytest.fixture(params=["local", "fake"])
async def rig(
    request: pytest.FixtureRequest, tmp_path: Path, emulator: EmulatorServer, anyio_backend: tuple[str, dict[str, bool]]
) -> AsyncIterator[Rig]:
    if request.param == "fake":
        fake = FakeHands()
        async with started(fake.executor, fake) as made:
            yield made
        return
    with HoldProxy(emulator.endpoint) as proxy:
        local = LocalHands(tmp_path, emulator, proxy)
        async with started(local.executor, local) as made:
            yield made
