"""Does a short soak hold, and would it tell if something were lost, torn, left behind, untrue, touched or growing?"""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import fastcrc
import pytest

from tests.soak.__main__ import soak
from tests.soak.errands import KIB, Block, Errand, Fate, Slice, Wrong, chosen, judge
from tests.soak.gauges import SAMPLES_MIN, Sample, trend
from tests.soak.verdict import BEGIN, END, Verdict, put_into

SEED = int(os.environ.get("PENSTOCK_SOAK_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
BLOCK = Block(1)
FIRST, SECOND, EARLIER = (Slice(offset=n * KIB, size_bytes=KIB) for n in range(3))


@pytest.mark.timeout(300)
def test_a_short_soak_holds(tmp_path: Path) -> None:
    print(f"PENSTOCK_SOAK_SEED={SEED}")
    verdict = soak(tmp_path, SEED, 4.0, say=print, wave_files=(10, 40))
    assert verdict.is_good, str(verdict)
    assert verdict.endings["COMPLETE"] > 50


def errand(fate: Fate, *, has_earlier: bool = False) -> Errand:
    return Errand(
        name="a",
        fate=fate,
        first=FIRST,
        second=SECOND if fate is Fate.RESTLESS else None,
        earlier=EARLIER if has_earlier else None,
        cancel_after_s=0.0,
    )


def item(status: str, reason: str = "", content: bytes | None = None) -> dict[str, Any]:
    checksum = {} if content is None else {"FileDetail": {"Checksum": f"crc64:{fastcrc.crc64.xz(content)}"}}
    return {"Status": status, "ErrorMsg": reason, "Progress": 10_000 if status == "COMPLETE" else 5, **checksum}


MOVED, ANOTHER, OLD = (BLOCK.cut(piece) for piece in (FIRST, SECOND, EARLIER))
HALF = MOVED[:512] + ANOTHER[512:]


@pytest.mark.parametrize(
    ("given", "said", "found", "skips", "wrong"),
    [
        (errand(Fate.PLAIN), item("COMPLETE", content=MOVED), MOVED, False, None),
        (errand(Fate.PLAIN), item("COMPLETE", content=MOVED), None, False, Wrong.LOST),
        (errand(Fate.PLAIN), item("COMPLETE", content=MOVED), HALF, False, Wrong.TORN),
        (errand(Fate.PLAIN), item("COMPLETE", content=ANOTHER), MOVED, False, Wrong.UNTRUE),
        (errand(Fate.PLAIN), item("FAILED", "StoreUnavailable: gone"), None, False, Wrong.UNTRUE),
        (errand(Fate.PLAIN), item("CANCELED"), None, False, Wrong.UNTRUE),
        (errand(Fate.KEPT, has_earlier=True), item("COMPLETE"), OLD, True, None),
        (errand(Fate.KEPT, has_earlier=True), item("COMPLETE"), MOVED, True, Wrong.TORN),
        (errand(Fate.KEPT, has_earlier=True), item("COMPLETE", content=MOVED), MOVED, False, None),
        (errand(Fate.KEPT, has_earlier=True), item("COMPLETE"), OLD, False, Wrong.TORN),
        (errand(Fate.MISSING), item("FAILED", "SourceNotFound: it is not there"), None, False, None),
        (errand(Fate.MISSING), item("FAILED", "Internal: a bug"), None, False, Wrong.UNTRUE),
        (errand(Fate.MISSING), item("COMPLETE"), MOVED, False, Wrong.UNTRUE),
        (errand(Fate.REFUSED, has_earlier=True), item("FAILED", "ConditionNotMet: size"), OLD, False, None),
        (errand(Fate.REFUSED, has_earlier=True), item("FAILED", "ConditionNotMet: size"), None, False, Wrong.UNTRUE),
        (errand(Fate.RESTLESS), item("COMPLETE", content=ANOTHER), ANOTHER, False, None),
        (errand(Fate.RESTLESS), item("COMPLETE"), HALF, False, Wrong.TORN),
        (errand(Fate.RESTLESS), item("FAILED", "SourceChanged: it did not rest"), None, False, None),
        (errand(Fate.CANCELED), item("CANCELED"), None, False, None),
        (errand(Fate.CANCELED), item("CANCELED"), MOVED, False, Wrong.UNTRUE),
        (errand(Fate.CANCELED), item("COMPLETE", content=MOVED), MOVED, False, None),
    ],
)
def test_an_ending_is_judged(
    given: Errand, said: dict[str, Any], found: bytes | None, skips: bool, wrong: Wrong | None
) -> None:
    finding = judge(BLOCK, given, said, found, skips=skips)
    assert (finding and finding.wrong) == wrong, finding


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
        findings=[], trends=[],
    )  # fmt: skip
    page = put_into(f"before\n{BEGIN}\nold\n{END}\nafter\n", empty)
    assert page.startswith("before\n")
    assert page.endswith("after\n")
    assert "old" not in page
    assert "| **torn** | **0** |" in page
    with pytest.raises(ValueError, match="soak begin"):
        put_into("nothing", empty)
