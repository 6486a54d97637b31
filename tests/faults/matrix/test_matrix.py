"""Does a SIGKILL at any step lose, tear, leave behind, or send again more than what was under way?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.failpoints import POINTS
from penstock.model import ConflictPolicy
from tests.faults.matrix.cases import (
    CREATED_ONLY,
    EVERY_POINT_ONCE,
    IN_THE_MIDDLE,
    PUBLISHED,
    TWICE,
    WITHOUT_REPLACING,
    Case,
)
from tests.faults.matrix.trial import Trial, tried
from tests.faults.matrix.world import World
from tests.faults.matrix.worlds import Worlds


@pytest.fixture(scope="session")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    made = Worlds(lambda: World(tmp_path_factory.mktemp("matrix")))
    yield made
    made.end()


@pytest.mark.parametrize("case", EVERY_POINT_ONCE, ids=str)
def test_killed_there_nothing_is_lost_or_left(worlds: Worlds, case: Case) -> None:
    with worlds.use() as world:
        Trial(world, case.way).run(case)


@pytest.mark.parametrize("case", IN_THE_MIDDLE, ids=str)
def test_killed_while_only_a_grain_is_in_memory_nothing_is_lost_or_left(worlds: Worlds, case: Case) -> None:
    with worlds.use() as world:
        Trial(world, case.way).run(case)


@pytest.mark.parametrize("case", CREATED_ONLY, ids=str)
def test_killed_between_commit_and_claim_it_is_claimed_by_the_next(worlds: Worlds, case: Case) -> None:
    with worlds.use() as world:
        assert tried(world, case) is not None, "the service never died between the two"


@pytest.mark.parametrize("case", WITHOUT_REPLACING, ids=str)
def test_killed_after_publishing_what_is_there_is_known_for_its_own(worlds: Worlds, case: Case) -> None:
    with worlds.use() as world:
        Trial(world, case.way, ConflictPolicy.SKIP_THE_FILE).run(case)


@pytest.mark.parametrize(("case", "again"), TWICE, ids=str)
def test_killed_again_while_it_goes_on(worlds: Worlds, case: Case, again: Case) -> None:
    with worlds.use() as world:
        Trial(world, case.way).run_twice(case, again)


@pytest.mark.parametrize("case", PUBLISHED, ids=str)
def test_what_others_change_after_it_was_published_stays(worlds: Worlds, case: Case) -> None:
    with worlds.use() as world:
        Trial(world, case.way).run_overtaken(case, b"theirs")


def test_no_failpoint_is_left_out() -> None:
    assert {case.point for case in EVERY_POINT_ONCE} == set(POINTS)


def test_the_table_shows_a_death_at_every_failpoint() -> None:
    table = (Path(__file__).parents[3] / "docs" / "crash-matrix.md").read_text()
    assert set(re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)) == set(POINTS)
