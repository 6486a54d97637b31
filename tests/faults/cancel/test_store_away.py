"""Cancels whose store does not answer, refuses, or takes its time: CANCELING with a reason until CANCELED is true."""

from __future__ import annotations

import random
from functools import partial

from tests.faults.cancel.conftest import Opener
from tests.faults.cancel.stand import PART_BYTES, File, Tide
from tests.fixtures.chaosfaults import ANY, FAULTS, late
from tests.fixtures.chaosproxy import Fault, Rule
from tests.fixtures.waiting import wait_until

HEARD_S = 2.0
SLACK_S = 6.0  # of a busy machine; who waits for the store waits until it is back, which is afterwards
PATIENCE_S = 40.0
KINDS = ("head", "put", "put_part", "initiate", "abort", "list_parts", "list_uploads", "get", "range")
MANY = 1 << 30


def four(dice: random.Random, phase: str) -> list[File]:
    """A large and a small file each way, whose targets are there already."""
    return [
        File(
            name=f"{'in' if is_import else 'out'}/{size} {phase}",
            is_import=is_import,
            content=dice.randbytes(40_000 if size == "small" else 8 * PART_BYTES + 5),
            has_old=True,
        )
        for is_import in (True, False)
        for size in ("small", "large")
    ]


def canceled(tide: Tide, files: list[File]) -> dict[str, str]:
    """Cancel them all; what each says soon after, which is true of what is there."""
    for file in files:
        assert tide.cancel(file)

    def told() -> dict[str, str]:
        said = {file.name: tide.status(file) for file in files}
        is_told = all(item["Status"] != "CANCELING" or item["ErrorMsg"] for item in said.values())
        return {name: item["Status"] for name, item in said.items()} if is_told else {}

    said = wait_until(told, HEARD_S + SLACK_S, "it says neither that it is done nor why not")
    for file in files:
        if said[file.name] != "CANCELING":
            tide.judge(file, said[file.name])
    return said


def test_they_are_canceling_with_a_reason_until_it_is_true(open_tide: Opener) -> None:
    tide = open_tide()
    for fault in ("silence", "500"):
        check_away(tide, fault)
    check_late(tide)


def check_away(tide: Tide, fault: str) -> None:
    """The store answers nothing, or refuses all, until it is back. Imports have nothing there, and are done at once."""
    files = four(random.Random(1), fault)
    tide.lay(files)
    slow = Fault(name="slow", act=partial(late, before_s=0.0, after_s=0.3), kinds=ANY)
    tide.proxy.script(*(Rule(kind=kind, fault=slow, times=MANY) for kind in KINDS))
    tide.submit(files)
    large = f"out/large {fault}"
    wait_until(lambda: tide.proxy.asked("put_part", large) >= 2, PATIENCE_S, "no part was sent")
    tide.proxy.script(*(Rule(kind=kind, fault=FAULTS[fault], times=MANY) for kind in (*KINDS, "complete")))
    going = [file for file in files if tide.status(file)["Status"] == "RUNNING"]
    said = canceled(tide, going)
    assert said[f"in/large {fault}"] == "CANCELED"
    assert said[large] == "CANCELING"
    tide.proxy.script()
    wait_until(lambda: not tide.items(Status="CANCELING"), PATIENCE_S, "they are not done though the store is back")
    for file in going:
        tide.judge(file, tide.status(file)["Status"])
    wait_until(lambda: not tide.helpers(), PATIENCE_S, "helpers are left")
    assert tide.uploads() == []


def check_late(tide: Tide) -> None:
    """The store has all of a file and takes three seconds: while it may still do it, that nothing is there is no proof."""
    file = File(name="out/late", is_import=False, content=b"late" * 1000, has_old=True)
    tide.lay([file])
    slow = Fault(name="slow", act=partial(late, before_s=3.0, after_s=0.0), kinds=ANY)
    tide.proxy.script(Rule(kind="put", fault=slow))
    tide.submit([file])
    wait_until(lambda: tide.proxy.asked("put", file.name), PATIENCE_S, "it was not sent")
    assert canceled(tide, [file]) == {file.name: "CANCELING"}
    wait_until(lambda: tide.status(file)["Status"] != "CANCELING", PATIENCE_S, "it has no end")
    item = tide.status(file)
    assert (item["Status"], item["ErrorMsg"]) == ("COMPLETE", "")
    tide.judge(file, "COMPLETE")
