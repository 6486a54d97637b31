"""Exports and other clients that write to the same keys: one race at a time, and whether the conflict policy held in it."""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.failpoints import Point
from penstock.model import ConflictPolicy, Direction, Guarantee
from penstock.stores.base import Store, Versioning
from penstock.transfer.transfer import Outcome, Verdict
from tests.faults.races.buckets import Address, history, opened
from tests.faults.races.objectrival import THEIRS, theirs_of
from tests.faults.races.striking import Lead, Rival, spin, struck
from tests.faults.transfer.exports import LONG_AGO_NS, lane_of, later
from tests.faults.transfer.exports import SMALL as SMALL_CONTENT
from tests.fixtures.gate import Gate, open_gate, transfer
from tests.fixtures.objects import put_object

SMALL = SMALL_CONTENT
LARGE = random.Random(5).randbytes(250_000)
OLD = b"what was there before"
STEP_NS = 200_000  # some tenth of what a request takes
_numbers = itertools.count()
VERSIONINGS = {"plain": "", "versioned": "Enabled", "suspended": "Suspended"}
Moment = tuple[Point, int]
"""A failpoint, and how often it is to be passed until then."""
JUST_SENT: tuple[Moment, ...] = (("request.send", 1),)
LOOKED_AND_SENT: tuple[Moment, ...] = (("request.send", 1), ("request.send", 2))
IN_PARTS: tuple[Moment, ...] = (("upload.complete", 1), ("upload.complete", 1), ("upload.named", 1))


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
            put_object(store, key, OLD, modify_ns=LONG_AGO_NS - 10**10 if race.act == "export" else 0)
        point, passing = self.chance.choice(moments_of(store, race))
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
        with struck(point, strike, passing=passing) as was_passed:
            outcome = self.gate.move(what, store, lane=lane_of(race.content))
        done_ns = time.monotonic_ns()
        answer = self._rival.answer()
        known = {"ours": race.content, "theirs": THEIRS, "old": OLD}
        if race.act == "export":
            known["theirs"] = theirs_of(len(race.content))
        found = history(store, key, known)
        if was_passed.is_set():
            lead.won(ours=was_first(race, outcome, answer, found, sooner=done_ns < answer["done_ns"]))
        assert not [upload for upload in store.list_uploads(prefix=key) if upload.key == key], "an upload is left"
        return outcome, answer, found


def moments_of(store: Store, race: Race) -> tuple[Moment, ...]:
    """When somebody else may strike: before the look at the key where there is one, before what makes the object."""
    if race.content is not SMALL:
        return IN_PARTS
    needs_no_look = race.policy is ConflictPolicy.OVERWRITE_EXISTING or (
        race.policy is ConflictPolicy.SKIP_THE_FILE and able_of(store, SMALL)
    )
    return JUST_SENT if needs_no_look else LOOKED_AND_SENT


def was_first(race: Race, outcome: Outcome, answer: Mapping[str, Any], found: list[str], *, sooner: bool) -> bool:
    """Whether ours came first, as far as that can be seen: exports take the same steps, so there the clock can tell."""
    if race.act == "export":
        return sooner
    lies_on_top = found[:1] == ["ours"]
    if race.policy is ConflictPolicy.OVERWRITE_EXISTING or (race.act == "delete" and not race.seeded):
        return not lies_on_top
    if race.act == "delete":
        return outcome.verdict is Verdict.SKIPPED
    return outcome.verdict is Verdict.COMPLETE and not (lies_on_top and answer["won"])


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
    elif race.act == "delete" and store.abilities.versioning is Versioning.SUSPENDED:
        pass  # Ceph RGW takes a delete marker for an object: then the look right before has to do
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
            assert {outcome.guarantee, answer["guarantee"]} == {Guarantee.BEST_EFFORT}
            return "the older one stayed, told as best effort"
        return f"{newest} stayed"
    if not able and versioning is not Versioning.ENABLED and moved and moved_too:
        assert answer["guarantee"] == Guarantee.BEST_EFFORT
        return "one replaced the other, told as best effort"
    assert moved != moved_too, "both were told that they made it"
    assert found == (["ours"] if moved else ["theirs"])
    return "ours first" if moved else "theirs first"


@contextmanager
def open_arena(path: Path, addresses: Mapping[str, Address], rival: Rival, chance: random.Random) -> Iterator[Arena]:
    """Two that write to the same buckets; ours reads its files in `path`."""
    with ExitStack() as stack:
        gate = stack.enter_context(closing(open_gate(path)))
        gate.clock = later
        yield stack.enter_context(closing(Arena(gate, addresses, rival, chance)))


def raced_client(arena: Arena, bucket: str, policy: ConflictPolicy, content: bytes) -> str:
    """One race against another client that puts, creates or deletes; in words who was first."""
    act = arena.chance.choice(["put", "put", "create", "delete"])
    race = Race(policy=policy, content=content, act=act, seeded=act == "delete" and arena.chance.random() < 0.5)
    outcome, answer, found = arena.run(bucket, race)
    assert "error" not in answer, answer
    return f"{act}, {judged(arena.stores[bucket], race, outcome, answer, found)}"


def raced_export(arena: Arena, bucket: str, policy: ConflictPolicy, content: bytes) -> str:
    """One race against another export, in words likewise. What is there before is older than both."""
    race = Race(
        policy=policy,
        content=content,
        act="export",
        seeded=policy is not ConflictPolicy.SKIP_THE_FILE and arena.chance.random() < 1 / 3,
        ours_newer=arena.chance.random() < 1 / 2,
    )
    outcome, answer, found = arena.run(bucket, race)
    return judged_between(arena.stores[bucket], race, outcome, answer, found)
