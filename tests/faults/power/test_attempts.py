"""Does the next attempt at one import tell the truth after a power cut, on every disk that may be left of the one before?

The transfer alone, without catalog and service: all disks are tried, whether the file went through or its renaming failed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from penstock.transfer.transfer import Intent, Verdict
from tests.faults.power import strace, victim
from tests.faults.power.disk import Disk, changes_of
from tests.faults.power.operations import Kind, Operation, read
from tests.faults.power.recording import IS_WHOLE, ROOM
from tests.faults.power.states import State, States
from tests.fixtures.memorystore import MemoryStore

pytestmark = pytest.mark.xdist_group("power")

FAILING = "renameat:error=EIO:when=1"
CANCELED = "canceled"
HOUR_NS = 3_600_000_000_000
KILLED = "killed"
RECORDS = [
    *((kind, ending) for kind in ("small", "new-small", "large", "new-large") for ending in ("", FAILING)),
    ("middling", ""),
    ("large", CANCELED),
    ("skip-small", KILLED),
    ("latest-middling", KILLED),
    *((f"{sort}-{size}", KILLED) for sort in ("skip", "latest") for size in ("small", "middling", "large") if IS_WHOLE),
    *((kind, KILLED) for kind in ("small", "middling", "large", "new-small") if IS_WHOLE),
    *([("middling", FAILING), ("middling", CANCELED), ("new-large", CANCELED)] if IS_WHOLE else []),
]


def recorded(kind: str, ending: str, tmp_path: Path) -> list[Operation]:
    """What one attempt, or two where the first one fails, did below `tmp_path/fs`."""
    trace = tmp_path / "trace"
    failing = "" if ending in {CANCELED, KILLED} else ending
    command = [*strace.recording(trace, fails=failing), sys.executable, "-m", "tests.faults.power.victim"]
    command += [str(tmp_path / "fs"), kind, "2" if failing else ending or "1"]
    process = subprocess.Popen(command, cwd=ROOM, stdout=subprocess.PIPE)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 0
    assert ending != CANCELED or b'"verdict": "canceled"' in said, said
    assert ending != KILLED or (b'"verdict": "complete"' in said and b'"target": "new"' in said), said
    strace.wait_ended(trace, process.pid)
    assert not failing or "(INJECTED)" in trace.read_text(encoding="latin-1")
    return read(trace, world=tmp_path / "fs")


def disks(kind: str, ending: str, tmp_path: Path) -> Iterator[tuple[State, States]]:
    """Every disk that a power cut may leave."""
    root = tmp_path / "fs"
    (root / "base").mkdir(parents=True)
    if not kind.startswith("new-"):
        victim.make_old(root / victim.what(kind).path, kind)
    before = Disk.of(root, matters=lambda path: True)
    operations = [one for one in recorded(kind, ending, tmp_path) if one.kind is not Kind.SEND]
    changes, end = changes_of(before, operations, root, matters=lambda path: True)
    moments = [moment for one in operations for moment in (one.begin - 1, one.end)]
    states = States(before, changes, end, keeps=lambda path: False, moments=moments)
    for state in states.every():
        if state.line == max(moments):
            check_told(kind, ending, states.disk(state))
        yield state, states


def check_told(kind: str, ending: str, disk: Disk) -> None:
    """Its end was told: a power cut takes nothing of that back."""
    found = dict(disk.files())
    left = [path for path in found if "/.penstock-" in path]
    if ending == CANCELED:
        assert not left, f"CANCELED, nobody looks for it any more, and a power cut brings back {left}"
    if ending == KILLED:
        there = found.get(victim.what(kind).path)
        assert there is not None, "COMPLETE, and a power cut takes its name away"
        assert bytes(there.content) == victim.body_of(kind), (
            "COMPLETE, and a power cut brings back what was there before"
        )


def judge(kind: str, place: Path, store: MemoryStore, intent: Intent) -> None:
    """The next attempt, whose word has to be true."""
    gate = victim.a_gate(place)
    try:
        target = place / victim.what(kind).path
        existing = victim.old_of(kind)
        found = target.read_bytes() if target.exists() else None
        assert found in {existing, victim.body_of(kind)}, "torn"
        begun_ns = time.time_ns() + HOUR_NS  # no directory of the disk, which was made just now, is newer
        moved = replace(victim.what(kind), attempt=3, intent=intent, begun=True, first_attempt_ns=begun_ns)
        outcome = gate.move(moved, store, lane=victim.lane_of(kind))
        there = target.read_bytes() if target.exists() else None
        if intent is Intent.MOVE:
            assert outcome.verdict is Verdict.COMPLETE, outcome
        if outcome.verdict is Verdict.COMPLETE:
            assert there == victim.body_of(kind), "it is said to be COMPLETE"
        else:
            assert outcome.verdict is Verdict.CANCELED, outcome
            assert there == found
            assert there == existing, "it is said to be CANCELED"
        tidied = gate.move(replace(moved, attempt=4, intent=Intent.TIDY), store)
        is_gone = not target.parent.exists()  # it was never durable, or it comes back: nobody can tell
        assert tidied.verdict is (Verdict.RETRY if is_gone else Verdict.TIDIED)
        assert gate.helpers() == []
        assert list(place.rglob("kept-by-*")) == [], "a file of ours was taken for somebody's"
    finally:
        gate.close()


@pytest.mark.parametrize(("kind", "ending"), RECORDS, ids=lambda word: word.partition(":")[0] or "published")
def test_the_word_of_the_next_attempt_is_true(tmp_path: Path, kind: str, ending: str) -> None:
    """Whether the file went through, could not be renamed at first, or was canceled in its midst."""
    count, store = 0, victim.a_bucket(kind)
    for state, states in disks(kind, ending, tmp_path):
        disk = states.disk(state)
        for intent in (Intent.MOVE, Intent.WITHDRAW):
            count += 1
            place = tmp_path / "disks" / f"{count}"
            disk.write(place)
            try:
                judge(kind, place, store, intent)
            except AssertionError as error:
                error.add_note(f"{intent} after {state}; missing: {states.lost(state)}; {place} is what it became")
                raise
            shutil.rmtree(place)  # before anybody writes its bytes to the real disk
    assert count > 20
    print(f"{count // 2} disks")
