"""Does a run of the kill matrix tell what went wrong, what was never tried, and file each verdict under what was asked for?"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from tests.faults.matrix import __main__ as matrix
from tests.faults.matrix import trial
from tests.faults.matrix.cases import Case, Way, case
from tests.faults.matrix.trial import NotPassedError, Verdict
from tests.faults.matrix.world import World

CASES = [case(Way.IMPORT_LARGE, "partial.write", passing) for passing in range(1, 7)]
DONE = Verdict(status="COMPLETE", again_bytes=0)


@dataclass
class Unreal:
    """Stands for a world in which nothing really happens."""

    passings: int = 9
    error: Exception | None = None
    died: list[Case] = field(default_factory=list)
    spoilt: threading.Event = field(default_factory=threading.Event)
    after: threading.Event | None = None

    @property
    def service(self) -> Unreal:
        return self

    def log_text(self) -> str:
        return ""

    def forget(self) -> None:
        return


class UnrealTrial:
    """Dies as its world says."""

    def __init__(self, world: World, way: Way) -> None:
        self._world = cast("Unreal", world)

    def run(self, case: Case) -> Verdict:
        if self._world.after:
            assert self._world.after.wait(20)
        if self._world.error:
            self._world.spoilt.set()
            raise self._world.error
        if case.passing > self._world.passings:
            raise NotPassedError("not so often")
        self._world.died.append(case)
        return DONE


@pytest.fixture(autouse=True)
def unreal_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "Trial", UnrealTrial)


def run_in(*worlds: Unreal) -> matrix.Run:
    run = matrix.Run([cast("World", world) for world in worlds])
    run.go(CASES)
    return run


@pytest.mark.parametrize("error", [AssertionError("torn"), OSError("no answer"), KeyError("FileDetail")], ids=repr)
def test_any_error_is_told_and_so_is_what_was_not_tried(error: Exception) -> None:
    run = run_in(Unreal(error=error))
    assert run.wrong == [str(CASES[0]), f"{len(CASES) - 1} deaths were not tried"]
    assert run.verdicts == {}


def test_the_world_that_is_left_tries_the_rest() -> None:
    spoilt = Unreal(error=OSError("no answer"))
    run = run_in(spoilt, Unreal(after=spoilt.spoilt))
    assert len(run.wrong) == 1
    assert {*run.wrong, *map(str, run.verdicts)} == set(map(str, CASES))
    assert len(run.verdicts) == len(CASES) - 1


def test_a_verdict_stands_where_it_was_asked_for_though_an_earlier_passing_was_the_death() -> None:
    world = Unreal(passings=5)
    run = run_in(world)
    assert run.verdicts == dict.fromkeys(CASES, DONE)
    assert world.died[-1] == replace(CASES[-1], passing=5)


def test_where_nobody_can_be_killed_is_told() -> None:
    run = run_in(Unreal(passings=0))
    assert (run.verdicts, run.wrong) == ({}, [])
    assert run.unpassed == [str(case) for case in CASES]
