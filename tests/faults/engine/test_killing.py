"""After a SIGKILL of the control process: do movers end at once, and is unfinished work taken up to a true end?"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.engine.local import LocalExecutor, LocalExecutorOptions
from penstock.errors import HomeInUseError
from penstock.model import SubTaskStatus, TaskAction
from tests.faults.engine.conftest import control_process
from tests.fixtures.emulator import EmulatorServer
from tests.fixtures.holdproxy import HoldProxy
from tests.fixtures.ledger import recount
from tests.fixtures.plant import MIB, Plant, open_plant

GONE_S = 10.0  # they see it at once; who does not lives as long as the store lets it wait

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def prepared(path: Path, server: EmulatorServer, bucket: str) -> AsyncIterator[Plant]:
    """A plant whose engine claims nothing, to create work in."""
    async with open_plant(path, server, buckets=(bucket,), movers=0) as plant:
        yield plant


async def test_movers_do_not_outlive_their_control_process(
    tmp_path: Path, emulator: EmulatorServer, proxy: HoldProxy
) -> None:
    bucket = emulator.bucket()
    async with prepared(tmp_path, emulator, bucket) as plant:
        plant.put("big", 8 * MIB)
        sub_task = await plant.file(await plant.stream(TaskAction.STREAM_IMPORT), "big")
        content = plant.object("big")
    proxy.hold(down_bytes=6 * MIB, trickle=True)
    with control_process(tmp_path, emulator, bucket, endpoint=proxy.endpoint) as control:
        await asyncio.to_thread(proxy.wait_held)
        assert len(control.alive()) == 2
        control.kill()
        control.wait_movers_gone(patience_s=GONE_S)
    proxy.release()
    async with open_plant(tmp_path, emulator, buckets=(bucket,)) as plant:
        row = await plant.ended(sub_task)
        assert (row.status, row.error_message) == (SubTaskStatus.COMPLETE, "")
        assert (plant.root / "big").read_bytes() == content


async def test_home_is_not_taken_while_a_mover_of_a_killed_service_hangs(
    tmp_path: Path, emulator: EmulatorServer
) -> None:
    bucket = emulator.bucket()
    async with prepared(tmp_path, emulator, bucket):
        pass
    with control_process(tmp_path, emulator, bucket) as control:
        control.hang(control.movers[0])
        control.kill()
        options = LocalExecutorOptions(
            lock_path=tmp_path / "home" / "movers.lock",
            secrets_path=tmp_path / "home" / "secrets.toml",
            vacate_wait_s=0.5,
        )
        with pytest.raises(HomeInUseError, match=rf"earlier service \(process {control.movers[0]}\)"):
            async with LocalExecutor(options=options).vacated():
                pytest.fail("entered while a mover lives")
        os.kill(control.movers[0], signal.SIGCONT)
        async with LocalExecutor(options=replace(options, vacate_wait_s=10)).vacated():
            assert control.alive() == []


async def test_killed_again_and_again_every_file_ends_equal_to_its_source(
    tmp_path: Path, emulator: EmulatorServer, proxy: HoldProxy
) -> None:
    """Small and large files, both ways, one without a source; six kills after bytes of chance, then a quiet end."""
    bucket, chance = emulator.bucket(), random.Random(7)
    sizes = {**{f"s{number}": 3000 * number for number in range(40)}, "l1": 9 * MIB + 1, "l2": 6 * MIB}
    async with prepared(tmp_path, emulator, bucket) as plant:
        up, down = await plant.stream(TaskAction.STREAM_EXPORT), await plant.stream(TaskAction.STREAM_IMPORT)
        exports = {name: plant.write(f"up/{name}", size, seed=size) for name, size in sizes.items()}
        imports = {name: plant.put(f"down/{name}", size, seed=size + 1) for name, size in sizes.items()}
        created = [await plant.file(up, f"up/{name}") for name in sizes]
        created += [await plant.file(down, f"down/{name}") for name in sizes]
        hopeless = await plant.file(up, "up/nowhere")
    for _ in range(6):
        proxy.cut()
        proxy.hold(down_bytes=chance.randint(0, 3 * MIB), up_bytes=chance.randint(0, 3 * MIB), trickle=True)
        with control_process(tmp_path, emulator, bucket, endpoint=proxy.endpoint) as control:
            await asyncio.to_thread(proxy.wait_held, 2)
            control.kill()
            control.wait_movers_gone(patience_s=GONE_S)
    async with open_plant(tmp_path, emulator, buckets=(bucket,)) as plant:
        rows = [await plant.ended(one) for one in created]
        assert {(row.status, row.error_message) for row in rows} == {(SubTaskStatus.COMPLETE, "")}
        failed = await plant.ended(hopeless)
        assert (failed.status, failed.error_code) == (SubTaskStatus.FAILED, "SourceNotFound")
        assert {name: plant.object(f"up/{name}") for name in sizes} == exports
        assert {name: (plant.root / "down" / name).read_bytes() for name in sizes} == imports

        async def tidy() -> bool:
            return not plant.helpers()

        await plant.until(tidy, otherwise="helper files are left")
        assert plant.uploads() == []
    recount(tmp_path / "home" / "catalog.db")


async def test_killed_between_two_attempts_the_cancel_still_ends(
    tmp_path: Path, emulator: EmulatorServer, proxy: HoldProxy
) -> None:
    bucket = emulator.bucket()
    async with prepared(tmp_path, emulator, bucket) as plant:
        plant.write("big", 8 * MIB)
        stream = await plant.stream(TaskAction.STREAM_EXPORT)
        sub_task = await plant.file(stream, "big")
    proxy.hold(up_bytes=3 * MIB)
    with control_process(tmp_path, emulator, bucket, endpoint=proxy.endpoint) as control:
        await asyncio.to_thread(proxy.wait_held)
        control.kill()
        control.wait_movers_gone(patience_s=GONE_S)
    async with prepared(tmp_path, emulator, bucket) as plant:
        assert plant.uploads() == ["big"]
        await plant.cancel(stream, sub_task)
        assert (await plant.row(sub_task)).status is SubTaskStatus.CANCELING
    async with open_plant(tmp_path, emulator, buckets=(bucket,)) as plant:
        assert (await plant.ended(sub_task)).status is SubTaskStatus.CANCELED
        assert plant.uploads() == []
        assert plant.keys() == []
