"""A served Penstock before a store in trouble: many files out and back again, by the installed command, under faults by chance.

PENSTOCK_CHAOS_SEED=7 PENSTOCK_CHAOS_SERVED=3000 make test PYTEST_ARGS="tests/faults/chaos/test_served.py -s"
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.app.registering import Check
from tests.faults.chaos.stand import PATIENT, open_at
from tests.fixtures.chance import seed_of
from tests.fixtures.chaosfaults import FAULTS, SILENT
from tests.fixtures.chaosproxy import ChaosProxy, Dice
from tests.fixtures.emulator import EmulatorServer
from tests.fixtures.service import (
    WARM,
    RunningService,
    add_bucket,
    init_home,
    run_cli,
    start_service,
    without_own_bucket,
)

FILES = int(os.environ.get("PENSTOCK_CHAOS_SERVED", "60"))
SEED = seed_of("CHAOS")
LARGE_BYTES = 9 << 20  # above what goes in one request
# Another's answer is noticed by its request id, on the connection that got it before: here it may have gone to another mover.
NOT_NOW = {*SILENT, "ListParts answers 501", "no such upload", "another's answer"}
FITTING = [fault for name, fault in FAULTS.items() if name not in NOT_NOW]
BOUND_S = 90.0 + FILES / 5


@pytest.fixture
def chaos(emulator: EmulatorServer) -> Iterator[ChaosProxy]:
    """A proxy of its own: its dice is thrown by two processes' requests."""
    with ChaosProxy(emulator.endpoint) as made:
        yield made


@pytest.fixture
def service(tmp_path: Path, emulator: EmulatorServer, chaos: ChaosProxy) -> Iterator[tuple[RunningService, str]]:
    """A service, and a bucket that it reaches through the proxy."""
    home, bucket = tmp_path / "home", emulator.bucket()
    init_home(home)
    add_bucket(
        home,
        bucket,
        endpoint=chaos.endpoint,
        region=emulator.region,
        credentials=emulator.credentials,
        addressing="path",
        versioning_check=Check.OFF,
    )
    without_own_bucket(home, movers=2)
    running = start_service(home, command=WARM)
    yield running, bucket
    running.stop()


@pytest.mark.seeded
def test_files_go_out_and_come_back(
    service: tuple[RunningService, str], chaos: ChaosProxy, emulator: EmulatorServer
) -> None:
    running, bucket = service
    print(f"PENSTOCK_CHAOS_SEED={SEED} PENSTOCK_CHAOS_SERVED={FILES}")
    files = written(Path(running.init["root"]) / "out")
    (Path(running.init["root"]) / "back").mkdir()
    tasks = [stream(running, bucket, directory, way) for directory, way in (("out", "export"), ("back", "import"))]
    chaos.dice(Dice(seed=SEED, chance=0.1, faults=FITTING, nth_max=4))
    for task in tasks:
        move(running, task, files)
    troubles = len(chaos.struck)
    chaos.script()
    assert troubles >= FILES // 10, "there was hardly any trouble"
    for name, content in files.items():
        assert (Path(running.init["root"]) / "back" / name).read_bytes() == content, name
    assert not list(Path(running.init["root"]).rglob(".penstock-*.*"))
    keys, uploads = left(emulator, bucket)
    assert uploads == []
    assert keys == sorted(f"data/{name}" for name in files)


def left(emulator: EmulatorServer, bucket: str) -> tuple[list[str], list[str]]:
    """Keys and unfinished uploads, past the proxy."""
    store = open_at(emulator.endpoint, emulator, bucket, "Never", PATIENT)
    try:
        keys, token = list[str](), ""
        while True:
            page = store.list_objects(limit=1000, token=token)
            keys += [info.key for info in page.objects]
            token = page.next_token
            if not token:
                break
        return keys, [upload.key for upload in store.list_uploads(prefix="")]
    finally:
        store.close()


def written(directory: Path) -> dict[str, bytes]:
    """Many small files and two large ones."""
    dice = random.Random(SEED)
    files = {f"f{number:05}": dice.randbytes(dice.choice([0, 10, 4096, 50_000])) for number in range(FILES)}
    files |= {f"large{number}": dice.randbytes(LARGE_BYTES) for number in range(2)}
    directory.mkdir()
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return files


def stream(running: RunningService, bucket: str, directory: str, direction: str) -> str:
    """A stream between a directory and the bucket's `data/`."""
    place = {"PENSTOCK_HOME": str(running.home)}
    flow = run_cli("flow", "create", f"/{directory}/", f"oss://{bucket}/data/", environment=place).strip()
    return run_cli("task", "create", flow, direction, environment=place).strip()


def move(running: RunningService, task: str, files: dict[str, bytes]) -> None:
    """All of them, each COMPLETE."""
    place = {"PENSTOCK_HOME": str(running.home)}
    listed = "\0".join(files).encode() + b"\0"
    how = ("--from", "-", "--null", "--wait")
    said = run_cli("subtask", "create", task, *how, environment=place, stdin=listed, timeout_s=BOUND_S)
    assert said == f"{len(files)} files: {len(files)} COMPLETE\n"
    stats = json.loads(run_cli("task", "show", task, "--json", environment=place))["ProgressStats"]
    assert (stats["FilesTotal"], stats["FilesDone"]) == (len(files), len(files))
