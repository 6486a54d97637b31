"""Does a SIGKILL at any step lose, tear, leave behind, or send again more than what was under way?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.failpoints import POINTS
from tests.faults.matrix import sites
from tests.faults.matrix.cases import Case, is_worth_it
from tests.faults.matrix.chosen import (
    ALL_PLACES,
    CREATED_ONLY,
    ENDING_BADLY,
    MEANWHILE,
    PUBLISHED,
    REFUSED,
    TWICE,
    WORST,
)
from tests.faults.matrix.trial import Trial, tried
from tests.faults.matrix.world import World
from tests.faults.matrix.worlds import Worlds


@pytest.fixture(scope="session")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    made = Worlds(lambda: World(tmp_path_factory.mktemp("matrix"), movers=1))  # `make kill-matrix` has two
    yield made
    made.end()


pytestmark = pytest.mark.xdist_group("matrix-world")


@pytest.mark.parametrize("case", WORST, ids=str)
def test_killed_there_nothing_is_lost_or_left(worlds: Worlds, case: Case) -> None:
    with worlds.use() as world:
        Trial(world, case.way, case.terms).run(case)


@pytest.mark.parametrize("case", ENDING_BADLY, ids=str)
def test_killed_while_it_is_cleaned_up_nothing_is_left(worlds: Worlds, case: Case) -> None:
    with worlds.use() as world:
        Trial(world, case.way, case.terms).run(case)


@pytest.mark.parametrize("case", MEANWHILE, ids=str)
def test_killed_when_it_was_published_it_is_complete_whatever_happened_meanwhile(worlds: Worlds, case: Case) -> None:
    with worlds.use() as world:
        Trial(world, case.way, case.terms).run(case)


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_killed_when_it_is_refused_it_is_refused_and_its_equal_is_no_proof(worlds: Worlds, case: Case) -> None:
    with worlds.use() as world:
        Trial(world, case.way, case.terms).run(case)


@pytest.mark.parametrize("case", CREATED_ONLY, ids=str)
def test_killed_between_commit_and_claim_it_is_claimed_by_the_next(worlds: Worlds, case: Case) -> None:
    with worlds.use() as world:
        assert tried(world, case) is not None, "the service never died between the two"


@pytest.mark.parametrize(("case", "again"), TWICE, ids=str)
def test_killed_again_while_it_goes_on(worlds: Worlds, case: Case, again: Case) -> None:
    with worlds.use() as world:
        Trial(world, case.way, case.terms).run_twice(case, again)


@pytest.mark.parametrize("case", PUBLISHED, ids=str)
def test_what_others_change_after_it_was_published_stays(worlds: Worlds, case: Case) -> None:
    with worlds.use() as world:
        Trial(world, case.way, case.terms).run_overtaken(case)


def test_every_failpoint_in_the_code_is_passed_by_some_file_of_which_the_matrix_tries_deaths_there(
    worlds: Worlds,
) -> None:
    with worlds.use() as world:
        passed = {way: Trial(world, way).places() for way in ALL_PLACES}
    seen = {(point, place) for way, places in passed.items() for point, place in places if is_worth_it(way, point)}
    assert {point for point, _ in seen} == set(POINTS)
    assert sites.unseen(seen, world.root) == []


def test_the_table_shows_a_death_at_every_failpoint() -> None:
    table = (Path(__file__).parents[3] / "docs" / "crash-matrix.md").read_text()
    assert set(re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)) == set(POINTS)
