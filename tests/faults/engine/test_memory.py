"""Does a mover need the same memory whatever the sizes of its files?"""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.accounts import pss_bytes
from penstock.engine.messages import MoverLimits
from penstock.model import SubTaskStatus, TaskAction
from tests.fixtures.emulator import EmulatorServer
from tests.fixtures.plant import MIB, open_plant

pytestmark = pytest.mark.anyio

FILES = 24
NEARLY = 79 * MIB // 10
PSS_MAX_BYTES = 60 * MIB


async def test_many_middling_files_at_once_are_never_whole_in_memory(tmp_path: Path, emulator: EmulatorServer) -> None:
    """Files of nearly 8 MiB, each moved by one request, both ways, with a real mover's limits."""
    async with open_plant(tmp_path, emulator, limits=MoverLimits()) as plant:
        up, down = await plant.stream(TaskAction.STREAM_EXPORT), await plant.stream(TaskAction.STREAM_IMPORT)
        plant.write("f", NEARLY)
        peaks = []
        for stream, source in ((up, "f"), (down, "out/0")):
            made = [await plant.file(stream, source, target=f"out/{number}") for number in range(FILES)]
            for each in made:
                assert (await plant.ended(each)).status is SubTaskStatus.COMPLETE
                peaks.append(max(map(pss_bytes, plant.mover_pids())))
        assert 0 < min(peaks) <= max(peaks) < PSS_MAX_BYTES
