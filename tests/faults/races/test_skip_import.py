"""Does an import under SKIP_THE_FILE ever touch what another program makes at the same name at the same instant?"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace as changed

from penstock.errors import FailureCode
from penstock.failpoints import Point
from penstock.model import ConflictPolicy, Guarantee
from penstock.stores.base import Store
from penstock.transfer import posix
from penstock.transfer.transfer import Intent, Lane, Outcome, Verdict
from tests.faults.races.buckets import bucket_of
from tests.faults.races.conftest import RACES, Score
from tests.faults.races.filerival import ACTS, THEIRS
from tests.faults.races.striking import Lead, Rival, spin, struck
from tests.fixtures.emulator import EmulatorServer
from tests.fixtures.gate import KIB, Gate, open_gate, transfer
from tests.fixtures.objects import put_object

SMALL, LARGE = random.Random(1).randbytes(1000), random.Random(2).randbytes(100 * KIB)
FEW = 18
SKIP = transfer(conflict_policy=ConflictPolicy.SKIP_THE_FILE, bucket="races")
MOMENTS: tuple[Point, ...] = ("partial.create", "partial.sync", "rename")
"""Before the file is written, before it is durable, right before it takes its name."""


@pytest.fixture(scope="module")
def store(emulator: EmulatorServer) -> Iterator[Store]:
    """A bucket with a small and a large object."""
    with closing(bucket_of(emulator)) as made:
        put_object(made, "small", SMALL)
        put_object(made, "large", LARGE)
        yield made


class Arena:
    """A gate and a rival in one directory. `race` runs one race and says who won it."""

    def __init__(self, gate: Gate, store: Store, rival: Rival, chance: random.Random) -> None:
        self.gate = gate
        self._store = store
        self._rival = rival
        self._chance = chance
        self._leads = {point: Lead(chance) for point in MOMENTS}

    def race(self, number: int, act: str, content: bytes) -> str:
        """Somebody else does `act` at the name of a file that is on its way."""
        name, point = f"f{number}", self._chance.choice(MOMENTS)
        lead = self._leads[point]
        ours_ns, theirs_ns = lead.waits_ns()

        def strike() -> None:
            self._rival.strike(act=act, name=name, wait_ns=theirs_ns)
            spin(ours_ns)

        key, lane = ("small", Lane.SMALL) if content is SMALL else ("large", Lane.LARGE)
        what = changed(SKIP, sub_task_id=f"sub-task-{number}", path=f"base/{name}", key=key)
        with struck(point, strike):
            outcome = self.gate.move(what, self._store, lane=lane)
        if outcome.tidy:
            self.gate.move(changed(what, intent=Intent.TIDY), self._store)
        theirs = self._rival.answer()
        assert theirs["won"] or theirs["error"] == "EEXIST", theirs
        came = judged(outcome, self.gate.base / name, act, content, won=theirs["won"])
        lead.won(ours=came != "theirs")
        return came

    def clear(self, number: int) -> None:
        """Remove what the race was about; nothing else may be there."""
        name = self.gate.base / f"f{number}"
        if name.is_dir():
            name.rmdir()
        else:
            name.unlink()
        assert os.listdir(self.gate.base) == [], "something is left"


def judged(outcome: Outcome, target: Path, act: str, content: bytes, *, won: bool) -> str:
    """Who has the name, which is what was said of it. Raises AssertionError where that is not so."""
    if outcome.verdict is Verdict.COMPLETE:
        assert outcome.guarantee is Guarantee.ATOMIC
        assert outcome.actual_bytes == len(content)
        if act == "rename" and won:  # it replaces whatever is there: ours was first
            assert target.read_bytes() == THEIRS
            return "ours, then replaced"
        assert not won, f"both were told that they made {target.name}"
        assert target.read_bytes() == content
        return "ours"
    assert won, f"neither has made {target.name}: {outcome}"
    if act == "mkdir":
        assert (outcome.verdict, outcome.code) == (Verdict.FAILED, FailureCode.TARGET_IS_DIRECTORY)
        assert list(target.iterdir()) == []
        return "theirs"
    assert (outcome.verdict, outcome.actual_bytes) == (Verdict.SKIPPED, 0)
    if act == "symlink":
        assert os.readlink(target) == "nowhere"
        assert not target.with_name("nowhere").exists()
    else:
        assert target.read_bytes() == THEIRS
    return "theirs"


@pytest.fixture
def arena(tmp_path: Path, store: Store, chance: random.Random) -> Iterator[Arena]:
    """An empty directory in which two work."""
    (tmp_path / "spares").mkdir()
    gate = open_gate(tmp_path)
    told = {"place": str(gate.base), "spares": str(tmp_path / "spares")}
    with closing(gate), Rival("tests.faults.races.filerival", told) as rival:
        yield Arena(gate, store, rival, chance)


def run(arena: Arena, act: str, content: bytes, score: Score) -> None:
    """Race again and again."""
    for number in score.rounds(FEW, share=len(ACTS)):
        came = arena.race(number, act, content)
        score.count(came)
        arena.clear(number)
    score.require("theirs", "ours, then replaced" if act == "rename" else "ours")


@pytest.mark.parametrize("act", ACTS)
def test_small(arena: Arena, act: str, score: Score) -> None:
    run(arena, act, SMALL, score)


@pytest.mark.parametrize("act", ["link", "mkdir"] if RACES else ["link"])
def test_large(arena: Arena, act: str, score: Score) -> None:
    run(arena, act, LARGE, score)


@pytest.mark.parametrize("act", ["open", "rename-new", "mkdir"] if RACES else ["rename-new"])
def test_where_names_are_taken_by_links(arena: Arena, act: str, score: Score, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS and Lustre know no renaming without replacing."""

    def refused(directory: int, name: bytes, new_name: bytes) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(posix, "rename_without_replacing", refused)
    run(arena, act, SMALL, score)
