"""Does an export keep to its conflict policy when others write the same key at the same instant?"""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from penstock.failpoints import Point
from penstock.model import ConflictPolicy, Direction, Guarantee
from penstock.stores.base import Store, Versioning
from penstock.transfer.transfer import Outcome, Verdict
from tests.faults.races.buckets import Address, address_of, history, opened, put
from tests.faults.races.conftest import RACES, Score
from tests.faults.races.objectrival import THEIRS, theirs_of
from tests.faults.races.striking import Lead, Rival, spin, struck
from tests.faults.transfer.exports import LONG_AGO_NS, lane_of, later
from tests.faults.transfer.exports import SMALL as SMALL_CONTENT
from tests.fixtures.emulator import EmulatorServer
from tests.fixtures.gate import Gate, open_gate, transfer

SMALL = SMALL_CONTENT
LARGE = random.Random(5).randbytes(250_000)
OLD = b"what was there before"
STEP_NS = 200_000  # some tenth of what a request takes
_numbers = itertools.count()
VERSIONINGS = {"plain": "", "versioned": "Enabled", "suspended": "Suspended"}
FEW = 24
SHARES = 2 * len(ConflictPolicy) * len(VERSIONINGS)  # small and large
MOMENTS: Mapping[bytes, tuple[tuple[Point, int], ...]] = {
    SMALL: (("request.send", 1), ("request.send", 2)),  # the look, and the PUT; or the PUT alone
    LARGE: (("upload.complete", 1), ("upload.complete", 1), ("upload.named", 1)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """What ours does, and what is there at the beginning."""

    policy: ConflictPolicy
    content: bytes
    act: str
    seeded: bool
    ours_newer: bool = False


class Arena:
    """A gate, a rival in another process, and the buckets they share."""

    def __init__(self, gate: Gate, addresses: Mapping[str, Address], rival: Rival, chance: random.Random) -> None:
        self.gate = gate
        self.stores = {name: opened(address) for name, address in addresses.items()}
        self.chance = chance
        self._rival = rival
        self._leads: dict[object, Lead] = {}

    def close(self) -> None:
        for store in self.stores.values():
            store.close()

    def run(self, bucket: str, race: Race) -> tuple[Outcome, dict[str, Any], list[str]]:
        """What came of ours, what the rival says, and what the key holds."""
        store, key = self.stores[bucket], f"races/{next(_numbers)}"
        if race.seeded:
            put(store, key, OLD, modify_ns=LONG_AGO_NS - 10**10 if race.act == "export" else 0)
        point, passing = self.chance.choice(MOMENTS[race.content])
        lead = self._leads.setdefault((race.act, point, passing), Lead(self.chance, step_ns=STEP_NS))
        ours_ns, theirs_ns = lead.waits_ns()
        self._rival.strike(
            act=race.act, bucket=bucket, key=key, policy=race.policy.value, size_bytes=len(race.content),
            modify_ns=LONG_AGO_NS + (-1 if race.ours_newer else 1), point=point, passing=passing,
        )  # fmt: skip

        def strike() -> None:
            self._rival.strike(wait_ns=theirs_ns)
            spin(ours_ns)

        what = transfer(
            Direction.EXPORT, sub_task_id=f"ours-{key}", key=key, conflict_policy=race.policy, bucket=store.bucket
        )
        self.gate.target.write_bytes(race.content)
        os.utime(self.gate.target, ns=(LONG_AGO_NS, LONG_AGO_NS))
        with struck(point, strike, passing=passing):
            outcome = self.gate.move(what, store, lane=lane_of(race.content))
        done_ns = time.monotonic_ns()
        answer = self._rival.answer()
        known = {"ours": race.content, "theirs": THEIRS, "old": OLD}
        if race.act == "export":
            known["theirs"] = theirs_of(len(race.content))
        found = history(store, key, known)
        lead.won(ours=was_first(race, outcome, found, sooner=done_ns < answer["done_ns"]))
        assert not [upload for upload in store.list_uploads(prefix=key) if upload.key == key], "an upload is left"
        return outcome, answer, found


def was_first(race: Race, outcome: Outcome, found: list[str], *, sooner: bool) -> bool:
    """Whether ours came first, as far as that can be seen: exports take the same steps, so there the clock can tell."""
    if race.act == "export":
        return sooner
    if race.policy is ConflictPolicy.OVERWRITE_EXISTING or (race.act == "delete" and not race.seeded):
        return found[:1] != ["ours"]
    return (outcome.verdict is Verdict.COMPLETE) is not race.seeded


def able_of(store: Store, content: bytes) -> bool:
    """Whether the store itself refuses to replace what is there."""
    return store.abilities.create_only_put if content is SMALL else store.abilities.create_only_complete


def check_told(store: Store, race: Race, outcome: Outcome, found: list[str]) -> None:
    """What was said of ours is what became of it."""
    assert outcome.verdict in {Verdict.COMPLETE, Verdict.SKIPPED}, outcome
    assert found.count("ours") <= 1
    if outcome.verdict is Verdict.SKIPPED:
        assert outcome.actual_bytes == 0
        assert "ours" not in found, "ours is there, and was said to have been left out"
        return
    assert outcome.actual_bytes == len(race.content)
    if race.policy is ConflictPolicy.OVERWRITE_EXISTING:
        assert outcome.guarantee is Guarantee.ATOMIC
    elif race.policy is ConflictPolicy.SKIP_THE_FILE or not able_of(store, race.content):
        assert outcome.guarantee is (Guarantee.ATOMIC if able_of(store, race.content) else Guarantee.BEST_EFFORT)


def judged(store: Store, race: Race, outcome: Outcome, answer: Mapping[str, Any], found: list[str]) -> str:
    """Who was first, in words. Raises AssertionError where a policy did not hold."""
    check_told(store, race, outcome, found)
    versioning = store.abilities.versioning
    moved = outcome.verdict is Verdict.COMPLETE
    top = found[0] if found else "nothing"
    if race.policy is ConflictPolicy.OVERWRITE_EXISTING:
        assert moved
        if versioning is Versioning.ENABLED:
            assert "ours" in found
        if race.act == "create" and able_of(store, SMALL) and versioning is Versioning.NEVER:
            assert top == "ours"
            return "ours first" if not answer["won"] else "theirs first"
        return "theirs first" if top == "ours" else "ours first"
    if race.act == "delete":
        return judged_deleted(race, found, versioning, moved=moved, top=top)
    if versioning is Versioning.ENABLED:
        if moved:
            beneath = found[found.index("ours") + 1 :]
            assert "theirs" not in beneath, f"ours lies on a foreign one: {found}"
            return "ours first"
        assert found == ["theirs"]
        return "theirs first"
    assert len(found) == 1
    if not moved:
        assert top == "theirs"
        return "theirs first"
    if not able_of(store, race.content) and top == "ours" and answer["won"]:
        return "theirs replaced, told as best effort"
    if race.act == "create" and store.abilities.create_only_put:
        assert (top, answer["won"]) == ("ours", False), "both were told that they made it"
    else:
        assert top == "theirs", "a foreign object was replaced"
    return "ours first"


def judged_deleted(race: Race, found: list[str], versioning: Versioning, *, moved: bool, top: str) -> str:
    """Somebody deletes the key: what was there before, or nothing."""
    if not race.seeded:
        assert moved
        return "ours first" if top != "ours" else "theirs first"
    if not moved:
        assert "ours" not in found
        return "ours first"
    if versioning is Versioning.ENABLED:
        assert found == ["ours", "marker", "old"], found
    else:
        assert top == "ours", found
    return "theirs first"


@pytest.fixture(scope="module")
def addresses(emulator: EmulatorServer) -> Mapping[str, Address]:
    """Three buckets of the emulator."""
    return {name: address_of(emulator, versioning) for name, versioning in VERSIONINGS.items()}


@pytest.fixture(scope="module")
def rival(addresses: Mapping[str, Address]) -> Iterator[Rival]:
    """The other client."""
    with Rival("tests.faults.races.objectrival", {"buckets": addresses}) as made:
        yield made


@pytest.fixture
def arena(tmp_path: Path, addresses: Mapping[str, Address], rival: Rival, chance: random.Random) -> Iterator[Arena]:
    """Two that write to the same buckets."""
    with ExitStack() as stack:
        gate = stack.enter_context(closing(open_gate(tmp_path)))
        gate.clock = later
        yield stack.enter_context(closing(Arena(gate, addresses, rival, chance)))


OVERWRITE, SKIP, LATEST = ConflictPolicy.OVERWRITE_EXISTING, ConflictPolicy.SKIP_THE_FILE, ConflictPolicy.KEEP_LATEST
ALL = [(policy, bucket, content) for policy in ConflictPolicy for bucket in VERSIONINGS for content in (SMALL, LARGE)]
"""What `make races` runs; a few of them take a moment."""


def kinds(*few: tuple[ConflictPolicy, str, bytes]) -> pytest.MarkDecorator:
    """Policy, bucket and contents: all there are in `make races`, else these."""
    names = {SMALL: "small", LARGE: "large"}
    chosen = ALL if RACES else few
    ids = [f"{policy}-{bucket}-{names[content]}" for policy, bucket, content in chosen]
    return pytest.mark.parametrize(("policy", "bucket", "content"), chosen, ids=ids)


@kinds(
    (SKIP, "plain", SMALL), (SKIP, "plain", LARGE), (SKIP, "versioned", SMALL), (SKIP, "versioned", LARGE),
    (SKIP, "suspended", SMALL), (LATEST, "versioned", SMALL), (OVERWRITE, "plain", LARGE),
)  # fmt: skip
def test_against_another_client(
    arena: Arena, policy: ConflictPolicy, bucket: str, content: bytes, score: Score
) -> None:
    for _ in score.rounds(FEW, share=SHARES):
        act = arena.chance.choice(["put", "put", "create", "delete"])
        race = Race(policy=policy, content=content, act=act, seeded=act == "delete" and arena.chance.random() < 0.5)
        outcome, answer, found = arena.run(bucket, race)
        assert "error" not in answer, answer
        score.count(f"{act}, {judged(arena.stores[bucket], race, outcome, answer, found)}")
    score.require("put, ours first", *(["put, theirs first"] if bucket != "suspended" else []))


def judged_between(store: Store, race: Race, outcome: Outcome, answer: Mapping[str, Any], found: list[str]) -> str:
    """As `judged`, where the other one is an export too, of another sub-task."""
    check_told(store, race, outcome, found)
    moved, moved_too = outcome.verdict is Verdict.COMPLETE, answer["verdict"] == Verdict.COMPLETE
    assert moved or moved_too, (outcome, answer)
    assert answer["verdict"] in {Verdict.COMPLETE, Verdict.SKIPPED}, answer
    versioning, able = store.abilities.versioning, able_of(store, race.content)
    top = found[0]
    if race.policy is ConflictPolicy.OVERWRITE_EXISTING:
        assert moved
        assert moved_too
        if versioning is Versioning.ENABLED:
            assert sorted(found[:2]) == ["ours", "theirs"]
        return "theirs first" if top == "ours" else "ours first"
    if race.policy is ConflictPolicy.KEEP_LATEST:
        newest = "ours" if race.ours_newer else "theirs"
        if versioning is Versioning.ENABLED or (able and not race.seeded):
            assert top == newest, f"{found}, and {newest} is newer"
        elif top != newest:
            return "the older one stayed, told as best effort"
        return f"{newest} stayed"
    if not able and versioning is not Versioning.ENABLED and moved and moved_too:
        return "one replaced the other, told as best effort"
    assert moved != moved_too, "both were told that they made it"
    assert found == (["ours"] if moved else ["theirs"])
    return "ours first" if moved else "theirs first"


@kinds(
    (SKIP, "plain", SMALL), (SKIP, "versioned", LARGE), (LATEST, "plain", LARGE), (LATEST, "versioned", SMALL),
    (OVERWRITE, "versioned", SMALL),
)  # fmt: skip
def test_against_another_export(
    arena: Arena, policy: ConflictPolicy, bucket: str, content: bytes, score: Score
) -> None:
    for number in score.rounds(FEW, share=SHARES):
        race = Race(
            policy=policy,
            content=content,
            act="export",
            seeded=policy is not ConflictPolicy.SKIP_THE_FILE and number % 3 == 0,
            ours_newer=arena.chance.random() < 0.5,
        )
        outcome, answer, found = arena.run(bucket, race)
        score.count(judged_between(arena.stores[bucket], race, outcome, answer, found))
    if (policy, bucket) != (SKIP, "suspended"):  # there one replaces the other, whoever is first
        assert len(score.counts) > 1, f"always the same one was first: {score}"
