"""Does a person at a terminal see what moves, is she asked after Ctrl-C, and is it done as she says?"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.e2e.cli.processes import emulator_of
from tests.fixtures.service import COMMAND, RunningService, environment, run_cli
from tests.fixtures.terminal import Terminal
from tests.fixtures.waiting import wait_until

Place = Mapping[str, str]


@pytest.fixture
def place(service: RunningService) -> Place:
    """The environment that names the service."""
    return {"PENSTOCK_HOME": str(service.home)}


@pytest.fixture
def spot(service: RunningService, place: Place) -> Path:
    """A directory with files, bound to the bucket."""
    directory = Path(service.init["root"]) / "live"
    if not directory.exists():
        directory.mkdir()
        run_cli("flow", "create", "/live/", "oss://examplebucket/live/", environment=place)
    for name in ("small.txt", "大きいファイル.bin"):
        (directory / name).write_bytes(b"x" * (20 << 20 if "bin" in name else 10))
    return directory


@pytest.fixture
def held(service: RunningService) -> Iterator[int]:
    """The bucket server's process, standing still: what is exported stays under way."""
    bucket_server = emulator_of(service.pid)
    os.kill(bucket_server, signal.SIGSTOP)
    yield bucket_server
    os.kill(bucket_server, signal.SIGCONT)


def statuses(place: Place, task: str) -> list[str]:
    rows = json.loads(run_cli("subtask", "list", "--task", task, "--json", environment=place))
    return [row["Status"] for row in rows["DataFlowSubTask"]["DataFlowSubTask"]]


def stream(place: Place, drawn: str) -> str:
    return drawn[drawn.index("task-") :].split(maxsplit=1)[0]


def test_the_display_ends_with_checksums_and_a_summary(place: Place, spot: Path) -> None:
    with Terminal([*COMMAND, "export", str(spot)], environment(place)) as terminal:
        assert terminal.ended() == 0
        assert "2 files: 2 COMPLETE" in terminal.drawn
        assert "大きいファイル.bin" in terminal.drawn
        assert terminal.drawn.count("crc64:") == 2


def test_ctrl_c_asks_and_a_second_one_leaves(place: Place, spot: Path, held: int) -> None:
    with Terminal([*COMMAND, "export", str(spot)], environment(place)) as terminal:
        terminal.until("0 of 2 files")
        terminal.press(Terminal.CTRL_C)
        terminal.until("2 files are under way: [l]eave them to the service, [c]ancel, [g]o on?")
        times = terminal.drawn.count("0 of 2 files")
        terminal.press("g\n")
        terminal.until("0 of 2 files", times=times + 1)
        terminal.press(Terminal.CTRL_C)
        terminal.until("[g]o on?", times=2)
        terminal.press(Terminal.CTRL_C)
        assert terminal.ended() == 130
        assert "2 files go on without this command" in terminal.drawn
        task = stream(place, terminal.drawn)
    os.kill(held, signal.SIGCONT)
    wait_until(lambda: set(statuses(place, task)[:2]) == {"COMPLETE"}, 60, "they do not go on", nap_s=0.2)


def test_ctrl_c_can_cancel_and_then_waits_for_the_end(place: Place, spot: Path, held: int) -> None:
    (spot / "small.txt").unlink()
    with Terminal([*COMMAND, "export", str(spot)], environment(place)) as terminal:
        terminal.until("0 of 1 files")
        terminal.press(Terminal.CTRL_C)
        terminal.until("[c]ancel")
        terminal.press("c\n")
        terminal.until("cancelling; Ctrl-C again leaves at once")
        os.kill(held, signal.SIGCONT)
        assert terminal.ended() == 130
        assert "1 file: 1 CANCELED" in terminal.drawn
        assert statuses(place, stream(place, terminal.drawn))[0] == "CANCELED"
