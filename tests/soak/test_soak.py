"""Does a short soak hold, and would it tell if something were lost, torn, left behind, untrue, touched or growing?"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import fastcrc
import pytest

from penstock.model import ConflictPolicy
from tests.fixtures.chance import seed_of
from tests.fixtures.mounts import cannot
from tests.soak.__main__ import soak
from tests.soak.errands import (
    KIB,
    MODIFIED_NS,
    Block,
    Errand,
    Fate,
    Found,
    Past,
    Slice,
    Unrest,
    Wrong,
    chosen,
    judge,
)
from tests.soak.gauges import SAMPLES_MIN, Sample, trend
from tests.soak.restless import RestlessFile
from tests.soak.verdict import BEGIN, END, Verdict, put_into

SEED = seed_of("SOAK")
BLOCK = Block(1)
FIRST, SECOND, EARLIER = (Slice(offset=n * KIB, size_bytes=KIB) for n in range(3))


@pytest.mark.seeded
@pytest.mark.timeout(600)
def test_a_short_soak_holds(tmp_path: Path) -> None:
    print(f"PENSTOCK_SOAK_SEED={SEED}")
    verdict = soak(tmp_path, SEED, 4.0, say=print, wave_files=(10, 40), flows=("rough", "loose"))
    assert verdict.is_good, str(verdict)
    assert verdict.endings["COMPLETE"] > 50
    if verdict.no_disks:
        cannot(verdict.no_disks)  # all else held
    assert verdict.troubles, "not even a disk was troubled"


def errand(fate: Fate, *, has_earlier: bool = False, age_ns: int = 0, unrest: Unrest = Unrest.REPLACED) -> Errand:
    return Errand(
        name="a",
        fate=fate,
        first=FIRST,
        unrest=unrest if fate is Fate.RESTLESS else None,
        earlier=EARLIER if has_earlier else None,
        earlier_age_ns=age_ns,
        cancel_after_s=0.0,
    )


def item(status: str, reason: str = "", content: bytes | None = None) -> dict[str, Any]:
    checksum = {} if content is None else {"FileDetail": {"Checksum": f"crc64:{fastcrc.crc64.xz(content)}"}}
    return {"Status": status, "ErrorMsg": reason, "Progress": 10_000 if status == "COMPLETE" else 5, **checksum}


def found(content: bytes, modify_ns: int = MODIFIED_NS) -> Found:
    return Found(content=content, modify_ns=modify_ns)


MOVED, ANOTHER, OLD = (BLOCK.cut(piece) for piece in (FIRST, SECOND, EARLIER))
HALF = MOVED[:512] + ANOTHER[512:]
DENIED = replace(errand(Fate.DENIED), earlier=FIRST)
KEPT, RESTLESS = errand(Fate.KEPT, has_earlier=True), errand(Fate.RESTLESS)
OVERWRITE, SKIP, LATEST = (
    ConflictPolicy.OVERWRITE_EXISTING,
    ConflictPolicy.SKIP_THE_FILE,
    ConflictPolicy.KEEP_LATEST,
)


def past(*, was_gone: bool = False) -> Past:
    """That of a source which was MOVED and became ANOTHER."""
    made = Past(MOVED)
    made.will_be(ANOTHER)
    made.was_gone = was_gone
    return made


@pytest.mark.parametrize(
    ("given", "said", "there", "policy", "wrong"),
    [
        (errand(Fate.PLAIN), item("COMPLETE", content=MOVED), found(MOVED), OVERWRITE, None),
        (errand(Fate.PLAIN), item("COMPLETE", content=MOVED), None, OVERWRITE, Wrong.LOST),
        (errand(Fate.PLAIN), item("COMPLETE", content=MOVED), found(HALF), OVERWRITE, Wrong.TORN),
        (errand(Fate.PLAIN), item("COMPLETE", content=ANOTHER), found(MOVED), OVERWRITE, Wrong.UNTRUE),
        (errand(Fate.PLAIN), item("COMPLETE", content=MOVED), found(MOVED, 1), OVERWRITE, Wrong.UNTRUE),
        (errand(Fate.PLAIN), item("FAILED", "StoreUnavailable: gone"), None, OVERWRITE, Wrong.UNTRUE),
        (errand(Fate.PLAIN), item("CANCELED"), None, OVERWRITE, Wrong.UNTRUE),
        (KEPT, item("COMPLETE"), found(OLD), SKIP, None),
        (KEPT, item("COMPLETE"), found(OLD, 1), SKIP, Wrong.UNTRUE),
        (KEPT, item("COMPLETE"), found(MOVED), SKIP, Wrong.TORN),
        (KEPT, item("COMPLETE", content=MOVED), found(MOVED), OVERWRITE, None),
        (KEPT, item("COMPLETE"), found(OLD), OVERWRITE, Wrong.TORN),
        (KEPT, item("COMPLETE"), found(OLD), LATEST, None),
        (KEPT, item("COMPLETE"), found(MOVED), LATEST, Wrong.TORN),
        (errand(Fate.KEPT, has_earlier=True, age_ns=1), item("COMPLETE"), found(OLD, MODIFIED_NS + 1), LATEST, None),
        (errand(Fate.KEPT, has_earlier=True, age_ns=-1), item("COMPLETE"), found(MOVED), LATEST, None),
        (
            errand(Fate.KEPT, has_earlier=True, age_ns=-1),
            item("COMPLETE"),
            found(OLD, MODIFIED_NS - 1),
            LATEST,
            Wrong.TORN,
        ),
        (errand(Fate.MISSING), item("FAILED", "SourceNotFound: it is not there"), None, OVERWRITE, None),
        (errand(Fate.MISSING), item("FAILED", "Internal: a bug"), None, OVERWRITE, Wrong.UNTRUE),
        (errand(Fate.MISSING), item("COMPLETE"), found(MOVED), OVERWRITE, Wrong.UNTRUE),
        (errand(Fate.REFUSED, has_earlier=True), item("FAILED", "ConditionNotMet: size"), found(OLD), OVERWRITE, None),
        (errand(Fate.REFUSED, has_earlier=True), item("FAILED", "ConditionNotMet: size"), None, LATEST, Wrong.UNTRUE),
        (errand(Fate.REFUSED, has_earlier=True), item("COMPLETE"), found(OLD), SKIP, Wrong.UNTRUE),
        (DENIED, item("FAILED", "ConditionNotMet: size"), found(MOVED), OVERWRITE, None),
        (DENIED, item("FAILED", "ConditionNotMet: size"), None, OVERWRITE, Wrong.UNTRUE),
        (DENIED, item("COMPLETE", content=MOVED), found(MOVED), OVERWRITE, Wrong.UNTRUE),
        (DENIED, item("COMPLETE", content=MOVED), found(MOVED), SKIP, Wrong.UNTRUE),
        (RESTLESS, item("COMPLETE", content=ANOTHER), found(ANOTHER, 5), OVERWRITE, None),
        (RESTLESS, item("COMPLETE"), found(HALF), OVERWRITE, Wrong.TORN),
        (RESTLESS, item("FAILED", "SourceChanged: it did not rest"), None, OVERWRITE, None),
        (RESTLESS, item("FAILED", "SourceNotFound: it is not there"), None, OVERWRITE, Wrong.UNTRUE),
        (errand(Fate.CANCELED), item("CANCELED"), None, OVERWRITE, None),
        (errand(Fate.CANCELED), item("CANCELED"), found(MOVED), OVERWRITE, Wrong.UNTRUE),
        (errand(Fate.CANCELED), item("COMPLETE", content=MOVED), found(MOVED), OVERWRITE, None),
    ],
)
def test_an_ending_is_judged(
    given: Errand, said: dict[str, Any], there: Found | None, policy: ConflictPolicy, wrong: Wrong | None
) -> None:
    own = past() if given is RESTLESS else Past(MOVED)
    finding = judge(BLOCK, given, said, there, policy=policy, past=own)
    assert (finding and finding.wrong) == wrong, finding


def test_a_source_that_was_gone_may_not_have_been_found() -> None:
    ending = item("FAILED", "SourceNotFound: it is not there")
    assert judge(BLOCK, RESTLESS, ending, None, policy=OVERWRITE, past=past(was_gone=True)) is None


@pytest.mark.parametrize("unrest", Unrest)
def test_what_a_restless_file_ever_was_is_known_and_a_mixture_of_it_is_not(tmp_path: Path, unrest: Unrest) -> None:
    path, own = tmp_path / "a", Past(MOVED)
    path.write_bytes(MOVED)
    file = RestlessFile(
        BLOCK, errand(Fate.RESTLESS, unrest=unrest), own, path, lambda where, content: where.write_bytes(content)
    )
    states = [MOVED]
    for number in range(1, 6):
        states += [path.read_bytes() for _ in file.changes(number)]
        states += [path.read_bytes()] if path.exists() and path.read_bytes() != states[-1] else []
    assert all(own.held(state) for state in states)
    assert len(set(states)) == len(states) > 2
    assert own.was_gone == (unrest is Unrest.REMOVED)
    # What a reader gets who is overtaken: its beginning is of one moment, its end of a later one.
    for before, after in pairwise(states):
        torn = before[:500] + after[500:]
        assert torn in {before, after} or not own.held(torn)


def test_every_fate_is_chosen_sometimes() -> None:
    dice = random.Random(5)
    counts = Counter(chosen(BLOCK, dice, f"{number}").fate for number in range(2000))
    assert set(counts) == set(Fate)


@pytest.mark.parametrize(
    ("pss_step_bytes", "descriptors_step", "is_grown"), [(0, 0.0, False), (1 << 20, 0.0, True), (0, 1.0, True)]
)
def test_growth_is_told(pss_step_bytes: int, descriptors_step: float, is_grown: bool) -> None:
    samples = [
        Sample(
            at_s=float(number),
            kind="mover",
            process_id=1,
            pss_bytes=(30 << 20) + number * pss_step_bytes,
            descriptors=40 + int(number * descriptors_step),
        )
        for number in range(SAMPLES_MIN * 2)
    ]
    assert (trend("mover", samples).finding is not None) == is_grown
    assert trend("mover", samples[:10]).finding is None, "too few to tell"


def test_a_verdict_is_put_between_its_marks() -> None:
    empty = Verdict(
        seed=1, minutes=1.0, endings=Counter(COMPLETE=3), moved_bytes=5, waves=1, troubles=Counter(), lies=0, lives=1,
        findings=[], trends=[], kinds=Counter(), no_disks="no rights",
    )  # fmt: skip
    page = put_into(f"before\n{BEGIN}\nold\n{END}\nafter\n", empty)
    assert page.startswith("before\n")
    assert page.endswith("after\n")
    assert "old" not in page
    assert "| **torn** | **0** |" in page
    assert "| disks | NOT TRIED" in page
    with pytest.raises(ValueError, match="soak begin"):
        put_into("nothing", empty)
