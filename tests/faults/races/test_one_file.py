"""Two imports that lead to one file by different paths (a linked directory): is it one of the two, whole, and the right one?"""

from __future__ import annotations

import fcntl
import os
import random
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace as changed

from penstock import failpoints
from penstock.failpoints import Point
from penstock.model import ConflictPolicy, Guarantee
from penstock.stores.base import Store
from penstock.transfer.transfer import Intent, Lane, Outcome, Verdict
from tests.faults.races.buckets import Address, address_of, opened
from tests.faults.races.conftest import RACES, Score
from tests.faults.races.striking import Lead, Rival, spin, struck
from tests.faults.transfer.exports import LONG_AGO_NS
from tests.fixtures.emulator import EmulatorServer
from tests.fixtures.gate import KIB, Gate, open_gate, transfer
from tests.fixtures.objects import put_object

FEW = 24
SHARES = 2 * len(ConflictPolicy)
SIZES = {Lane.SMALL: 1000, Lane.LARGE: 100 * KIB}
MOMENTS: tuple[Point, ...] = ("partial.create", "partial.sync", "rename", "rename")
AGES_NS = {"older": LONG_AGO_NS, "newer": LONG_AGO_NS + 1}
OLD = b"what was there before"


def content_of(age: str, lane: Lane) -> bytes:
    """What the object brings."""
    return random.Random(f"{age} {lane}").randbytes(SIZES[lane])


@pytest.fixture(scope="module")
def address(emulator: EmulatorServer) -> Address:
    """A bucket with two objects of each size, of which one is newer."""
    made = address_of(emulator)
    with closing(opened(made)) as store:
        for age, modify_ns in AGES_NS.items():
            for lane in SIZES:
                put_object(store, f"{age}-{lane}", content_of(age, lane), modify_ns=modify_ns)
    return made


class Arena:
    """Two movers over one file system, in which `base/link` leads to `base/real`."""

    def __init__(self, gate: Gate, store: Store, rival: Rival, chance: random.Random) -> None:
        self._gate = gate
        self._store = store
        self._rival = rival
        self._chance = chance
        self._leads = {point: Lead(chance) for point in MOMENTS}

    def race(self, number: int, policy: ConflictPolicy, lane: Lane) -> str:
        """Both import to one name; in words what came of it."""
        target = self._gate.base / "real" / f"f{number}"
        is_seeded = policy is ConflictPolicy.KEEP_LATEST and self._chance.random() < 1 / 2
        if is_seeded:
            target.write_bytes(OLD)
            os.utime(target, ns=(LONG_AGO_NS - 1, LONG_AGO_NS - 1))
        point = self._chance.choice(MOMENTS)
        ours, theirs = self._chance.sample(sorted(AGES_NS), 2)
        ours_ns, theirs_ns = self._leads[point].waits_ns()
        self._rival.strike(
            act="import", bucket="", key=f"{theirs}-{lane}", path=f"base/link/f{number}", policy=policy.value,
            point=point, lane=lane.value,
        )  # fmt: skip

        def strike() -> None:
            self._rival.strike(wait_ns=theirs_ns)
            spin(ours_ns)

        what = transfer(
            sub_task_id=f"ours-{number}", key=f"{ours}-{lane}", path=f"base/real/f{number}", conflict_policy=policy,
            bucket=self._store.bucket,
        )  # fmt: skip
        with struck(point, strike):
            outcome = self._gate.move(what, self._store, lane=lane)
        if outcome.tidy:
            self._gate.move(changed(what, intent=Intent.TIDY), self._store)
        answer = self._rival.answer()
        found = {content_of(age, lane): age for age in AGES_NS}[target.read_bytes()]
        assert target.stat().st_mtime_ns == AGES_NS[found], "one's bytes with the other's time"
        assert os.listdir(target.parent) == [target.name], "something is left"
        target.unlink()
        self._leads[point].won(ours=(found == ours) is (policy is ConflictPolicy.SKIP_THE_FILE))
        return judged(policy, outcome, answer, found, ours=ours, is_seeded=is_seeded)


def judged(
    policy: ConflictPolicy, outcome: Outcome, answer: Mapping[str, Any], found: str, *, ours: str, is_seeded: bool
) -> str:
    """Who stayed, in words. Raises AssertionError where the policy did not hold, or something else was told."""
    moved, moved_too = outcome.verdict is Verdict.COMPLETE, answer["verdict"] == Verdict.COMPLETE
    guarantees = {outcome.guarantee, answer["guarantee"]}
    assert moved or moved_too, (outcome, answer)
    assert {outcome.verdict.value, answer["verdict"]} <= {"complete", "skipped"}, (outcome, answer)
    if policy is ConflictPolicy.OVERWRITE_EXISTING:
        assert moved
        assert moved_too
        assert guarantees == {Guarantee.ATOMIC}
        return "ours stayed" if found == ours else "theirs stayed"
    if policy is ConflictPolicy.SKIP_THE_FILE:
        assert moved != moved_too, "both were told that they made it"
        assert moved == (found == ours)
        assert guarantees == {Guarantee.ATOMIC}
        return "ours stayed" if moved else "theirs stayed"
    assert found == "newer", "an older one replaced a newer one"
    assert not is_seeded or Guarantee.BEST_EFFORT in guarantees
    return "ours stayed" if found == ours else "theirs stayed"


@pytest.fixture
def arena(tmp_path: Path, address: Address, chance: random.Random) -> Iterator[Arena]:
    """A directory and a link to it."""
    gate = open_gate(tmp_path)
    (gate.base / "real").mkdir()
    (gate.base / "link").symlink_to("real")
    told = {"buckets": {"": address}, "root": str(tmp_path)}
    with closing(gate), closing(opened(address)) as store, Rival("tests.faults.races.objectrival", told) as rival:
        yield Arena(gate, store, rival, chance)


KINDS = [(policy, lane) for policy in ConflictPolicy for lane in SIZES]
FEW_KINDS = [(ConflictPolicy.KEEP_LATEST, Lane.SMALL), (ConflictPolicy.OVERWRITE_EXISTING, Lane.LARGE)]


@pytest.mark.parametrize(("policy", "lane"), KINDS if RACES else FEW_KINDS)
def test_the_file_is_one_of_the_two(arena: Arena, policy: ConflictPolicy, lane: Lane, score: Score) -> None:
    for number in score.rounds(FEW, share=SHARES):
        score.count(arena.race(number, policy, lane))
    score.require("ours stayed", "theirs stayed")


def test_a_directory_that_another_program_has_locked_is_waited_for_briefly(tmp_path: Path, address: Address) -> None:
    gate = open_gate(tmp_path)
    gate.target.write_bytes(OLD)
    os.utime(gate.target, ns=(0, 0))
    what = transfer(key="newer-small", conflict_policy=ConflictPolicy.KEEP_LATEST, bucket="races")
    descriptor = os.open(gate.base, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with closing(gate), closing(opened(address)) as store:
        assert gate.move(what, store, lane=Lane.SMALL).verdict is Verdict.COMPLETE
    os.close(descriptor)
    assert gate.target.read_bytes() == content_of("newer", Lane.SMALL)


@pytest.mark.parametrize("lane", SIZES)
@pytest.mark.parametrize("point", ["partial.created", "partial.written", "rename"] if RACES else ["partial.created"])
def test_two_movers_of_one_sub_task_publish_nothing_of_each_other(
    tmp_path: Path, address: Address, lane: Lane, point: Point
) -> None:
    """The second finds the first standing still, and stands still itself, its file just begun, when the first goes on."""
    gate = open_gate(tmp_path)
    told = {"bucket": address, "root": str(tmp_path)}
    traps = {"first": tmp_path / "first", "second": tmp_path / "second"}
    for each in traps.values():
        each.mkdir()
    (traps["first"] / f"{point}.1").write_text(failpoints.STOP)
    begun = "partial.write" if lane is Lane.SMALL else "journal.created"
    (traps["second"] / f"{begun}.1").write_text(failpoints.STOP)
    key, modules = f"newer-{lane}", "tests.faults.races.latemover"
    with closing(gate), Rival(modules, told) as first, Rival(modules, told) as second:
        first.strike(traps=str(traps["first"]), key=key, attempt=1, lane=lane.value)
        first.wait_stopped()
        second.strike(traps=str(traps["second"]), key=key, attempt=2, lane=lane.value)
        if point == "partial.created":  # the first has not locked it yet
            second.wait_stopped()
            first.go_on()
            answer = first.answer()
            assert (answer["verdict"], "another mover" in answer["message"]) == (Verdict.RETRY, True)
            assert not gate.target.exists(), "a file that was just begun was published"
            second.go_on()
            assert second.answer() == {"verdict": Verdict.COMPLETE, "message": ""}
        else:
            answer = second.answer()
            assert (answer["verdict"], "another mover still holds" in answer["message"]) == (Verdict.RETRY, True)
            first.go_on()
            assert first.answer()["verdict"] == Verdict.COMPLETE
    assert gate.target.read_bytes() == content_of("newer", lane)
