"""What a trial does to the processes of a file: it kills somebody at a point, or lets all live and counts what they pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from penstock.failpoints import PASSES_MAX, Point
from tests.faults.matrix.cases import Case, Death
from tests.faults.matrix.world import World


class NotPassedError(AssertionError):
    """Nobody was killed: the point was passed less often, `passed` times. Or somebody was, but for something else (None)."""

    def __init__(self, words: str, *, passed: int | None = None) -> None:
        super().__init__(words)
        self.passed = passed


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """How often a point was passed, and in which functions."""

    count: int
    places: frozenset[str]


@dataclass(slots=True, kw_only=True)
class Doom:
    """The death of `case`; without one, the passings of the points `counted`. `seen` are passings from before they were."""

    world: World
    case: Case | None = None
    counted: Sequence[Point] = ()
    seen: dict[Point, Passed] = field(default_factory=dict)

    def lay(self) -> None:
        """Lay the traps: who comes there dies."""
        traps, case = self.world.traps, self.case
        if case is None:
            traps.lay_all(self.counted, PASSES_MAX)
        else:
            together_with = self.world.service.pid if case.death is Death.BOTH else None
            traps.lay(case.point, case.passing, together_with=together_with)

    def passed(self) -> dict[Point, Passed]:
        """What was passed since then."""
        traps = self.world.traps
        found = {
            point: Passed(count=PASSES_MAX - traps.left(point), places=frozenset(traps.places(point)))
            for point in self.counted
        }
        return {point: passed for point, passed in found.items() if passed.count} | self.seen
