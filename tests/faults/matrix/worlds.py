"""Worlds that outlive a test: one is made when it is first asked for, and not used again once a test failed in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.faults.matrix.world import World


class Worlds:
    """A world for one test after the other; one in which a test failed is not used again."""

    def __init__(self, make: Callable[[], World]) -> None:
        self._make = make
        self._world: World | None = None

    @contextmanager
    def use(self) -> Iterator[World]:
        """A world in order, for as long as nothing fails in it."""
        world = self._world = self._world or self._make()
        try:
            yield world
        except BaseException:
            print(world.service.log_text())
            self.end()
            raise

    def end(self) -> None:
        """End the present one, if there is any."""
        world, self._world = self._world, None
        if world is not None:
            world.close()
