"""Cancels of imports whose directory is moved away: nobody waits for it, and once it is back nothing of ours is in it."""

from __future__ import annotations

import random

import pytest

from tests.faults.cancel.conftest import Opener
from tests.faults.cancel.stand import PART_BYTES, File
from tests.fixtures.chaosfaults import ANY
from tests.fixtures.chaosproxy import Fault, Rule, Talk
from tests.fixtures.waiting import wait_until

PATIENCE_S = 40.0
MANY = 1 << 30


@pytest.mark.parametrize("ends", ["killed", "stopped"])
def test_what_was_begun_is_removed_when_the_directory_is_back(open_tide: Opener, ends: str) -> None:
    """The service ends in the middle of an import, by SIGKILL (nobody told the catalog of the partial file) or in all order."""
    tide = open_tide()
    content = random.Random(1).randbytes(9 * PART_BYTES)
    file = File(name="in/large", is_import=True, content=content, has_old=False)
    tide.lay([file])
    goes_on: list[bool] = []

    def hold(talk: Talk) -> None:
        if not goes_on:
            wait_until(lambda: bool(goes_on), PATIENCE_S, "nobody lets it go on")
        talk.say(talk.forward())

    tide.proxy.script(Rule(kind="range", fault=Fault(name="held", act=hold, kinds=ANY), nth=3, times=MANY))
    tide.submit([file])
    wait_until(lambda: tide.proxy.asked("range", file.name) >= 3 and tide.helpers(), PATIENCE_S, "it does not begin")
    if ends == "killed":
        tide.service.kill()
    else:
        tide.service.stop()
    helpers = sorted(tide.left_of(file))
    assert len(helpers) == 2
    (tide.root / "in").rename(tide.root / "aside")
    tide.proxy.script(Rule(kind="head", fault=Fault(name="held", act=hold, kinds=ANY), times=MANY))
    tide.start()
    assert tide.cancel(file)
    goes_on.append(True)
    wait_until(lambda: tide.status(file)["Status"] == "CANCELED", PATIENCE_S, "it is waited for what is gone")
    assert tide.helpers() == helpers
    (tide.root / "aside").rename(tide.root / "in")
    wait_until(lambda: not tide.helpers(), PATIENCE_S, "nobody has looked again")
    assert tide.status(file)["Status"] == "CANCELED"
