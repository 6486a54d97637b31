"""Does a dataflow move as much in a second as it may, small files and large ones in all movers together, and hold up nobody?"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from penstock.model import SubTaskStatus, TaskAction
from tests.fixtures.emulator import EmulatorServer
from tests.fixtures.objects import put_object
from tests.fixtures.plant import FS, MIB, Plant, Stream, open_plant

pytestmark = pytest.mark.anyio

MB_PER_S = 8
SMALL, SMALL_BYTES = 48, 125_000
LARGE, LARGE_BYTES = 1, 6 * MIB
TOTAL_BYTES = 2 * (SMALL * SMALL_BYTES + LARGE * LARGE_BYTES)


async def submit(plant: Plant, streams: list[Stream], name: str) -> list[str]:
    """Files of both sizes, both ways."""
    made: list[str] = []
    for stream in streams:
        importing = stream.action is TaskAction.STREAM_IMPORT
        for number in range(SMALL + LARGE):
            size = SMALL_BYTES if number < SMALL else LARGE_BYTES
            source = f"{name}-{stream.action}-{number}"
            if importing:
                with plant.store(stream.bucket) as store:
                    put_object(store, source, bytes(size))
            else:
                plant.write(source, size)
            made.append(await plant.file(stream, source, target=f"{source}-moved"))
    return made


async def moved(plant: Plant, files: list[str]) -> None:
    """Until all are COMPLETE."""
    rows = await asyncio.gather(*(plant.ended(one) for one in files))
    assert {row.status for row in rows} == {SubTaskStatus.COMPLETE}


@pytest.mark.rule("FLOW-19")
async def test_a_dataflow_moves_no_more_than_it_may_and_others_what_they_can(
    tmp_path: Path, emulator: EmulatorServer
) -> None:
    async with open_plant(tmp_path, emulator, movers=2) as plant:
        actions = (TaskAction.STREAM_IMPORT, TaskAction.STREAM_EXPORT)
        slow = [await plant.stream(action) for action in actions]
        plant._flows.clear()  # another dataflow between the same bucket and file system
        free = [await plant.stream(action) for action in actions]
        flow = slow[0].data_flow_id

        async def limit(bandwidth: int) -> None:
            await plant.catalog.modify_data_flow(plant.call(), FS, flow, bandwidth=bandwidth)

        await limit(MB_PER_S)
        began_s = time.monotonic()
        limited = await submit(plant, slow, "slow")
        await moved(plant, await submit(plant, free, "free"))
        assert plant.executor.limited() == {flow}, "what is not limited was quicker"
        await moved(plant, limited)
        speed = TOTAL_BYTES / (time.monotonic() - began_s)
        assert 0.7 * MB_PER_S * 1e6 < speed < 1.1 * MB_PER_S * 1e6
        limited = await submit(plant, slow, "again")
        lifted_s = time.monotonic()
        await limit(0)
        await moved(plant, limited)
        assert TOTAL_BYTES / (time.monotonic() - lifted_s) > 1.5 * MB_PER_S * 1e6
