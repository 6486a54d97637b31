"""Does a dataflow move as much in a second as it may, small files and large ones in all movers together, and hold up nobody?"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from penstock.catalog.verbs import Changes
from penstock.model import SubTaskStatus, TaskAction
from tests.fixtures.emulator import EmulatorServer
from tests.fixtures.objects import put_object
from tests.fixtures.plant import FS, MIB, Plant, Stream, open_plant
from tests.fixtures.stopwatch import Stopwatch

pytestmark = pytest.mark.anyio

MB_PER_S = 3
SMALL, SMALL_BYTES = 24, 60_000
LARGE, LARGE_BYTES = 1, 3 * MIB
TOTAL_BYTES = 2 * (SMALL * SMALL_BYTES + LARGE * LARGE_BYTES)


def sources(plant: Plant, streams: list[Stream], name: str) -> list[tuple[Stream, str]]:
    """Files and objects of both sizes, to be moved."""
    made: list[tuple[Stream, str]] = []
    for stream in streams:
        for number in range(SMALL + LARGE):
            size = SMALL_BYTES if number < SMALL else LARGE_BYTES
            made.append((stream, f"{name}-{stream.action}-{number}"))
            if stream.action is TaskAction.STREAM_EXPORT:
                plant.write(made[-1][1], size)
                continue
            with plant.store() as store:
                put_object(store, made[-1][1], bytes(size))
    return made


async def submit(plant: Plant, made: list[tuple[Stream, str]]) -> list[str]:
    """One sub-task each, all at once."""
    return await asyncio.gather(*(plant.file(stream, name, target=f"{name}-moved") for stream, name in made))


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
            await plant.catalog.modify_data_flow(plant.call(), FS, flow, Changes(bandwidth=bandwidth))

        await limit(MB_PER_S)
        first, others, again = (sources(plant, *of) for of in ((slow, "slow"), (free, "free"), (slow, "again")))
        watch, began_s = Stopwatch(), time.monotonic()
        limited = await submit(plant, first)
        await moved(plant, await submit(plant, others))
        assert plant.executor.limited() == {flow}, "what is not limited was quicker"
        await moved(plant, limited)
        paid_bytes = TOTAL_BYTES - MIB  # what begins last, a part at most, is paid by whoever comes next
        assert paid_bytes / (time.monotonic() - began_s) < 1.1 * MB_PER_S * 1e6
        assert TOTAL_BYTES / watch.took_s() > 0.7 * MB_PER_S * 1e6
        limited, watch = await submit(plant, again), Stopwatch()
        await limit(0)
        await moved(plant, limited)
        assert TOTAL_BYTES / watch.took_s() > 1.5 * MB_PER_S * 1e6
