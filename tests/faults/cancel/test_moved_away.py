"""Cancels of imports whose directory is moved away: nobody waits for it, and once it is back nothing of ours is in it."""

from __future__ import annotations

import random
import re
import threading

import pytest

from tests.faults.cancel.conftest import Opener
from tests.faults.cancel.stand import PART_BYTES, File, Tide
from tests.fixtures.chaosfaults import ANY
from tests.fixtures.chaosproxy import Fault, Rule, Talk
from tests.fixtures.waiting import wait_until

PATIENCE_S = 40.0
MANY = 1 << 30


@pytest.mark.parametrize("ends", ["killed", "stopped"])
def test_what_was_begun_is_removed_when_the_directory_is_back(open_tide: Opener, ends: str) -> None:
    """The service ends in the middle of an import, by SIGKILL (nobody told the catalog of the partial file) or in all order."""
    tide = open_tide(movers=1)
    file, goes_on = begun(tide, ends=ends)
    helpers = sorted(tide.left_of(file))
    assert len(helpers) == 2
    (tide.root / "in").rename(tide.root / "aside")
    tide.proxy.script(held("head", goes_on))
    tide.start()
    assert tide.cancel(file)
    goes_on.set()
    wait_until(lambda: tide.status(file)["Status"] == "CANCELED", PATIENCE_S, "it is waited for what is gone")
    assert tide.helpers() == helpers
    (tide.root / "aside").rename(tide.root / "in")
    wait_until(lambda: not tide.helpers(), PATIENCE_S, "nobody has looked again")
    assert tide.status(file)["Status"] == "CANCELED"


def test_a_cancel_that_is_barred_ends_in_time_and_says_what_is_left(open_tide: Opener) -> None:
    tide = open_tide(movers=1)
    file, goes_on = begun(tide, ends="killed")
    goes_on.set()
    helpers = sorted(tide.left_of(file))
    (tide.root / "in").rename(tide.root / "aside")
    (tide.root / "in").write_bytes(b"somebody's")
    settings = tide.home / "penstock.toml"
    text, count = re.subn(r"(?m)^attempts_deadline_h = .*$", "attempts_deadline_h = 0.001", settings.read_text())
    assert count == 1
    settings.write_text(text)
    tide.start()
    assert tide.cancel(file)
    wait_until(lambda: tide.status(file)["Status"] != "CANCELING", PATIENCE_S, "it is withdrawn for ever")
    seen = tide.status(file)
    assert seen["Status"] == "FAILED"
    assert seen["ErrorMsg"].startswith("DeadlineExceeded: ")
    assert all(name in seen["ErrorMsg"] for name in [*helpers, "/in/large"]), seen["ErrorMsg"]
    assert tide.helpers() == helpers
    assert (tide.root / "in").read_bytes() == b"somebody's"


def begun(tide: Tide, *, ends: str) -> tuple[File, threading.Event]:
    """A large import that was begun when the service ended; its bytes come when the event is set."""
    goes_on = threading.Event()
    content = random.Random(1).randbytes(9 * PART_BYTES)
    file = File(name="in/large", is_import=True, content=content, has_old=False)
    tide.lay([file])
    tide.proxy.script(held("range", goes_on, nth=3))
    tide.submit([file])
    wait_until(lambda: tide.proxy.asked("range", file.name) >= 3 and tide.helpers(), PATIENCE_S, "it does not begin")
    if ends == "killed":
        tide.service.kill()
    else:
        tide.service.stop()
    return file, goes_on


def held(kind: str, goes_on: threading.Event, *, nth: int = 1) -> Rule:
    """Requests of that kind are answered only then."""

    def hold(talk: Talk) -> None:
        goes_on.wait(PATIENCE_S)
        talk.say(talk.forward())

    return Rule(kind=kind, fault=Fault(name="held", act=hold, kinds=ANY), nth=nth, times=MANY)
