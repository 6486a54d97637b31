"""One trial: a file is submitted, somebody is killed on its way, the service goes on, and everything is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fastcrc import crc64

from penstock.failpoints import POINTS, Point
from tests.faults.matrix.cases import BY_THE_CLOCK, OVERWRITE, Case, Death, Terms, Way
from tests.faults.matrix.chosen import UNCLAIMED
from tests.faults.matrix.courses import COURSES
from tests.faults.matrix.doom import Doom, NotPassedError, Passed
from tests.faults.matrix.file import THEIRS, File
from tests.faults.matrix.judging import judged
from tests.faults.matrix.world import World

TRIES = 4
PASSED_WITHIN_S = 10.0  # after the file has ended: journals are removed, and the runner looks for more work


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How it ended: the sub-task's last status, how many bytes moved more than once, in which function somebody died, and at
    which passing, where that is not the one that was asked for (else 0)."""

    status: str
    again_bytes: int
    place: str = ""
    instead: int = 0


def tried(world: World, case: Case) -> Verdict | None:
    """How it ended. When nobody died as asked for, and again not, it is the last passing that the life before had: the verdict
    says so. None when that fails as well."""
    passing = case.passing
    for number in range(TRIES):
        try:
            verdict = Trial(world, case.way, case.terms).run(replace(case, passing=passing))
        except NotPassedError as error:
            world.forget()
            if number and error.passed is not None:
                passing = max(1, error.passed)
        else:
            return verdict if passing == case.passing else replace(verdict, instead=passing)
    return None


class Trial:
    """One file on its way. `run` says how it ended and raises AssertionError for what must not be."""

    def __init__(self, world: World, way: Way, terms: Terms = OVERWRITE) -> None:
        self._world = world
        self._file = File(world, way, terms)

    def run(self, case: Case) -> Verdict:
        """Be killed there."""
        if self._file.other is not None and case.point in UNCLAIMED and case.passing == 1:
            self._world.meanwhile = self._check_unclaimed
        status = self._killed(case)
        (place,) = self._world.traps.places(case.point)[-1:]
        return self._judged(status, deaths=1, place=place)

    def run_twice(self, case: Case, again: Case) -> Verdict:
        """Be killed there, together with the service, and once more by another trap when it goes on."""
        assert again.death is not Death.BOTH, "the next service's process id is not known beforehand"
        self._world.meanwhile = lambda: self._world.traps.lay(again.point, again.passing)
        status = self._killed(case)
        self._wait_sprung(again)
        return self._judged(status, deaths=2)

    def run_overtaken(self, case: Case) -> None:
        """Be killed there, together with the service, right after publishing; before it goes on somebody else has replaced it."""
        file = self._file
        self._world.meanwhile = file.replace_target
        status = self._killed(case)
        file.wait(lambda: not file.left_behind(), "helper files or uploads did not go")
        assert status == "COMPLETE"
        if file.way.is_import:
            assert file.path.read_bytes() == THEIRS
        else:
            assert file.versions() == [crc64.xz(THEIRS), crc64.xz(file.body)]
        self._world.check_counters()
        self._world.traps.clear()

    def passings(self) -> Mapping[Point, Passed]:
        """Live on, and see which points are passed, those aside that are passed by the clock.

        They are said to be passed once, wherever: that is as good as any other time.
        """
        counted = [point for point in POINTS if point not in BY_THE_CLOCK]
        by_the_clock = dict.fromkeys(BY_THE_CLOCK, Passed(count=1, places=frozenset()))
        return by_the_clock | self._lived(counted)

    def places(self) -> frozenset[tuple[Point, str]]:
        """Live on, and tell which points are passed in which functions."""
        return frozenset((point, place) for point, passed in self._lived(POINTS).items() for place in passed.places)

    def _lived(self, counted: Sequence[Point]) -> dict[Point, Passed]:
        """What was passed, once all is over."""
        doom, file = Doom(world=self._world, counted=counted), self._file
        status = self._went(doom)
        file.wait(lambda: not file.left_behind(), "helper files or uploads did not go")
        lived = doom.passed()
        self._judged(status, deaths=0)
        return lived

    def _killed(self, case: Case) -> str:
        """Send it on its way with one trap laid; its final status."""
        status = self._went(Doom(world=self._world, case=case))
        self._wait_sprung(case)
        return status

    def _went(self, doom: Doom) -> str:
        """Send it on its way into that; its final status."""
        self._file.make()
        COURSES[self._file.way.fate](self._file, doom)
        return self._file.final()

    def _wait_sprung(self, case: Case) -> None:
        try:
            self._file.wait(lambda: self._world.traps.is_sprung(case.point), "", patience_s=PASSED_WITHIN_S)
        except TimeoutError:
            passed = self._world.traps.passed(case.point)
            raise NotPassedError(f"{case}: that point is not passed so often", passed=passed) from None

    def _check_unclaimed(self) -> None:
        """Nobody is up: the catalog has it, and it is nobody's."""
        found = self._world.status_in_catalog(self._file.target)
        if found != "CREATED":
            raise NotPassedError(f"the service died for another reason: the sub-task is {found or 'not there'}")

    def _judged(self, status: str, *, deaths: int, place: str = "") -> Verdict:
        again_bytes = judged(self._file, status, deaths=deaths)
        if self._file.other is not None:
            judged(self._file.other, self._file.other.final(), deaths=deaths)
        self._world.check_counters()
        self._world.traps.clear()
        self._file.forget()
        self._world.forget_requests()
        return Verdict(status=status, again_bytes=again_bytes, place=place)
