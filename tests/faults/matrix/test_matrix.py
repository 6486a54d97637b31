"""Does a SIGKILL at any step lose, tear, leave behind, or send again more than what was under way?"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from penstock.failpoints import POINTS
from tests.faults.matrix.cases import EVERY_POINT_ONCE, Case
from tests.faults.matrix.trial import Trial
from tests.faults.matrix.world import World


class Worlds:
    """A world for one test after the other; one in which a test failed is not used again."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self._factory = factory
        self._world: World | None = None

    def take(self) -> World:
        """A world in order."""
        if self._world is None:
            self._world = World(self._factory.mktemp("matrix"))
        return self._world

    def end(self) -> None:
        """End the present one, if there is any."""
        world, self._world = self._world, None
        if world is not None:
            world.close()


@pytest.fixture(scope="session")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    made = Worlds(tmp_path_factory)
    yield made
    made.end()


@pytest.mark.parametrize("case", EVERY_POINT_ONCE, ids=str)
def test_killed_there_nothing_is_lost_or_left(worlds: Worlds, case: Case) -> None:
    world = worlds.take()
    try:
        Trial(world, case.way).run(case)
    except BaseException:
        print(world.service.log_text())
        worlds.end()
        raise


def test_no_failpoint_is_left_out() -> None:
    assert {case.point for case in EVERY_POINT_ONCE} == set(POINTS)
