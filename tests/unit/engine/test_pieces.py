"""The small pieces: the board that survives a kill, the names of owners, the lock of movers, what a log line shows."""

from __future__ import annotations

import fcntl
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from penstock import telemetry
from penstock.engine.board import Board
from penstock.engine.moverslock import take_shared, taken_alone
from penstock.engine.owners import Owners
from penstock.errors import HomeInUseError

BEGIN_AND_DIE = """
import os, signal, sys
from penstock.engine.board import Board
board = Board(int(sys.argv[1]), 4)
board.begin(0, 7)
board.begin(1, 8)
board.begin(3, 9)
board.end(1)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_board_tells_what_a_killed_process_had_under_way() -> None:
    board, descriptor = Board.make(4)
    done = subprocess.run([sys.executable, "-c", BEGIN_AND_DIE, str(descriptor)], pass_fds=[descriptor], check=False)
    os.close(descriptor)
    assert done.returncode == -signal.SIGKILL
    assert board.begun() == {7, 9}
    board.close()


def test_a_retired_owner_is_kept_alive_by_its_flights_and_then_voided() -> None:
    owners = Owners("engine")
    first = owners.current
    owners.retire()
    assert owners.current != first
    assert owners.alive({first}) == {first, owners.current}
    assert owners.to_void({first}) == frozenset()
    assert owners.to_void(set()) == {first}
    owners.voided(first)
    assert owners.to_void(set()) == frozenset()


@pytest.mark.anyio
async def test_the_lock_is_shared_by_movers_and_alone_for_a_new_service(tmp_path: Path, anyio_backend: str) -> None:
    path = tmp_path / "movers.lock"
    movers = [take_shared(path), take_shared(path)]
    with pytest.raises(HomeInUseError, match="still holds"):
        async with taken_alone(path, wait_s=0.1):
            pytest.fail("entered while movers live")
    for descriptor in movers:
        os.close(descriptor)
    async with taken_alone(path, wait_s=0.1):
        with pytest.raises(HomeInUseError, match="is starting"):
            take_shared(path)
    os.close(take_shared(path))
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_lock_is_inherited_and_outlives_its_giver(tmp_path: Path) -> None:
    path = tmp_path / "movers.lock"
    lock = take_shared(path)
    child = subprocess.Popen([sys.executable, "-c", "input()"], pass_fds=[lock], stdin=subprocess.PIPE)
    os.close(lock)
    with path.open("r+") as alone, pytest.raises(BlockingIOError):
        fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
    child.communicate(b"\n")
    with path.open("r+") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_events_are_single_lines_and_hold_no_secrets() -> None:
    stream = io.StringIO()
    logger = telemetry._logger
    before = logger.handlers[:], logger.level, logger.propagate
    try:
        telemetry.configure(stream)
        telemetry.event("room.happened", files=3, path='/a b\n"c', access_key_secret="hush", token="hush", ok=True)
        telemetry.event("room.whispered", level=telemetry.Level.DEBUG)
        telemetry.failure("room.failed", ValueError("two\nlines"), duty="x")
        telemetry.event("room.long", text="x" * 5000)
    finally:
        logger.handlers[:], logger.level, logger.propagate = before[0], before[1], before[2]
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0].endswith('INFO room.happened files=3 path="/a b\\n\\"c" access_key_secret=*** token=*** ok=true')
    assert lines[1].endswith('WARNING room.failed error=ValueError message="two\\nlines" duty=x')
    assert "hush" not in stream.getvalue()
    assert len(lines[2]) < 2200
