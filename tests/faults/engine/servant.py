"""A control process to be killed: a plant over the directory that its standard input names; prints its movers' pids."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.fixtures.emulator import EmulatorServer
from tests.fixtures.plant import Plant, open_plant


async def serve(arguments: dict[str, Any]) -> None:
    """Run until killed."""
    server = _address(arguments["emulator"])
    async with open_plant(
        Path(arguments["path"]),
        server,
        movers=2,
        buckets=(arguments["bucket"],),
        endpoint=arguments["endpoint"],
    ) as plant:

        async def up() -> list[int] | None:
            return _ready(plant)

        pids = await plant.until(up, otherwise="no mover came up")
        sys.stdout.write(json.dumps(pids) + "\n")
        sys.stdout.flush()
        await plant.running


def _address(told: dict[str, str]) -> EmulatorServer:
    """Where the emulator of the test is; nothing of it is ours to stop."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return EmulatorServer(
        endpoint=told["endpoint"],
        access_key_id=told["access_key_id"],
        access_key_secret=told["access_key_secret"],
        region=told["region"],
        root=Path(told["root"]),
        pid=process.pid,
        process=process,
    )


def _ready(plant: Plant) -> list[int] | None:
    pids = plant.mover_pids()
    return pids if len(plant.executor.movers()) == 3 else None


if __name__ == "__main__":
    asyncio.run(serve(json.loads(sys.stdin.readline())))
