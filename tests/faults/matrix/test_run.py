"""Does a run of the kill matrix tell what went wrong, what was never tried, and file each verdict under what was asked for?"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from penstock.failpoints import Point
from tests.faults.matrix import __main__ as matrix
from tests.faults.matrix import sites, trial
from tests.faults.matrix.cases import SKIP, Case, Death, Terms, Way, case, cases_of, terms_of
from tests.faults.matrix.table import page, table_of, tables_of
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

    def __init__(self, world: World, way: Way, terms: Terms) -> None:
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


def test_a_table_that_is_made_anew_takes_its_place_in_the_page() -> None:
    died = dict.fromkeys((*CASES[:1], case(Way.EXPORT_LARGE, "part.sent", terms=SKIP)), DONE)
    first = page("head", {way: table_of(way, died) for way in (Way.EXPORT_LARGE, Way.IMPORT_LARGE)})
    assert list(tables_of(first)) == [Way.IMPORT_LARGE, Way.EXPORT_LARGE]
    failed = dict.fromkeys(CASES[:1], replace(DONE, status="FAILED"))
    then = page("head", tables_of(first) | {Way.IMPORT_LARGE: table_of(Way.IMPORT_LARGE, failed)})
    assert then == first.replace("a COMPLETE", "a FAILED")
    assert first.splitlines()[-1] == "| `part.sent` | once | b COMPLETE |"


def test_deaths_are_dealt_out_to_all_terms_and_around_publishing_each_gets_one() -> None:
    passings: dict[Point, int] = {"partial.sync": 1, "renamed": 1, "partial.write": 9, "claim": 1}
    dealt = list(cases_of(Way.IMPORT_LARGE, dict.fromkeys(terms_of(Way.IMPORT_LARGE), passings)))
    assert len(set(dealt)) == len(dealt)
    for point in passings:
        deaths = {Death.CONTROL} if point == "claim" else {Death.MOVER, Death.BOTH}
        assert {one.death for one in dealt if one.point == point} == deaths
    assert {one.terms for one in dealt if one.point == "renamed"} == set(terms_of(Way.IMPORT_LARGE))
    assert {one.terms for one in dealt if one.point == "partial.write"} == set(terms_of(Way.IMPORT_LARGE))
    assert {one.passing for one in dealt if one.point == "partial.write"} == {1, 5, 9}


def test_a_place_at_which_nobody_died_is_told(tmp_path: Path) -> None:
    everywhere = {
        case(Way.IMPORT_LARGE, cast("Point", one.point or "claim"), number): replace(DONE, place=one.place)
        for number, one in enumerate(sites.passings())
    }
    assert matrix.spared(everywhere, tmp_path) == []
    without = {died: verdict for died, verdict in everywhere.items() if died.point != "rename"}
    assert matrix.spared(without, tmp_path) == ["rename in penstock.transfer.landing:land"]
