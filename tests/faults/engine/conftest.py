"""Plants to break, in this process or as a control process of their own that can be killed; a small lane to step by hand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from penstock.transfer.moment import Moments
from tests.faults.engine.company import Company
from tests.fixtures.emulator import EmulatorServer
from tests.fixtures.gate import open_gate
from tests.fixtures.holdproxy import HoldProxy
from tests.fixtures.memorystore import MemoryStore
from tests.fixtures.waiting import wait_until

READY_S = 30.0


@dataclass(slots=True)
class Control:
    """A plant in a process of its own: the control process and its movers."""

    process: subprocess.Popen[str] = field(repr=False)
    movers: list[int]

    def kill(self) -> None:
        """SIGKILL to the control process alone."""
        self.process.kill()
        self.process.wait()

    def hang(self, pid: int) -> None:
        """Stop a mover as a hung file system does; returns when all of its threads stand still."""
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: _state(pid) == "T", READY_S, "the mover did not stop")

    def alive(self) -> list[int]:
        """Movers that still live."""
        return [pid for pid in self.movers if _lives(pid)]

    def wait_movers_gone(self, *, patience_s: float) -> None:
        """Return when no mover lives."""
        wait_until(lambda: not self.alive(), patience_s, "movers did not end")


def _state(pid: int) -> str:
    """The kernel's letter for what a process does; X when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def _lives(pid: int) -> bool:
    return _state(pid) not in "ZX"


@contextmanager
def control_process(path: Path, server: EmulatorServer, bucket: str, *, endpoint: str = "") -> Iterator[Control]:
    """Run `tests.faults.engine.servant` over `path` until the end of the block; kills what is left of it then."""
    arguments = {
        "path": str(path),
        "bucket": bucket,
        "endpoint": endpoint,
        "emulator": {
            "endpoint": server.endpoint,
            "access_key_id": server.access_key_id,
            "access_key_secret": server.access_key_secret,
            "region": server.region,
            "root": str(server.root),
        },
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.engine.servant"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdin is not None
    assert process.stdout is not None
    control = Control(process, [])
    try:
        process.stdin.write(json.dumps(arguments) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        assert line, "the control process ended before it was ready"
        control.movers = json.loads(line)
        yield control
    finally:
        control.kill()
        process.stdin.close()
        process.stdout.close()
        for pid in control.alive():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        control.wait_movers_gone(patience_s=READY_S)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def proxy(emulator: EmulatorServer) -> Iterator[HoldProxy]:
    with HoldProxy(emulator.endpoint) as made:
        yield made


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    """Over a directory of the test's own."""
    moments = Moments(lambda: 0.0)  # each lasts as long as what it was begun for
    gate = open_gate(tmp_path / "fs", moments=moments)
    yield Company(gate, MemoryStore(), moments=moments)
    gate.close()
