"""Is a large file that stops in its middle shown as it is there: its bytes, its parts, its mover, and what is kept of it?"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from penstock.catalog.live import Detail, Soundness
from penstock.catalog.shown import Shown
from penstock.engine.soundness import MountTrouble
from penstock.model import SubTaskStatus, TaskAction
from tests.fixtures.emulator import EmulatorServer
from tests.fixtures.holdproxy import HoldProxy
from tests.fixtures.plant import FS, MIB, open_plant

pytestmark = pytest.mark.anyio

PARTS = 16
ACTIONS = (TaskAction.STREAM_IMPORT, TaskAction.STREAM_EXPORT)


@pytest.mark.parametrize("action", ACTIONS)
async def test_the_parts_of_a_large_file_are_seen_while_they_move(
    tmp_path: Path, emulator: EmulatorServer, proxy: HoldProxy, action: TaskAction
) -> None:
    async with open_plant(tmp_path, emulator, endpoint=proxy.endpoint) as plant:
        if action is TaskAction.STREAM_IMPORT:
            plant.put("big.bin", PARTS * MIB)
            proxy.hold(down_bytes=6 * MIB, trickle=True)
        else:
            plant.write("big.bin", PARTS * MIB)
            proxy.hold(up_bytes=6 * MIB, trickle=True)
        sight = plant.engine.sight(plant.executor, mounts=lambda: {FS: MountTrouble()}, idle=lambda: None)
        shown = Shown(plant.catalog.reading, sight)
        sub_task = await plant.file(await plant.stream(action), "big.bin")
        await asyncio.to_thread(proxy.wait_held)

        async def half_done() -> Detail | None:
            detail = await shown.detail([FS], sub_task)
            parts = None if detail.flying is None else detail.flying.parts
            return detail if parts is not None and parts.done and parts.moving else None

        detail = await plant.until(half_done, otherwise="no part was seen")
        flying, listed = detail.flying, detail.kept.listed
        assert flying is not None
        assert flying.parts is not None
        cells = flying.parts.cells
        assert (len(cells), flying.parts.parts, flying.parts.part_size_bytes) == (PARTS, PARTS, MIB)
        assert (cells.count("#"), cells.count(">")) == (flying.parts.done, flying.parts.moving)
        assert cells.endswith(".")
        assert MIB <= flying.bytes_done < PARTS * MIB == flying.bytes_total
        assert (flying.is_large, flying.attempt) == (True, listed.sub_task.attempt)
        assert listed.sub_task.bytes_done == flying.bytes_done
        view = await shown.pulse([FS])
        assert view is not None
        assert flying.mover in {mover.name for mover in view.movers if mover.large}
        assert {mover.soundness for mover in view.movers} == {Soundness.WELL}
        assert view.moving == 1

        proxy.release()
        row = await plant.ended(sub_task)
        assert row.status is SubTaskStatus.COMPLETE
        assert shown.flying_of(sub_task) is None
        view = await shown.pulse([FS])
        assert view is not None
        moved = view.moved.bytes_in if action is TaskAction.STREAM_IMPORT else view.moved.bytes_out
        assert moved == PARTS * MIB
        counts = (await plant.catalog.reading.overview([FS])).counts
        assert counts.bytes_in + counts.bytes_out == PARTS * MIB
