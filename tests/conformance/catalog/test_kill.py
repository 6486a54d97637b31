"""Is everything that was acknowledged still there when the process is killed at any moment?"""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.fixtures.chance import seed_of
from tests.fixtures.ledger import recount

ROOT = Path(__file__).resolve().parents[3]
ROUNDS = 5
LINES_MAX = 1500


def write_and_die(path: Path, seed: int, lines_max: int) -> list[str]:
    """What the writer said before it was killed, about when it had said `lines_max` lines."""
    command = [sys.executable, "-m", "tests.fixtures.ledgerwriter", str(path), str(seed)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stderr is not None
        lines: list[str] = []
        for line in writer.stdout:
            lines.append(line)
            if len(lines) == lines_max:
                writer.kill()
        assert len(lines) >= lines_max, writer.stderr.read()
    return [line.rstrip("\n") for line in lines if line.endswith("\n")]


@pytest.mark.seeded
def test_killed_at_any_moment_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    seed = seed_of("CRASH")
    chance = random.Random(seed)
    print(f"PENSTOCK_CRASH_SEED={seed}")  # shown, like the rounds, when the test fails
    path = tmp_path / "catalog.db"
    said: dict[str, set[str]] = defaultdict(set)
    for number in range(ROUNDS):
        lines_max = chance.randint(1, LINES_MAX)
        print(f"round {number}: killed after {lines_max} lines")
        for line in write_and_die(path, number, lines_max):
            word, identifier = line.split(" ")
            said[word].add(identifier)
        recount(path)
        ledger = sqlite3.connect(path)
        known = dict(ledger.execute("SELECT sub_task_id, status FROM sub_tasks"))
        flows = {name for (name,) in ledger.execute("SELECT data_flow_id FROM data_flows")}
        tasks = {name for (name,) in ledger.execute("SELECT task_id FROM tasks")}
        ledger.close()
        assert said["flow"] <= flows
        assert said["task"] <= tasks
        assert said["created"] <= set(known)
        assert {known[name] for name in said["complete"]} <= {"COMPLETE"}
    assert said["complete"]
