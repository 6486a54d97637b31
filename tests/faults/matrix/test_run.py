"""Does a run of the kill matrix tell what went wrong, what was never tried, and file each verdict under what was asked for?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from penstock.failpoints import Point
from tests.faults.matrix import __main__ as matrix
from tests.faults.matrix import crew, provenance, run, sites, trial
from tests.faults.matrix.cases import SKIP, Case, Death, Terms, Way, Which, case, cases_of, terms_of
from tests.faults.matrix.doom import NotPassedError, Passed
from tests.faults.matrix.page import HEAD, Table, put, tables_of
from tests.faults.matrix.progress import Progress
from tests.faults.matrix.run import Run, Verdicts, reached, spared
from tests.faults.matrix.table import table_of
from tests.faults.matrix.trial import Verdict
from tests.faults.matrix.world import World

CASES = [case(Way.IMPORT_LARGE, "partial.write", passing) for passing in range(1, 7)]
OTHERS = [case(Way.EXPORT_LARGE, "part.sent", terms=SKIP)]
DONE = Verdict(status="COMPLETE", again_bytes=0)


@dataclass
class Unreal:
    """Stands for a world in which nothing really happens."""

    passings: int = 9
    error: BaseException | None = None
    died: list[Case] = field(default_factory=list)
    is_closed: bool = False

    @property
    def service(self) -> Unreal:
        return self

    def log_text(self) -> str:
        return ""

    def forget(self) -> None:
        return

    def close(self) -> None:
        self.is_closed = True


class UnrealTrial:
    """Dies as its world says."""

    def __init__(self, world: World, way: Way, terms: Terms) -> None:
        self._world = cast("Unreal", world)

    def run(self, case: Case) -> Verdict:
        if self._world.error:
            raise self._world.error
        if case.passing > self._world.passings:
            raise NotPassedError("not so often", passed=self._world.passings)
        self._world.died.append(case)
        return DONE


@pytest.fixture(autouse=True)
def unreal_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "Trial", UnrealTrial)


@dataclass
class Told:
    """A run that has ended, what it said, and the tables that it finished."""

    run: Run
    said: list[str]
    tables: dict[Way, Verdicts]


def run_in(*worlds: Unreal, cases: list[Case] | None = None) -> Told:
    """One at a time; the last of them again and again."""
    made = iter(worlds)
    said: list[str] = []
    tables: dict[Way, Verdicts] = {}
    tried = Run(lambda: cast("World", next(made, worlds[-1])), finished=tables.__setitem__, say=said.append, worlds=1)
    tried.die(CASES if cases is None else cases)
    return Told(tried, said, tables)


@pytest.mark.parametrize("error", [AssertionError("torn"), OSError("no answer"), KeyError("FileDetail")], ids=repr)
def test_any_error_is_told_and_after_some_what_was_not_tried(error: Exception) -> None:
    told = run_in(Unreal(error=error))
    left = len(CASES) - crew.FAILURES_MAX
    assert told.run.wrong == [
        *(f"{one}: {error!r}" for one in CASES[: crew.FAILURES_MAX]), f"{left} deaths were not tried"
    ]  # fmt: skip
    assert (told.run.verdicts, told.tables) == ({}, {})


def test_another_world_takes_the_place_of_a_spoilt_one() -> None:
    spoilt, good = Unreal(error=OSError("no answer")), Unreal()
    told = run_in(spoilt, good)
    assert told.run.wrong == [f"{CASES[0]}: {OSError('no answer')!r}"]
    assert list(told.run.verdicts) == CASES[1:]
    assert spoilt.is_closed
    assert not good.is_closed


def test_a_table_is_finished_when_all_of_its_deaths_went_well() -> None:
    told = run_in(Unreal(error=OSError("no answer")), Unreal(), cases=CASES + OTHERS)
    assert told.tables == {Way.EXPORT_LARGE: {OTHERS[0]: DONE}}
    assert run_in(Unreal(), cases=CASES + OTHERS).tables.keys() == {Way.IMPORT_LARGE, Way.EXPORT_LARGE}


def test_a_death_at_an_earlier_passing_stands_where_it_was_asked_for_and_says_so_and_counts_once() -> None:
    world = Unreal(passings=4)
    told = run_in(world)
    instead = replace(DONE, instead=4)
    assert told.run.verdicts == {**dict.fromkeys(CASES[:4], DONE), **dict.fromkeys(CASES[4:], instead)}
    assert world.died[-1] == replace(CASES[-1], passing=4)
    assert "COMPLETE (at the 4.)" in table_of(Way.IMPORT_LARGE, {CASES[5]: instead})
    assert matrix.deaths_of(told.run.verdicts).startswith("4 deaths (2 asked for ")
    assert matrix.deaths_of(run_in(Unreal()).run.verdicts) == "6 deaths"


def test_a_passing_that_is_missed_once_is_tried_again_before_an_earlier_one() -> None:
    class Slow(Unreal):
        def forget(self) -> None:
            self.passings = 9

    assert run_in(Slow(passings=4)).run.verdicts == dict.fromkeys(CASES, DONE)


def test_where_nobody_can_be_killed_is_wrong_and_says_what_to_do() -> None:
    told = run_in(Unreal(passings=0))
    assert told.run.verdicts == {}
    assert told.run.wrong == [f"nobody died at {case}: {run.TRY_AGAIN}" for case in CASES]
    assert told.tables == {}


def test_it_says_how_far_it_has_come() -> None:
    told = run_in(Unreal(), cases=OTHERS)
    words = "export large (b), part.sent for the 1. time, both: COMPLETE"
    assert told.said == [f"deaths 1 of 1, 0:00, 0:00 to go | {words} | 0.0 s"]
    seconds = iter((0.0, 60.0, 90.0))
    said: list[str] = []
    progress = Progress("deaths", 10, said.append, clock=lambda: next(seconds))
    progress.tell("one", 60.0)
    progress.tell("two", 1.5)
    assert said == [
        "deaths  1 of 10, 1:00, 9:00 to go | one | 60.0 s",
        "deaths  2 of 10, 1:30, 6:00 to go | two | 1.5 s",
    ]


def test_interrupted_it_ends_what_is_under_way_and_keeps_what_it_finished() -> None:
    class Interrupting(Unreal):
        def forget(self) -> None:
            """The second death is not passed as often as was asked for; meanwhile somebody interrupts the run."""
            if not tried.is_stopped:
                matrix.interrupt(tried)

    tables: dict[Way, Verdicts] = {}
    world = Interrupting(passings=1)
    tried = Run(lambda: cast("World", world), finished=tables.__setitem__, say=lambda _: None, worlds=1)
    tried.die([*OTHERS, *CASES[1:]])
    assert tried.is_stopped
    assert list(tried.verdicts) == [*OTHERS, CASES[1]]
    assert tried.wrong == [f"{len(CASES) - 2} deaths were not tried"]
    assert list(tables) == [Way.EXPORT_LARGE]
    with pytest.raises(KeyboardInterrupt):
        matrix.interrupt(tried)


# --------------------------------------------------------------------------------------------------------------- the page


def table(commit: str, *cases: Case, status: str = "COMPLETE") -> Table:
    verdicts = dict.fromkeys(cases, replace(DONE, status=status))
    return Table(commit=commit, lines=table_of(cases[0].way, verdicts))


def test_a_table_that_is_made_anew_takes_its_place_in_the_page(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    put(file, Way.EXPORT_LARGE, table("a1", *OTHERS))
    put(file, Way.IMPORT_LARGE, table("a1", *CASES[:1]))
    first = file.read_text()
    assert first.startswith(HEAD)
    assert list(tables_of(first)) == [Way.IMPORT_LARGE, Way.EXPORT_LARGE]
    put(file, Way.IMPORT_LARGE, table("a1", *CASES[:1], status="FAILED"))
    assert file.read_text() == first.replace("a COMPLETE", "a FAILED")
    assert first.splitlines()[-1] == "| `part.sent` | once | b COMPLETE |"
    assert [path.name for path in tmp_path.iterdir()] == ["page.md"]


def test_the_page_says_of_which_commit_each_table_is_as_soon_as_they_differ(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text(f"older\n\n## Export large\n\n{table('', *OTHERS).lines}\n")
    put(file, Way.IMPORT_LARGE, table("a1", *CASES[:1]))
    assert {way: one.commit for way, one in tables_of(file.read_text()).items()} == {
        Way.IMPORT_LARGE: "a1", Way.EXPORT_LARGE: "not noted"
    }  # fmt: skip
    assert "\nOf commit `a1`.\n\n| point" in file.read_text()
    assert "\nOf commit `not noted`.\n\n| point" in file.read_text()
    put(file, Way.EXPORT_LARGE, table("a1", *OTHERS))
    assert file.read_text().count("commit") == HEAD.count("commit") + 1
    assert "\nAll tables are of one commit: `a1`.\n" in file.read_text()


@pytest.fixture
def changing(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Have the code change."""
    state = ["before"]
    monkeypatch.setattr(provenance, "fingerprint", lambda: state[0])
    monkeypatch.setattr(provenance, "commit", lambda: "a1")
    return lambda: state.__setitem__(0, "after")


def test_a_table_of_code_that_changed_meanwhile_is_not_kept(tmp_path: Path, changing: Callable[[], None]) -> None:
    keeper = matrix.Keeper(tmp_path / "page.md", lambda _: None)
    keeper.keep(Way.EXPORT_LARGE, dict.fromkeys(OTHERS, DONE))
    changing()
    keeper.keep(Way.IMPORT_LARGE, dict.fromkeys(CASES, DONE))
    assert tables_of((tmp_path / "page.md").read_text()) == {Way.EXPORT_LARGE: table("a1", *OTHERS)}
    assert len(keeper.wrong) == 1


def test_code_is_known_by_its_bytes(tmp_path: Path) -> None:
    code = tmp_path / "penstock" / "a.py"
    code.parent.mkdir()
    code.write_text("one")
    before = provenance.fingerprint(tmp_path)
    (tmp_path / "page.md").write_text("another")
    assert provenance.fingerprint(tmp_path) == before
    code.write_text("two")
    assert provenance.fingerprint(tmp_path) != before
    assert provenance.commit(tmp_path) == "", "no repository"


# ------------------------------------------------------------------------------------------------------------- the deaths


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


def test_where_the_first_passing_is_the_last_under_some_terms_nobody_dies_there_twice() -> None:
    once: dict[Point, int] = {"request.answered": 1}
    often: dict[Point, int] = {"request.answered": 3}
    dealt = list(cases_of(Way.EXPORT_SMALL, {**dict.fromkeys(terms_of(Way.EXPORT_SMALL), once), SKIP: often}))
    died = [replace(one, which=Which.ONCE) for one in dealt]
    assert len(set(died)) == len(died)
    assert {one.terms for one in dealt} == set(terms_of(Way.EXPORT_SMALL))


def test_a_place_at_which_nobody_died_is_told(tmp_path: Path) -> None:
    everywhere = {
        case(Way.IMPORT_LARGE, cast("Point", one.point or "claim"), number): replace(DONE, place=one.place)
        for number, one in enumerate(sites.passings())
    }
    assert spared(everywhere, tmp_path) == []
    without = {died: verdict for died, verdict in everywhere.items() if died.point != "rename"}
    assert spared(without, tmp_path) == ["rename in penstock.transfer.landing:land"]


def test_only_where_deaths_are_tried_a_place_is_reached() -> None:
    there = {"partial.write": Passed(count=3, places=frozenset({"where"}))}
    lives = {(way, SKIP): cast("dict[Point, Passed]", there) for way in (Way.IMPORT_CACHED, Way.IMPORT_CANCELED)}
    assert reached(lives) == {("partial.write", "where")}
    del lives[Way.IMPORT_CACHED, SKIP]
    assert reached(lives) == set()
