"""Imports whose path leads to another directory than when they were begun: nothing is left in either, or it is said where.

A link on the way is turned, or the directory is moved aside and another one made in its place, while no mover holds it.
"""

from __future__ import annotations

import os
import random
import threading

import pytest

from penstock.transfer import names
from tests.faults.cancel.conftest import Opener
from tests.faults.cancel.stand import PART_BYTES, File, Tide
from tests.faults.cancel.test_moved_away import MANY, PATIENCE_S, held
from tests.fixtures.chaosfaults import ANY, reset_unheard
from tests.fixtures.chaosproxy import Fault, Rule
from tests.fixtures.waiting import wait_until

CONTENT = random.Random(1).randbytes(9 * PART_BYTES)
MOVERS = {"outage": 2, "killed": 1}
"""Who was killed is followed by others anyway; after an outage it may be another one, too."""


@pytest.mark.parametrize("then", ["canceled", "complete"])
@pytest.mark.parametrize("ends", ["outage", "killed"])
def test_what_was_begun_behind_a_link_that_is_turned_is_removed(open_tide: Opener, ends: str, then: str) -> None:
    """The link's directory of then is at its own path still."""
    tide = open_tide(movers=MOVERS[ends])
    linked(tide)
    file = begun(tide, ends=ends)
    turn(tide, "run42")
    end(tide, file, then=then, was=ends)
    wait_until(lambda: not tide.helpers(), PATIENCE_S, f"{tide.helpers()} left")
    assert not (tide.root / "run41" / "large").exists()
    assert "may be left" not in said(tide, file)


@pytest.mark.parametrize("back", ["at once", "after a restart"])
@pytest.mark.parametrize("then", ["canceled", "complete"])
@pytest.mark.parametrize("ends", ["outage", "killed"])
def test_what_was_begun_in_a_directory_that_is_exchanged_is_named_and_removed_when_it_is_back(
    open_tide: Opener, ends: str, then: str, back: str
) -> None:
    """Nobody finds it where it was moved to; in its place is another one."""
    tide = open_tide(movers=MOVERS[ends])
    file = begun(tide, ends=ends)
    helpers = left(file)
    assert tide.helpers() == helpers
    (tide.root / "in").rename(tide.root / "aside")
    (tide.root / "in").mkdir()
    end(tide, file, then=then, was=ends)
    lies = os.listdir(tide.root / "aside")
    if (
        lies or ends == "killed"
    ):  # after an outage one more attempt may have been under way: it notices, and removes them
        assert sorted(lies) == helpers
        assert [name for name in helpers if name not in said(tide, file)] == [], said(tide, file)
        assert "/in" in said(tide, file)
    if back == "after a restart":
        tide.service.stop()
    (tide.root / "in").rename(tide.root / "newer")
    (tide.root / "aside").rename(tide.root / "in")
    if back == "after a restart":
        tide.start()
    wait_until(lambda: not tide.helpers(), PATIENCE_S, f"{tide.helpers()} left")
    if then == "complete":
        assert (tide.root / "newer" / "large").read_bytes() == CONTENT


def linked(tide: Tide) -> None:
    """`in` is a link to run41, beside run42."""
    (tide.root / "in").rmdir()
    for name in ("run41", "run42"):
        (tide.root / name).mkdir()
    (tide.root / "in").symlink_to("run41")


def turn(tide: Tide, target: str) -> None:
    """The link leads there now; there is no moment without it."""
    (tide.root / "turned").symlink_to(target)
    (tide.root / "turned").rename(tide.root / "in")


def begun(tide: Tide, *, ends: str) -> File:
    """A large import that is begun, and held by no mover: it waits for its store, or was killed with the service."""
    file = File(name="in/large", is_import=True, content=CONTENT, has_old=False)
    tide.lay([file])
    if ends == "outage":
        silent = Fault(name="silent", act=reset_unheard, kinds=ANY)
        tide.proxy.script(Rule(kind="range", fault=silent, nth=4, times=MANY))
        tide.submit([file])
        wait_until(lambda: "StoreUnavailable" in tide.status(file)["ErrorMsg"], PATIENCE_S, "it does not wait")
    else:
        goes_on = threading.Event()
        tide.proxy.script(held("range", goes_on, nth=3))
        tide.submit([file])
        wait_until(
            lambda: tide.proxy.asked("range", file.name) >= 3 and tide.helpers(), PATIENCE_S, "it does not begin"
        )
        tide.service.kill()
        goes_on.set()
    assert tide.helpers() == left(file)
    return file


def end(tide: Tide, file: File, *, then: str, was: str) -> None:
    """It is canceled, or goes on, until that is over."""
    goes_on = threading.Event()
    if then == "canceled" and was == "killed":
        tide.proxy.script(held("head", goes_on), held("range", goes_on))
    else:
        tide.proxy.script()
    if was == "killed":
        tide.start()
    if then == "canceled":
        tide.cancel(file)
    goes_on.set()
    wait_until(lambda: tide.status(file)["Status"] == then.upper(), PATIENCE_S, f"{tide.status(file)}")
    if then == "complete":
        assert (tide.root / "in" / "large").read_bytes() == CONTENT


def left(file: File) -> list[str]:
    """The names of its helper files."""
    return sorted(name(file.sub_task_id).decode() for name in (names.partial_name, names.journal_name))


def said(tide: Tide, file: File) -> str:
    """Whatever is told of it."""
    return str(tide.status(file))
